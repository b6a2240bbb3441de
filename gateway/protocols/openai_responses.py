"""`POST /v1/responses`: the request as a `Draft` in the Messages form.

Pure and deterministic: the same body gives the same draft, and the messages of one turn of a
conversation are the beginning of the messages of its next turn.
"""

from collections.abc import Sequence

from gateway import wire
from gateway.protocols.messages_form import JSON_INSTRUCTION
from gateway.protocols.openai_responses_fields import (
    echoed,
    read_limits,
    read_reasoning,
    read_text_format,
    refuse_lost_meaning,
    response_ignored_fields,
    wants_encrypted,
)
from gateway.protocols.openai_responses_items import (
    ItemReader,
    Lookup,
    added_tools,
    begins_round,
    item_kind,
)
from gateway.protocols.openai_responses_plan import ResponsePlan, item_id
from gateway.protocols.openai_responses_tools import ResponseTools
from gateway.protocols.shared.cache_marks import CacheMarks, with_legal_marks
from gateway.protocols.shared.content import ContentReader
from gateway.protocols.shared.draft import Draft, ReplyPlan
from gateway.protocols.shared.prefix import Prefix, PrefixForm, PrefixUse, newest_round
from gateway.protocols.shared.reading import (
    invalid,
    missing,
    optional_bool,
    optional_object,
    optional_string,
    shown_names,
    wrong_type,
)
from gateway.protocols.shared.request_fields import (
    CACHE_TTL_FIELDS,
    cache_is_explicit,
    cache_ttl,
    read_identity,
    read_model,
    read_service_tier,
)
from gateway.protocols.shared.sealed_thinking import NO_THINKING, ThinkingSeal
from gateway.protocols.shared.tools import stub_tools
from gateway.structs import Struct, field
from gateway.wire import JSON, JSONObject

PREFIX_FORM = PrefixForm("input", ("tools", "instructions", *CACHE_TTL_FIELDS))


class StateWanted(Struct, frozen=True):
    """What a request needs of earlier ones before it can be translated.

    `references` are the ids of stored items that its input names.
    """

    previous_response_id: str | None
    references: list[str]


class Recalled(Struct, frozen=True):
    """What was stored: the items of the previous Response and before, and items by their ids."""

    items: Sequence[JSONObject] = ()
    lookup: Lookup = lambda _id: None


class Translated(Struct, frozen=True):
    """A request in the Messages form, and what its answer must know.

    `thinking_models` wrote the thinking in the draft; when another model is chosen, take the
    thinking out (`without_thinking`) and set `plan.chain` to `NO_THINKING`.
    """

    draft: Draft
    plan: ResponsePlan
    thinking_models: frozenset[str]


def state_wanted(body: JSONObject) -> StateWanted:
    """What must be read from the store for `body`. Raises InvalidRequestError."""
    items = body.get("input")
    references = [
        item["id"]
        for item in (items if isinstance(items, list) else ())
        if isinstance(item, dict)
        and isinstance(item.get("id"), str)
        and (item.get("type") == "item_reference" or not ("type" in item or "role" in item))
    ]
    return StateWanted(_previous(body), references)


def _previous(body: JSONObject) -> str | None:
    name = "previous_response_id"
    return optional_string(body.get(name), name) or None


class ItemsPrefix(Prefix, frozen=True):
    """The first items of a request, translated.

    `chain` and `models` are of the thinking in them; `namespaces` those of their tools.
    """

    chain: str = NO_THINKING
    models: frozenset[str] = frozenset()
    namespaces: dict[str, tuple[str, str]] = field(default_factory=dict)


def translate(
    body: JSONObject,
    recalled: Recalled | None = None,
    seal: ThinkingSeal | None = None,
    prefix: PrefixUse | None = None,
) -> Translated:
    """The draft of a Responses request, behind what was `recalled` for it.

    `prefix` is for requests whose beginning may come again, under the same seal: what is known of
    this one's, with the same tools and instructions, and where the next one can go on. Raises
    InvalidRequestError with the JSON path in `param`.
    """
    recalled = recalled or Recalled()
    refuse_lost_meaning(body)
    model = read_model(body)
    draft = Draft(asked_model=model, body={}, reply=ReplyPlan(model))
    draft.ignored = response_ignored_fields(body)
    draft.cache_ttl = cache_ttl(body)
    draft.cache_explicit = cache_is_explicit(body)
    items = own_items(body, has_earlier=bool(recalled.items))
    if prefix is not None and not _stands_alone(body, recalled, items):
        prefix = None
    reader = _read_items(body, draft, recalled, seal, prefix)
    tools = reader.tools
    _fill_body(draft, tools, reader)
    _read_choice(body, draft, tools)
    read_limits(body, draft)
    read_identity(body, draft)
    read_service_tier(body, draft)
    shows_summary = read_reasoning(body, draft)
    if tools.marks.found:
        draft.body = with_legal_marks(draft.body)
    draft.reply = _reply_plan(body, draft, tools, shows_summary)
    plan = _response_plan(body, tools, reader)
    draft.ignored = shown_names(draft.ignored)
    return Translated(draft, plan, frozenset(reader.models))


def _stands_alone(body: JSONObject, recalled: Recalled, items: list[JSON]) -> bool:
    """True when what the first items come to depends on nothing behind them, and nothing stored."""
    return not (recalled.items or added_tools(items) or state_wanted(body).references)


