r"""Markers: `[[sim:...]]` in the newest user text directs the answer.

Grammar of a marker: `[[sim:` DIRECTIVE ARGUMENTS `]]`. Several markers are taken in order; blocks
come in the order of their markers. ARGUMENTS are words `key=value` unless said otherwise.

    [[sim:text Hello there]]              text block; the rest of the marker is the text
    [[sim:deltas count=100 chars=5 interval=0.01]]
                                          text block of so many deltas, seconds apart
    [[sim:thinking Let me see]]           thinking block with that text; without text: empty
    [[sim:redacted]]                      redacted_thinking block
    [[sim:tool NAME {"json": "input"}]]   tool_use block; several make parallel calls
    [[sim:refusal category=cyber]]        stop_reason refusal with stop_details
    [[sim:stop max_tokens]]               that stop_reason (pause_turn, end_turn,
                                          model_context_window_exceeded, stop_sequence sequence=X)
    [[sim:error overloaded_error]]        error by its type or status; status= retry_after= code=
                                          message="two words"; after=K: as SSE event after K events
    [[sim:cut bytes=100]]                 close the connection after bytes= or events=; reset=1: RST
    [[sim:silence after_events events=2 seconds=30]]
                                          no bytes; before_head, after_head or after_events
    [[sim:pings count=3 interval=1 only=1]]  ping events; only=1: nothing after them
    [[sim:split 1]]                       every write carries exactly so many bytes
    [[sim:pace 0.2]]                      seconds between events
    [[sim:head 1.5]]                      seconds before the response head
    [[sim:malformed events=2]]            an event of broken JSON after so many events
    [[sim:unknown]]                       events of unknown types in between
    [[sim:crlf]]                          CRLF line ends
    [[sim:usage output_tokens=5]]         overrides in usage

A marker that is not understood is a 400, so that a test never passes by a typing error.
"""

import re
import shlex
from collections.abc import Callable

from simulator.errors import ERROR_TYPES, invalid
from simulator.wire import Json, JsonError, JsonValue, loads

_OPEN = "[[sim:"
_CLOSE = "]]"
_NUMBER = re.compile(r"^-?\d+(\.\d+)?$")


def script_from_text(text: str) -> Json | None:
    """The script of all markers in a text, in the form `plan.plan_from` reads; None without any."""
    script: Json = {}
    position = text.find(_OPEN)
    while position >= 0:
        position = _take(text, position + len(_OPEN), script)
        position = text.find(_OPEN, position)
    return script or None


def without_markers(text: str) -> str:
    """The text with its markers removed."""
    return re.sub(r"\[\[sim:.*?\]\]", "", text, flags=re.DOTALL).strip()


def _take(text: str, start: int, script: Json) -> int:
    """Reads one marker; JSON in it may hold `]]`, so the first end that parses is taken."""
    end = text.find(_CLOSE, start)
    while end >= 0:
        name, _, rest = text[start:end].partition(" ")
        if name != "tool" or _tool(rest.strip()) is not None:
            break
        end = text.find(_CLOSE, end + 1)
    if end < 0:
        raise invalid("marker", f"a marker without a readable end: {text[start : start + 40]}")
    directive = _DIRECTIVES.get(name.strip())
    if directive is None:
        raise invalid("marker", f"unknown directive '{name}'; known: {', '.join(_DIRECTIVES)}")
    directive(rest.strip(), script)
    return end + len(_CLOSE)


def _words(rest: str) -> tuple[list[str], Json]:
    """Plain words, and `key=value` words with numbers read."""
    plain: list[str] = []
    named: Json = {}
    for word in shlex.split(rest):
        key, equals, value = word.partition("=")
        if equals and key.isidentifier():
            named[key] = _scalar(value)
        else:
            plain.append(word)
    return plain, named


def _scalar(value: str) -> JsonValue:
    if _NUMBER.match(value):
        return float(value) if "." in value else int(value)
    return value


def _first_number(rest: str) -> float:
    plain, _ = _words(rest)
    if len(plain) != 1 or not _NUMBER.match(plain[0]):
        raise invalid("marker", f"a number is expected, not '{rest}'")
    return float(plain[0])


def _add_block(script: Json, block: Json) -> None:
    script.setdefault("blocks", []).append(block)


def _deliver(script: Json, **values: JsonValue) -> None:
    script.setdefault("delivery", {}).update(values)


def _text(rest: str, script: Json) -> None:
    _add_block(script, {"type": "text", "text": rest})


def _thinking(rest: str, script: Json) -> None:
    _add_block(script, {"type": "thinking", "thinking": rest})


