// The OpenAI package: its tool runner for chat completions, a loop by hand for Responses; streamed.
import OpenAI from "openai";
import { GATEWAY_KEY, GATEWAY_URL, MODEL, PROMPT, PROTOCOL, tools } from "./workspace_tools.mjs";

const client = new OpenAI({ baseURL: `${GATEWAY_URL}/v1`, apiKey: GATEWAY_KEY, maxRetries: 0 });

async function chat() {
  const runner = client.chat.completions.runTools({
    model: MODEL,
    stream: true,
    messages: [{ role: "user", content: PROMPT }],
    tools: Object.entries(tools).map(([name, { description, parameters, run }]) => ({
      type: "function",
      function: { name, description, parameters, parse: JSON.parse, function: run },
    })),
  });
  return runner.finalContent();
}

async function responses() {
  const input = [{ role: "user", content: PROMPT }];
  const offered = Object.entries(tools).map(([name, { description, parameters }]) => ({
    type: "function",
    name,
    description,
    parameters,
    strict: true,
  }));
  const body = {
    model: MODEL,
    tools: offered,
    store: false,
    include: ["reasoning.encrypted_content"],
    reasoning: { effort: "high", summary: "auto" },
  };
  for (;;) {
    const response = await client.responses.stream({ ...body, input }).finalResponse();
    const calls = response.output.filter((item) => item.type === "function_call");
    if (calls.length === 0) return response.output_text;
    input.push(...response.output);
    for (const { name, call_id, arguments: text } of calls) {
      const output = await tools[name].run(JSON.parse(text));
      input.push({ type: "function_call_output", call_id, output });
    }
  }
}

console.log(await (PROTOCOL === "chat" ? chat() : responses()));
