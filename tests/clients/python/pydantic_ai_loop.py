# mypy: ignore-errors
# Its packages are in an environment of its own, and so are their types.
"""pydantic-ai: an agent with tools, run whole and then streamed in the same conversation."""

import asyncio

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider
from workspace_tools import API_KEY, BASE_URL, MODEL, PROMPT, PROTOCOL, TOOLS, answer

kind = OpenAIChatModel if PROTOCOL == "chat" else OpenAIResponsesModel
provider = OpenAIProvider(base_url=f"{BASE_URL}/v1", api_key=API_KEY)
agent = Agent(kind(MODEL, provider=provider), instructions="Be short.", tools=[*TOOLS.values()])


async def main() -> None:
    first = await agent.run(PROMPT)
    async with agent.run_stream("Read notes.txt", message_history=first.all_messages()) as result:
        answer(f"{first.output}\n{await result.get_output()}")


asyncio.run(main())
