"""One form for the same content, where clients write it differently from turn to turn.

Translators do most of it: tools sorted by name, arguments parsed once, messages of one role joined.
What is left are ids of calls that a client makes anew for every request.
"""

from gateway.wire import JSONObject


def with_ordinal_ids(messages: list[JSONObject]) -> list[JSONObject]:
    """The messages with the ids of calls and results replaced by their place in the conversation.

    For clients that make new ids each time: the model only needs call and result to agree.
    """
    names: dict[str, str] = {}
    changed: list[JSONObject] = []
    for message in messages:
        content = message["content"]
        renamed = [_renamed(block, names) for block in content]
        same = all(new is old for new, old in zip(renamed, content, strict=True))
        changed.append(message if same else {**message, "content": renamed})
    return changed


def _renamed(block: JSONObject, names: dict[str, str]) -> JSONObject:
    kind = block["type"]
    if kind == "tool_use":
        ordinal = names.setdefault(block["id"], f"call_{len(names) + 1}")
        return {**block, "id": ordinal}
    if kind == "tool_result":
        return {**block, "tool_use_id": names.get(block["tool_use_id"], block["tool_use_id"])}
    return block
