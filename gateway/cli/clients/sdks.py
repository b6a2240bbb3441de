"""SDKs: the variables they read and a few lines that run."""

from gateway.cli.clients.setup import Places, Setup
from gateway.cli.clients.target import Target


def _openai_environment(target: Target) -> dict[str, str]:
    return {"OPENAI_BASE_URL": target.base_url, "OPENAI_API_KEY": target.api_key}


def openai_python(target: Target, places: Places) -> Setup:
    """The `openai` package reads both variables itself."""
    del places  # nothing is kept in files
    return Setup(
        environment=_openai_environment(target),
        code=f'''\
from openai import OpenAI

client = OpenAI()
stream = client.chat.completions.create(
    model="{target.model}",
    messages=[{{"role": "user", "content": "Say hello"}}],
    stream=True,
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
''',
    )


def openai_js(target: Target, places: Places) -> Setup:
    """The `openai` package for JavaScript reads both variables itself."""
    del places  # nothing is kept in files
    return Setup(
        environment=_openai_environment(target),
        code=f"""\
import OpenAI from "openai";

const client = new OpenAI();
const stream = await client.chat.completions.create({{
  model: "{target.model}",
  messages: [{{ role: "user", content: "Say hello" }}],
  stream: true,
}});
for await (const chunk of stream) {{
  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
}}
""",
    )


def anthropic_python(target: Target, places: Places) -> Setup:
    """The `anthropic` package; its base URL has no /v1."""
    del places  # nothing is kept in files
    return Setup(
        environment={"ANTHROPIC_BASE_URL": target.root_url, "ANTHROPIC_API_KEY": target.api_key},
        code=f'''\
from anthropic import Anthropic

client = Anthropic()
with client.messages.stream(
    model="{target.model}",
    max_tokens=8192,
    messages=[{{"role": "user", "content": "Say hello"}}],
) as stream:
    for text in stream.text_stream:
        print(text, end="", flush=True)
''',
    )


def vercel_ai_sdk(target: Target, places: Places) -> Setup:
    """`@ai-sdk/openai-compatible` takes URL and key as arguments."""
    del places  # nothing is kept in files
    return Setup(
        environment=_openai_environment(target),
        code=f"""\
import {{ createOpenAICompatible }} from "@ai-sdk/openai-compatible";
import {{ streamText }} from "ai";

const gateway = createOpenAICompatible({{
  name: "coding-gateway",
  baseURL: process.env.OPENAI_BASE_URL,
  apiKey: process.env.OPENAI_API_KEY,
  includeUsage: true,
}});
const result = streamText({{ model: gateway("{target.model}"), prompt: "Say hello" }});
for await (const text of result.textStream) process.stdout.write(text);
""",
        notes=(
            "`@ai-sdk/openai` works too, over the Responses API, and `@ai-sdk/anthropic` with "
            f"baseURL {target.base_url}.",
        ),
    )


def langchain(target: Target, places: Places) -> Setup:
    """`langchain-openai`; the arguments win over other variables it reads."""
    del places  # nothing is kept in files
    return Setup(
        environment=_openai_environment(target),
        code=f'''\
import os

from langchain_openai import ChatOpenAI

model = ChatOpenAI(
    model="{target.model}",
    base_url=os.environ["OPENAI_BASE_URL"],
    api_key=os.environ["OPENAI_API_KEY"],
    stream_usage=True,
)
for chunk in model.stream("Say hello"):
    print(chunk.text, end="", flush=True)
''',
        notes=(
            f"`langchain-anthropic` works too: ChatAnthropic with base_url {target.root_url}.",
            "OpenAIEmbeddings needs check_embedding_ctx_length=False.",
        ),
    )
