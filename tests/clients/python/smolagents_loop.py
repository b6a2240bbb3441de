# mypy: ignore-errors
# Its packages are in an environment of its own, and so are their types.
"""smolagents: its agent that calls tools, which writes its history as text."""

from smolagents import OpenAIServerModel, ToolCallingAgent, tool
from workspace_tools import API_KEY, BASE_URL, MODEL, PROMPT, TOOLS, answer

model = OpenAIServerModel(MODEL, api_base=f"{BASE_URL}/v1", api_key=API_KEY)
agent = ToolCallingAgent(
    tools=[tool(each) for each in TOOLS.values()], model=model, max_steps=4, stream_outputs=True
)
answer(agent.run(PROMPT))
