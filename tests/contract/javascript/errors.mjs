// Failures as the package reports them: a status, an error inside the stream, a cut stream.
import OpenAI from "openai";
import assert from "node:assert/strict";

const client = new OpenAI({ maxRetries: 0 });
const body = (content) => ({
  model: "claude-sonnet-5-5",
  messages: [{ role: "user", content }],
  stream: true,
});
async function failure(content) {
  try {
    for await (const _ of await client.chat.completions.create(body(content)));
  } catch (error) {
    return error;
  }
  return assert.fail(`no error for ${content}`);
}

const refused = await failure("[[sim:error 529]]");
assert.ok(refused instanceof OpenAI.InternalServerError);
assert.equal(refused.status, 503);
assert.equal(refused.code, "overloaded");
assert.match(refused.requestID, /^req_/);

const inside = await failure("[[sim:text some words in a row]][[sim:error 529 after=6]]");
assert.ok(inside instanceof OpenAI.APIError);
assert.equal(inside.code, "overloaded");

const cut = await failure("[[sim:text some words in a row]][[sim:cut events=5]]");
assert.ok(cut instanceof OpenAI.APIError);
assert.equal(cut.code, "upstream_cut");
console.log(JSON.stringify({ ok: true }));
