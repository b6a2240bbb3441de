// Text through the official OpenAI package for JavaScript: streamed and whole.
import OpenAI from "openai";
import assert from "node:assert/strict";

const client = new OpenAI({ maxRetries: 0 });
const body = {
  model: "claude-sonnet-5-5",
  messages: [{ role: "user", content: "[[sim:text one two 三 🙂]]" }],
};

const chunks = [];
const stream = await client.chat.completions.create({
  ...body,
  stream: true,
  stream_options: { include_usage: true },
});
for await (const chunk of stream) chunks.push(chunk);
const text = chunks.map((chunk) => chunk.choices[0]?.delta?.content ?? "").join("");
assert.equal(text, "one two 三 🙂");
assert.equal(chunks[0].choices[0].delta.role, "assistant");
assert.equal(chunks.at(-2).choices[0].finish_reason, "stop");
assert.deepEqual(chunks.at(-1).choices, []);
assert.ok(chunks.at(-1).usage.total_tokens > 0);

const whole = await client.chat.completions.create(body);
assert.equal(whole.choices[0].message.content, text);
assert.deepEqual(whole.usage, chunks.at(-1).usage);

const collected = await client.chat.completions.stream(body).finalChatCompletion();
assert.equal(collected.choices[0].message.content, text);

const models = await client.models.list();
assert.ok(models.data.some((model) => model.id === "claude-sonnet-5-5"));
console.log(JSON.stringify({ text, chunks: chunks.length }));