def _read_items(
    body: JSONObject,
    draft: Draft,
    recalled: Recalled,
    seal: ThinkingSeal | None,
    prefix: PrefixUse | None,
) -> ItemReader:
    """Reads tools and items, behind what is known of them."""
    dropped_before = len(draft.ignored)
    known = prefix.usable(body.get("input"), begins_round) if prefix is not None else None
    tools = ResponseTools(CacheMarks(draft.cache_ttl), draft.ignored)
    content = ContentReader(tools.marks, draft.ignored)
    items = own_items(body, has_earlier=bool(recalled.items))
    if isinstance(known, ItemsPrefix):
        tools.declared, tools.namespaces = known.tools.copy(), dict(known.namespaces)
        tools.marks.found = known.marked
        draft.ignored += known.ignored
        reader = ItemReader(tools, content, seal, recalled.lookup, known.rounds)
        reader.go_on(known.system, known.chain, known.models)
        done = known.count
    else:
        _declare_tools(body, recalled.items, items, tools)
        reader = ItemReader(tools, content, seal, recalled.lookup)
        reader.read_instructions(body.get("instructions"))
        reader.read(recalled.items, "previous_response_id")
        done = 0
    if prefix is not None and (end := newest_round(items, begins_round, done)) > done:
        reader.read(items, "input", done, end)
        done = end
        prefix.reached = _reached(end, reader, draft.ignored[dropped_before:])
    reader.read(items, "input", done)
    return reader


def _declare_tools(
    body: JSONObject, earlier: Sequence[JSONObject], items: list[JSON], tools: ResponseTools
) -> None:
    tools.declare(body.get("tools"), "tools")
    for _, added in added_tools(earlier):
        tools.declare(added, "previous_response_id")
    for index, added in added_tools(items):
        tools.declare(added, f"input[{index}].tools")


def _reached(count: int, reader: ItemReader, ignored: list[str]) -> ItemsPrefix | None:
    """What the first items came to; None where it cannot be used again."""
    rounds = reader.history.close()
    tools = reader.tools
    if rounds is None:
        return None
    return ItemsPrefix(
        count=count,
        system=list(reader.system),
        rounds=rounds,
        tools=tools.declared.copy(),
        marked=tools.marks.found,
        ignored=ignored,
        chain=reader.chain,
        models=frozenset(reader.models),
        namespaces=dict(tools.namespaces),
    )


def own_items(body: JSONObject, *, has_earlier: bool = False) -> list[JSON]:
    """The `input` of a request as a list of items; a string is a message of the user."""
    given = body.get("input")
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": given}]
    if given is None:
        if has_earlier:
            return []
        raise missing("input")
    if not isinstance(given, list):
        raise wrong_type("input", "a string or an array of items", given)
    if not given and not has_earlier:
        raise invalid("input", "must not be empty")
    return given


def stored_input(body: JSONObject, response_id: str, lookup: Lookup) -> list[JSONObject]:
    """The input items as they are kept and listed: each with a type and an id, none a reference.

    `body` has been translated before, with the same `lookup`. Texts become lists of parts, as the
    API lists them.
    """
    items: list[JSONObject] = []
    for index, item in enumerate(own_items(body, has_earlier=True)):
        whole = item
        if item_kind(item, "input") == "item_reference":
            whole = lookup(item["id"]) or item
        own_id = whole.get("id") or item_id(response_id, "in", index)
        kept = {"type": "message", **whole, "id": own_id}
        if kept["type"] == "message" and isinstance(kept.get("content"), str):
            kind = "output_text" if kept.get("role") == "assistant" else "input_text"
            kept["content"] = [{"type": kind, "text": kept["content"]}]
        items.append(kept)
    return items


def _fill_body(draft: Draft, tools: ResponseTools, reader: ItemReader) -> None:
    if reader.system:
        draft.body["system"] = reader.system
    draft.body["messages"] = reader.history.finish()
    definitions = tools.declared.in_order()
    if definitions:
        draft.body["tools"] = definitions
    elif reader.history.called:  # tool blocks need tools, and none may be called
        draft.body["tools"] = stub_tools(list(reader.history.called))
        draft.body["tool_choice"] = {"type": "none"}


def _read_choice(body: JSONObject, draft: Draft, tools: ResponseTools) -> None:
    choice = tools.choose(body)
    if choice.value is not None:
        draft.body["tool_choice"] = choice.value
    if choice.instruction is not None:
        draft.instructions.append(choice.instruction)
    if tools.declared.strict:
        draft.ignored.append("tools.strict")


def _reply_plan(
    body: JSONObject, draft: Draft, tools: ResponseTools, shows_summary: bool
) -> ReplyPlan:
    json_mode = read_text_format(body, draft)
    if json_mode == "object":
        draft.instructions.append(JSON_INSTRUCTION)
    options = optional_object(body.get("stream_options"), "stream_options")
    include_usage = optional_bool(options.get("include_usage"), "stream_options.include_usage")
    return ReplyPlan(
        asked_model=draft.asked_model,
        stream=optional_bool(body.get("stream"), "stream") is True,
        include_usage=include_usage is True,
        original_tool_names=tools.declared.names.originals,
        custom_tools=frozenset(tools.declared.custom),
        wrapped_tools=frozenset(tools.declared.wrapped),
        json_mode=json_mode,
        show_reasoning=shows_summary,
        echo_service_tier=body.get("service_tier") is not None,
    )


def _response_plan(body: JSONObject, tools: ResponseTools, reader: ItemReader) -> ResponsePlan:
    echo = echoed(body)
    return ResponsePlan(
        echo=echo,
        echo_json=wire.dumps(echo),
        encrypted=wants_encrypted(body, tools.ignored),
        store=optional_bool(body.get("store"), "store") is not False,
        previous_response_id=_previous(body),
        namespaces=tools.namespaces,
        chain=reader.chain,
    )
