"""Arguments of earlier tool calls: the JSON text of OpenAI as the object of Claude.

Histories hold arguments cut in the middle of a stream, with raw line breaks in strings or written
twice; none of that may fail a request. What cannot be read is kept word for word under
`INVALID_JSON`, the form Anthropic's documentation suggests for it.
"""

import re

from gateway import wire
from gateway.wire import JSON, JSONObject

_MAX_BRACKETS = 200  # more might be nested deeper than a JSON writer goes (254 levels)
# A string, its text as group 1 even when cut off before its end; or a bracket. The quantifiers are
# possessive: hostile text must not make the search go back.
_TOKEN = re.compile(r'"((?:[^"\\]++|\\.)*+)(?:"|\\?\Z)|[{}\[\]]', re.DOTALL)
_IN_STRING = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})|\\|[\x00-\x1f]')
_CLOSERS = {"{": "}", "[": "]"}


def tool_input(arguments: JSON, *, custom: bool = False, wrapped: bool = False) -> JSONObject:
    """The `input` of a tool_use block for the `arguments` of a call.

    A custom tool's text goes under `input`; a wrapped tool's value under `value`, as does anything
    that is not an object.
    """
    if custom:
        return _custom_input(arguments)
    value = _parsed(arguments) if isinstance(arguments, str) else arguments
    if value is None and not wrapped:
        return {}
    if value is _UNREADABLE:
        return {"INVALID_JSON": arguments}
    if isinstance(value, dict) and not wrapped:
        return value
    return {"value": value}


class _Unreadable:
    """Marks text that no repair makes JSON."""


_UNREADABLE = _Unreadable()


def _custom_input(arguments: JSON) -> JSONObject:
    """A custom call comes back as its raw text, or as JSON when it was streamed as a function."""
    if isinstance(arguments, str):
        if arguments.lstrip().startswith("{"):
            value = _parsed(arguments)
            if isinstance(value, dict) and isinstance(value.get("input"), str) and len(value) == 1:
                return value
        return {"input": arguments}
    if isinstance(arguments, dict) and isinstance(arguments.get("input"), str):
        return arguments
    return {"input": "" if arguments is None else wire.dumps_text(arguments)}


def _parsed(text: str) -> JSON:
    """The value of `text`, repaired when need be; an object written as a JSON string is opened."""
    if not text or text.isspace():
        return {}
    value = _loaded(text)
    if value is _UNREADABLE:
        repaired = _repaired(text)
        value = _UNREADABLE if repaired is None else _loaded(repaired)
    if isinstance(value, str) and value.lstrip().startswith("{"):
        inner = _loaded(value)
        if isinstance(inner, dict):
            return inner
    return value


def _loaded(text: str) -> JSON:
    # The brackets are counted before the parse: a value nested too deep could not be written again.
    if text.count("{") + text.count("[") > _MAX_BRACKETS and _depth(text) > _MAX_BRACKETS:
        return _UNREADABLE
    try:
        return wire.loads(text)
    except wire.JSONDecodeError:
        return _UNREADABLE


def _depth(text: str) -> int:
    deepest = depth = 0
    for token in _TOKEN.finditer(text):
        first = text[token.start()]
        if first in _CLOSERS:
            depth += 1
            deepest = max(deepest, depth)
        elif first != '"':
            depth -= 1
    return deepest


def _repaired(text: str) -> str | None:
    """`text` with its first value closed, strings escaped, trailing commas gone; None if hopeless.

    Text behind the first complete value is left out: some clients write the arguments twice.
    """
    out: list[str] = []
    open_brackets: list[str] = []
    end = 0
    for token in _TOKEN.finditer(text):
        out.append(text[end : token.start()])
        end = token.end()
        piece = token.group()
        if piece[0] == '"':
            out.append(f'"{_IN_STRING.sub(_escaped, token.group(1))}"')
        elif piece in _CLOSERS:
            open_brackets.append(_CLOSERS[piece])
            out.append(piece)
        elif not open_brackets or open_brackets.pop() != piece:
            return None
        else:
            out[-1] = _without_comma(out[-1])
            out.append(piece)
            if not open_brackets:
                return "".join(out)
    if not open_brackets:
        return None
    out.append(_without_comma(text[end:]))
    out.extend(reversed(open_brackets))
    return "".join(out)


def _escaped(match: re.Match[str]) -> str:
    found = match.group()
    if len(found) > 1:
        return found
    return "\\\\" if found == "\\" else f"\\u{ord(found):04x}"


def _without_comma(gap: str) -> str:
    bare = gap.rstrip()
    return bare[:-1] if bare.endswith(",") else gap
