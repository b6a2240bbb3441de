# mypy: ignore-errors
# Its packages are in an environment of its own, and so are their types.
"""openai-agents: an agent with tools, run to its end, streamed."""

import asyncio

from agents import (
    Agent,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI
from workspace_tools import API_KEY, BASE_URL, MODEL, PROMPT, PROTOCOL, TOOLS, answer

set_tracing_disabled(True)
client = AsyncOpenAI(base_url=f"{BASE_URL}/v1", api_key=API_KEY, max_retries=0)
kind = OpenAIChatCompletionsModel if PROTOCOL == "chat" else OpenAIResponsesModel
agent = Agent(
    name="editor",
    instructions="Be short.",
    model=kind(model=MODEL, openai_client=client),
    tools=[function_tool(tool) for tool in TOOLS.values()],
)


async def main() -> None:
    result = Runner.run_streamed(agent, PROMPT)
    async for _ in result.stream_events():
        pass
    answer(result.final_output)


asyncio.run(main())
