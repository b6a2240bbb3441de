# mypy: ignore-errors
# Its packages are in an environment of its own, and so are their types.
"""The Anthropic package: its own tool runner, streamed."""

from anthropic import Anthropic, beta_tool
from workspace_tools import API_KEY, BASE_URL, MODEL, PROMPT, TOOLS, answer

client = Anthropic(base_url=BASE_URL, api_key=API_KEY, max_retries=0)
runner = client.beta.messages.tool_runner(
    model=MODEL,
    max_tokens=4000,
    thinking={"type": "adaptive"},
    tools=[beta_tool(tool) for tool in TOOLS.values()],
    messages=[{"role": "user", "content": PROMPT}],
    stream=True,
)
for stream in runner:
    message = stream.get_final_message()
answer("".join(block.text for block in message.content if block.type == "text"))
