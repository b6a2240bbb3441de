// A tool loop of two rounds, streamed and whole, and the runner of the package.
import OpenAI from "openai";
import assert from "node:assert/strict";

const client = new OpenAI({ maxRetries: 0 });
const results = { read_file: "forty-two", list_files: "second" };
const tools = Object.keys(results).map((name) => ({
  type: "function",
  function: {
    name,
    description: `does ${name}`,
    parameters: {
      type: "object",
      properties: { path: { type: "string" } },
      required: ["path"],
    },
  },
}));

async function turn(messages, streamed) {
  const body = { model: "claude-sonnet-5-5", messages, tools };
  if (streamed) return (await client.chat.completions.stream(body).finalChatCompletion()).choices[0];
  return (await client.chat.completions.create(body)).choices[0];
}

for (const streamed of [true, false]) {
  const messages = [{ role: "user", content: "read notes.txt then list the directory src" }];
  const called = [];
  for (let round = 0; round < 2; round += 1) {
    const choice = await turn(messages, streamed);
    assert.equal(choice.finish_reason, "tool_calls");
    messages.push(choice.message);
    for (const call of choice.message.tool_calls) {
      const { name, arguments: text } = call.function;
      assert.ok(JSON.parse(text).path);
      called.push(name);
      messages.push({ role: "tool", tool_call_id: call.id, content: results[name] });
    }
  }
  const last = await turn(messages, streamed);
  assert.deepEqual(called, ["read_file", "list_files"]);
  assert.equal(last.finish_reason, "stop");
  assert.match(last.message.content, /second/);
}

const runner = client.chat.completions.runTools({
  model: "claude-sonnet-5-5",
  stream: true,
  messages: [{ role: "user", content: "read notes.txt" }],
  tools: [
    {
      type: "function",
      function: {
        ...tools[0].function,
        parse: JSON.parse,
        function: ({ path }) => `${path}: ${results.read_file}`,
      },
    },
  ],
});
assert.match(await runner.finalContent(), /forty-two/);
console.log(JSON.stringify({ ok: true }));
