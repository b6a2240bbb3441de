// The two tools of every loop, and what the test sets. They work in the current directory.
import { readFileSync, writeFileSync } from "node:fs";

export const { MODEL, PROMPT, PROTOCOL, GATEWAY_KEY, GATEWAY_URL } = process.env;

const text = (description) => ({ type: "string", description });

function parameters(properties) {
  return {
    type: "object",
    properties,
    required: Object.keys(properties),
    additionalProperties: false,
  };
}

export const tools = {
  read_file: {
    description: "Read a text file.",
    parameters: parameters({ path: text("the file to read") }),
    run: async ({ path }) => readFileSync(path, "utf-8"),
  },
  edit_file: {
    description: "Replace a text in a file.",
    parameters: parameters({
      path: text("the file to change"),
      old_text: text("the text to be replaced"),
      new_text: text("the text that takes its place"),
    }),
    run: async ({ path, old_text, new_text }) => {
      writeFileSync(path, readFileSync(path, "utf-8").replace(old_text, new_text));
      return `edited ${path}`;
    },
  },
};
