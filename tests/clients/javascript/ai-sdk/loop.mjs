// The AI SDK: generateText for the loop, then streamText in the same conversation.
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, isStepCount, jsonSchema, streamText, tool } from "ai";
import {
  GATEWAY_KEY,
  GATEWAY_URL,
  MODEL,
  PROMPT,
  PROTOCOL,
  tools as plain,
} from "./workspace_tools.mjs";

const settings = { name: "gateway", baseURL: `${GATEWAY_URL}/v1`, apiKey: GATEWAY_KEY };
const model =
  PROTOCOL === "chat"
    ? createOpenAICompatible(settings).chatModel(MODEL)
    : createOpenAI(settings).responses(MODEL);
const tools = Object.fromEntries(
  Object.entries(plain).map(([name, { description, parameters, run }]) => [
    name,
    tool({ description, inputSchema: jsonSchema(parameters), execute: run }),
  ]),
);
const common = { model, tools, stopWhen: isStepCount(5), maxRetries: 0 };
const messages = [{ role: "user", content: PROMPT }];
const first = await generateText({ ...common, messages });
messages.push(...first.response.messages, { role: "user", content: "Read notes.txt" });
const second = streamText({ ...common, messages, onError: ({ error }) => { throw error; } });
console.log(first.text, await second.text);
