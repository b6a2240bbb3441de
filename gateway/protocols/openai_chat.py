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
from gateway.protocols.openai_chat_messages import (
    MessageReader,
    begins_round,
    checked_messages,
)
from gateway.protocols.shared.cache_marks import CacheMarks, with_legal_marks
from gateway.protocols.shared.content import ContentReader
from gateway.protocols.shared.draft import Draft, ReplyPlan
from gateway.protocols.shared.prefix import Prefix, PrefixForm, PrefixUse, newest_round
from gateway.protocols.shared.reading import (
    optional_bool,
    optional_list,
    optional_object,
    shown_names,
)
from gateway.protocols.shared.request_fields import (
    CACHE_TTL_FIELDS,
    cache_is_explicit,
    cache_ttl,
    read_identity,
    read_model,
    read_service_tier,
)
from gateway.protocols.shared.tool_choice import choose_tools
from gateway.protocols.shared.tools import DeclaredTools, declare_tools, stub_tools
from gateway.wire import JSONObject

PREFIX_FORM = PrefixForm("messages", ("tools", "functions", "system", *CACHE_TTL_FIELDS))


def translate(body: JSONObject, prefix: PrefixUse | None = None) -> Draft:
    """The draft of a chat request. Raises InvalidRequestError with the JSON path in `param`.

    `prefix` is for requests whose beginning may come again: what is known of this one's, with the
    same tools and system text before it, and where the next one can go on.
    """
    refuse_lost_meaning(body)
    model = read_model(body)
    draft = Draft(
        asked_model=model,
        body={},
        reply=ReplyPlan(model),
        cache_ttl=cache_ttl(body),
        cache_explicit=cache_is_explicit(body),
        ignored=chat_ignored_fields(body),
    )
    marks = CacheMarks(draft.cache_ttl)
    tools = _read_messages(body, draft, marks, prefix)
    _read_choice(body, draft, tools)
    read_sampling(body, draft)
    read_identity(body, draft)
    read_service_tier(body, draft)
    read_reasoning(body, draft)
    if marks.found:
        draft.body = with_legal_marks(draft.body)
    draft.reply = _reply_plan(body, draft, tools)
    if draft.ignored:
        draft.ignored = shown_names(draft.ignored)
    return draft


def _read_messages(
    body: JSONObject, draft: Draft, marks: CacheMarks, prefix: PrefixUse | None
) -> DeclaredTools:
    """Fills messages, system text and tools of the draft; the tools are returned as declared."""
    dropped_before = len(draft.ignored)
    known = prefix.usable(body.get("messages"), begins_round) if prefix is not None else None
    if known is None:
        reader, done = _first_reader(body, draft, marks), 0
    else:
        reader, done = _next_reader(known, draft, marks), known.count
    messages = checked_messages(body.get("messages"))
    if prefix is not None and (end := newest_round(messages, begins_round, done)) > done:
        reader.read(messages, done, end)
        done = end
        rounds = reader.history.close()
        if rounds is not None:
            prefix.reached = Prefix(
                count=end,
                system=list(reader.system),
                rounds=rounds,
                tools=reader.tools.copy(),
                marked=marks.found,
                ignored=draft.ignored[dropped_before:],
            )
    reader.read(messages, done)
    _fill_body(draft, reader)
    return reader.tools


def _first_reader(body: JSONObject, draft: Draft, marks: CacheMarks) -> MessageReader:
    functions = optional_list(body.get("functions"), "functions")
    tools = declare_tools(optional_list(body.get("tools"), "tools"), functions, marks)
    content = ContentReader(marks, draft.ignored)
    reader = MessageReader(tools, content, draft.ignored)
    if "system" in body:
        reader.system += content.blocks(body["system"], "system", text_only=True)
    return reader


def _next_reader(known: Prefix, draft: Draft, marks: CacheMarks) -> MessageReader:
    """Reads on behind what is known."""
    content = ContentReader(marks, draft.ignored)
    reader = MessageReader(known.tools.copy(), content, draft.ignored, known.rounds)
    reader.system += known.system
    marks.found = known.marked
    draft.ignored += known.ignored
    return reader


def _fill_body(draft: Draft, reader: MessageReader) -> None:
    if reader.system:
        draft.body["system"] = reader.system
    draft.body["messages"] = reader.history.finish()
    definitions = reader.tools.in_order()
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
    return ReplyPlan(
        asked_model=draft.asked_model,
        stream=optional_bool(body.get("stream"), "stream") is True,
        include_usage=_includes_usage(body),
        legacy_functions=bool(body.get("functions")) and not body.get("tools"),
        original_tool_names=tools.names.originals,
        custom_tools=frozenset(tools.custom),
        wrapped_tools=frozenset(tools.wrapped),
        json_mode=json_mode,
        show_reasoning=shows_reasoning(body),
        echo_service_tier=body.get("service_tier") is not None,
    )


def _includes_usage(body: JSONObject) -> bool:
    if "stream_options" not in body:
        return False
    options = optional_object(body["stream_options"], "stream_options")
    return optional_bool(options.get("include_usage"), "stream_options.include_usage") is True
