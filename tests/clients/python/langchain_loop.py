# mypy: ignore-errors
# Its packages are in an environment of its own, and so are their types.
"""langchain-openai: tools bound to a chat model; the first step whole, the others streamed."""

from functools import reduce
from operator import add

from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from workspace_tools import API_KEY, BASE_URL, MODEL, PROMPT, PROTOCOL, TOOLS, answer

tools = {name: tool(function) for name, function in TOOLS.items()}
model = ChatOpenAI(
    model=MODEL,
    base_url=f"{BASE_URL}/v1",
    api_key=API_KEY,
    max_retries=0,
    use_responses_api=PROTOCOL == "responses",
).bind_tools(list(tools.values()))
messages = [HumanMessage(PROMPT)]
message = model.invoke(messages)
while message.tool_calls:
    messages.append(message)
    messages += [tools[call["name"]].invoke(call) for call in message.tool_calls]
    message = reduce(add, model.stream(messages))
answer(message.text)
