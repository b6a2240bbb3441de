"""`POST /v1/chat/completions`: the request as a `Draft` in the Messages form.

Pure and deterministic: the same body gives the same draft, and the messages of one turn of a
conversation are the beginning of the messages of its next turn.
"""

from gateway.protocols.messages_form import JSON_INSTRUCTION
from gateway.protocols.openai_chat_fields import (
    chat_ignored_fields,
    read_reasoning,
    read_response_format,
    read_sampling,
    refuse_lost_meaning,
    shows_reasoning,
)
from gateway.protocols.openai_chat_messages import MessageReader
from gateway.protocols.shared.cache_marks import CacheMarks, make_marks_legal
from gateway.protocols.shared.content import ContentReader
from gateway.protocols.shared.draft import Draft, ReplyPlan
from gateway.protocols.shared.reading import (
    optional_bool,
    optional_list,
    optional_object,
    shown_names,
)
from gateway.protocols.shared.request_fields import (
    cache_is_explicit,
    cache_ttl,
    read_identity,
    read_model,
    read_service_tier,
)
from gateway.protocols.shared.tool_choice import choose_tools
from gateway.protocols.shared.tools import DeclaredTools, declare_tools, stub_tools
from gateway.wire import JSONObject


def translate(body: JSONObject) -> Draft:
    """The draft of a chat request. Raises InvalidRequestError with the JSON path in `param`."""
    refuse_lost_meaning(body)
    model = read_model(body)
    draft = Draft(asked_model=model, body={}, reply=ReplyPlan(model))
    draft.ignored = chat_ignored_fields(body)
    draft.cache_ttl = cache_ttl(body)
    draft.cache_explicit = cache_is_explicit(body)
    marks = CacheMarks(draft.cache_ttl)
    functions = optional_list(body.get("functions"), "functions")
    tools = declare_tools(optional_list(body.get("tools"), "tools"), functions, marks)
    _read_messages(body, draft, tools, marks)
    _read_choice(body, draft, tools)
    read_sampling(body, draft)
    read_identity(body, draft)
    read_service_tier(body, draft)
    read_reasoning(body, draft)
    if marks.found:
        make_marks_legal(draft.body)
    draft.reply = _reply_plan(body, draft, tools)
    draft.ignored = shown_names(draft.ignored)
    return draft


def _read_messages(body: JSONObject, draft: Draft, tools: DeclaredTools, marks: CacheMarks) -> None:
    content = ContentReader(marks, draft.ignored)
    reader = MessageReader(tools, content, draft.ignored)
    reader.system += content.text(body.get("system"), "system")
    reader.read(body.get("messages"))
    if reader.system:
        draft.body["system"] = reader.system
    draft.body["messages"] = reader.history.finish()
    definitions = tools.in_order()
    if definitions:
        draft.body["tools"] = definitions
    elif reader.history.called:  # tool blocks need tools, and none may be called
        draft.body["tools"] = stub_tools(list(reader.history.called))
        draft.body["tool_choice"] = {"type": "none"}


def _read_choice(body: JSONObject, draft: Draft, tools: DeclaredTools) -> None:
    choice = choose_tools(body, tools)
    if choice.value is not None:
        draft.body["tool_choice"] = choice.value
    if choice.instruction is not None:
        draft.instructions.append(choice.instruction)
    if tools.strict:
        draft.ignored.append("tools.strict")


def _reply_plan(body: JSONObject, draft: Draft, tools: DeclaredTools) -> ReplyPlan:
    json_mode = read_response_format(body, draft)
    if json_mode == "object":
        draft.instructions.append(JSON_INSTRUCTION)
    stream = optional_bool(body.get("stream"), "stream") is True
    options = optional_object(body.get("stream_options"), "stream_options")
    include_usage = optional_bool(options.get("include_usage"), "stream_options.include_usage")
    return ReplyPlan(
        asked_model=draft.asked_model,
        stream=stream,
        include_usage=include_usage is True,
        legacy_functions=bool(body.get("functions")) and not body.get("tools"),
        original_tool_names=tools.names.originals,
        custom_tools=frozenset(tools.custom),
        wrapped_tools=frozenset(tools.wrapped),
        json_mode=json_mode,
        show_reasoning=shows_reasoning(body),
        echo_service_tier=body.get("service_tier") is not None,
    )