def _redacted(_rest: str, script: Json) -> None:
    _add_block(script, {"type": "redacted_thinking"})


def _deltas(rest: str, script: Json) -> None:
    _, named = _words(rest)
    repeat = {"count": named.get("count", 10), "chars": named.get("chars", 5)}
    _add_block(script, {"type": "text", "repeat": repeat})
    if "interval" in named:
        paced = named["interval"] != "step"  # instant mode's word for: as fast as it goes
        _deliver(script, delay_seconds=float(named["interval"]) if paced else 0.0)


def _tool(rest: str) -> tuple[str, Json] | None:
    name, _, arguments = rest.partition(" ")
    try:
        value = loads(arguments) if arguments.strip() else {}
    except JsonError:
        return None
    return (name, value) if name and isinstance(value, dict) else None


def _add_tool(rest: str, script: Json) -> None:
    parsed = _tool(rest)
    if parsed is not None:
        _add_block(script, {"type": "tool_use", "name": parsed[0], "input": parsed[1]})


def _refusal(rest: str, script: Json) -> None:
    plain, named = _words(rest)
    script["stop_reason"] = "refusal"
    script["stop_details"] = {
        "type": "refusal",
        "category": named.get("category"),
        "explanation": named.get("explanation") or " ".join(plain) or None,
    }
    script.setdefault("blocks", [])


def _stop(rest: str, script: Json) -> None:
    plain, named = _words(rest)
    script["stop_reason"] = plain[0] if plain else named.get("reason")
    if "sequence" in named:
        script["stop_sequence"] = str(named["sequence"])


def _error(rest: str, script: Json) -> None:
    plain, named = _words(rest)
    error: Json = {}
    kind = plain[0] if plain else named.get("type", "api_error")
    if str(kind).isdigit():
        named.setdefault("status", int(kind))
        kind = ERROR_TYPES.get(int(kind), "api_error")
    error["type"] = kind if str(kind).endswith("_error") or kind == "request_too_large" else ""
    error["type"] = error["type"] or f"{kind}_error"
    names = {"code": "error_code", "after": "after_events"}
    for key, value in named.items():
        error[names.get(key, key)] = value
    script["error"] = error


def _cut(rest: str, script: Json) -> None:
    _, named = _words(rest)
    if not named.keys() & {"bytes", "events"}:
        raise invalid("marker", "cut takes bytes= or events=")
    if "bytes" in named:
        _deliver(script, cut_bytes=named["bytes"])
    if "events" in named:
        _deliver(script, cut_events=named["events"])
    _deliver(script, reset=bool(named.get("reset", 0)))


def _silence(rest: str, script: Json) -> None:
    plain, named = _words(rest)
    _deliver(
        script,
        silence_place=plain[0] if plain else "before_head",
        silence_events=int(named.get("events", 0)),
        silence_seconds=float(named.get("seconds", 30)),
    )


def _pings(rest: str, script: Json) -> None:
    _, named = _words(rest)
    _deliver(
        script,
        pings=int(named.get("count", 3)),
        ping_seconds=float(named.get("interval", 0)),
        pings_only=bool(named.get("only", 0)),
    )


def _split(rest: str, script: Json) -> None:
    _deliver(script, split_bytes=int(_first_number(rest)))


def _pace(rest: str, script: Json) -> None:
    _deliver(script, delay_seconds=_first_number(rest))


def _head(rest: str, script: Json) -> None:
    _deliver(script, head_delay_seconds=_first_number(rest))


def _malformed(rest: str, script: Json) -> None:
    _, named = _words(rest)
    _deliver(script, malformed_events=int(named.get("events", 1)))


def _unknown(_rest: str, script: Json) -> None:
    _deliver(script, unknown=True)


def _crlf(_rest: str, script: Json) -> None:
    _deliver(script, crlf=True)


def _usage(rest: str, script: Json) -> None:
    _, named = _words(rest)
    script.setdefault("usage", {}).update(named)


_DIRECTIVES: dict[str, Callable[[str, Json], None]] = {
    "text": _text,
    "deltas": _deltas,
    "thinking": _thinking,
    "redacted": _redacted,
    "tool": _add_tool,
    "refusal": _refusal,
    "stop": _stop,
    "error": _error,
    "cut": _cut,
    "silence": _silence,
    "pings": _pings,
    "split": _split,
    "pace": _pace,
    "head": _head,
    "malformed": _malformed,
    "unknown": _unknown,
    "crlf": _crlf,
    "usage": _usage,
}
