"""Parameter schemas of tools as Claude takes them: an object at the top, JSON Schema 2020-12 below.

Keywords are hints for tools that are not strict, so every valid one stays; only what the API would
refuse the whole request for is rewritten. The API refuses `oneOf`, `anyOf` and `allOf` at the top.
"""

from functools import lru_cache

from gateway import wire
from gateway.errors import InvalidRequestError
from gateway.protocols.shared.reading import wrong_type
from gateway.protocols.shared.schema_keywords import cleaned
from gateway.wire import JSON, JSONObject

_COMBINATIONS = ("allOf", "anyOf", "oneOf")
_DEFINITIONS = ("$defs", "definitions")
_MAX_HOPS = 16  # references at the top that lead to references; more is a circle
_MAX_NODES = 256  # branches of branches looked at before a schema is wrapped instead
_ANNOTATIONS = frozenset({*_DEFINITIONS, "description", "title", *_COMBINATIONS})
_REMEMBERED = 512  # schemas, of some dozen clients; they come again with every request
_REMEMBERED_BYTES = 4096


def input_schema(parameters: JSON, param: str) -> tuple[JSONObject, bool]:
    """The `input_schema` for `parameters`, and whether it was wrapped.

    A wrapped schema is `{"value": <schema>}`: the tool takes something that is not an object.
    The schema is shared by all requests that send the same one: nobody may change it.
    Raises InvalidRequestError when `parameters` is no schema at all.
    """
    if parameters is None or parameters == []:  # PHP writes an empty object as []
        return {"type": "object", "properties": {}}, False
    if not isinstance(parameters, dict):
        raise wrong_type(param, "an object", parameters)
    try:
        raw = wire.dumps(parameters)
        if len(raw) <= _REMEMBERED_BYTES:
            return _remembered(_Parameters(raw, parameters))
    except InvalidRequestError:
        pass  # told again, with its path
    return _made(parameters, param)


class _Parameters:
    """A schema that is found again by its JSON."""

    __slots__ = ("_raw", "value")

    def __init__(self, raw: bytes, value: JSONObject) -> None:
        self._raw = raw
        self.value = value

    def __hash__(self) -> int:
        return hash(self._raw)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Parameters) and self._raw == other._raw


@lru_cache(maxsize=_REMEMBERED)
def _remembered(parameters: _Parameters) -> tuple[JSONObject, bool]:
    return _made(parameters.value, "")


def _made(parameters: JSONObject, param: str) -> tuple[JSONObject, bool]:
    schema = _dereferenced(cleaned(parameters, param))
    if schema.get("type") == "object" and not any(word in schema for word in _COMBINATIONS):
        return (schema if "properties" in schema else {**schema, "properties": {}}), False
    flat = _Flattening(schema).flat(schema)
    if flat is not None:
        return flat, False
    return _wrapped(schema), True


def _dereferenced(schema: JSONObject) -> JSONObject:
    """`schema` with a reference at its top replaced by what it names."""
    for _ in range(_MAX_HOPS):
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return schema
        target = resolved(schema, reference)
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        schema = {**target, **rest} if isinstance(target, dict) else rest
    return {key: value for key, value in schema.items() if key != "$ref"}


def resolved(root: JSONObject, reference: str) -> JSON:
    """What an internal reference such as `#/$defs/Item` names in `root`; None when nothing."""
    if not reference.startswith("#"):
        return None
    target: JSON = root
    for step in reference[1:].split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        target = target.get(key) if isinstance(target, dict) else None
    return target


def _kind(schema: JSONObject) -> str | None:
    """The one type that matters: `object` also out of a list of types; None when not said."""
    kind = schema.get("type")
    if isinstance(kind, list):
        return "object" if "object" in kind else str(kind[0])
    if kind is None and ("properties" in schema or "required" in schema):
        return "object"
    return kind


class _Flattening:
    """Makes one object schema out of combinations, looking at no more than a few hundred nodes."""

    def __init__(self, root: JSONObject) -> None:
        self._root = root
        self._left = _MAX_NODES

    def flat(self, schema: JSONObject) -> JSONObject | None:
        """An object schema that admits what the combinations in `schema` admit, None if impossible.

        Properties of all branches are offered; required is what every way through requires.
        """
        self._left -= 1
        kind = _kind(schema)
        if kind not in (None, "object") or self._left < 0:
            return None
        properties = dict(schema.get("properties") or {})
        required = list(schema.get("required") or [])
        hints = [schema["description"]] if schema.get("description") else []
        combined = False
        for word in _COMBINATIONS:
            branches = self._object_branches(schema.get(word) or [], kind)
            if branches is None:
                return None
            combined = combined or bool(branches)
            _merge_properties(properties, branches)
            required += _required(branches, every=word == "allOf")
            if word != "allOf":
                hints += _alternatives(branches)
        if kind is None and not combined and not set(schema) <= _ANNOTATIONS:
            return None
        flat = {key: value for key, value in schema.items() if key not in _COMBINATIONS}
        flat.update({"type": "object", "properties": properties})
        if required:
            flat["required"] = list(dict.fromkeys(required))
        if hints:
            flat["description"] = "\n".join(hints)
        return flat

    def _object_branches(self, branches: list[JSON], kind: str | None) -> list[JSONObject] | None:
        """The branches as flat objects; None when one cannot be. Null branches do not count."""
        flat: list[JSONObject] = []
        for branch in branches:
            if not isinstance(branch, dict) or branch.get("type") == "null":
                continue
            target = branch
            if isinstance(branch.get("$ref"), str):
                found = resolved(self._root, branch["$ref"])
                target = found if isinstance(found, dict) else {}
            one = self.flat(target)
            if one is not None:
                flat.append(one)
            elif kind != "object":
                return None
        return flat


def _merge_properties(properties: JSONObject, branches: list[JSONObject]) -> None:
    for branch in branches:
        for name, schema in branch["properties"].items():
            known = properties.get(name)
            if known is None:
                properties[name] = schema
            elif known != schema:
                ways = (
                    known["anyOf"] if isinstance(known, dict) and [*known] == ["anyOf"] else [known]
                )
                properties[name] = {"anyOf": ways if schema in ways else [*ways, schema]}


def _required(branches: list[JSONObject], *, every: bool) -> list[str]:
    """Names all branches require, or with `every` those that any of them does, in order."""
    lists = [branch.get("required") or [] for branch in branches]
    if not lists:
        return []
    if every:
        return [name for names in lists for name in names]
    everywhere = set(lists[0]).intersection(*lists[1:])
    return [name for name in lists[0] if name in everywhere]


def _alternatives(branches: list[JSONObject]) -> list[str]:
    """One sentence about the sets of properties that go together, when they differ."""
    sets = list(dict.fromkeys(tuple(branch.get("required") or ()) for branch in branches))
    if len(sets) < 2:
        return []
    named = [f"[{', '.join(names)}]" for names in sets]
    return [f"Give one of these sets of properties: {' or '.join(named)}."]


def _wrapped(schema: JSONObject) -> JSONObject:
    """An object whose `value` is `schema`; definitions stay where references look for them."""
    inner = {key: value for key, value in schema.items() if key not in _DEFINITIONS}
    outer: JSONObject = {"type": "object", "properties": {"value": inner}, "required": ["value"]}
    for word in _DEFINITIONS:
        if word in schema:
            outer[word] = schema[word]
    return outer
