"""JSON Schema of any draft made valid for draft 2020-12, keyword by keyword.

The API refuses a request with one invalid schema in one tool ("It must match JSON Schema draft
2020-12"). Left-overs of drafts 4 to 7 and of OpenAPI are converted; a keyword whose value makes no
sense is dropped. A schema that is valid already is returned as the same object.
"""

from collections.abc import Callable

from gateway.protocols.shared.reading import invalid
from gateway.wire import JSON, JSONObject

MAX_DEPTH = 64  # schemas nested deeper are an attack or a circle that was written out
TYPES = frozenset({"object", "array", "string", "integer", "number", "boolean", "null"})
_TYPE_NAMES = {
    "int": "integer", "long": "integer", "float": "number", "double": "number", "decimal": "number",
    "bool": "boolean", "str": "string", "text": "string", "dict": "object", "map": "object",
    "list": "array", "tuple": "array", "none": "null",
}  # fmt: skip


class _Drop:
    """Marks a keyword that has to go."""


_DROP = _Drop()


class _TooDeepError(ValueError):
    """The schema is nested deeper than MAX_DEPTH."""


def cleaned(schema: JSONObject, param: str) -> JSONObject:
    """`schema` as valid draft 2020-12. Raises InvalidRequestError when it is nested too deeply."""
    try:
        return _schema(schema, 0)
    except _TooDeepError:
        raise invalid(param, f"is nested deeper than {MAX_DEPTH} levels") from None


def _schema(schema: JSONObject, depth: int) -> JSONObject:
    if depth > MAX_DEPTH:
        raise _TooDeepError
    result = schema
    for key, value in schema.items():
        # By far the most frequent values, and valid ones.
        if key == "description" and value.__class__ is str:
            continue
        if key == "type" and value.__class__ is str and value in TYPES:
            continue
        check = _CHECKS.get(key)
        if check is None:
            continue
        new = check(value, depth)
        if new is value:
            continue
        if result is schema:
            result = dict(schema)
        if new is _DROP:
            del result[key]
        else:
            result[key] = new
    return _converted(schema, result)


def _converted(schema: JSONObject, result: JSONObject) -> JSONObject:
    """What older drafts say by one keyword and 2020-12 by another, moved from `schema`."""
    if isinstance(schema.get("items"), list):
        result["prefixItems"] = result.pop("items")
        if "additionalItems" in result:
            result["items"] = result.pop("additionalItems")
        if not result["prefixItems"]:
            del result["prefixItems"]
    for word, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if schema.get(word) is True and bound in result:
            result[word] = result.pop(bound)
    if schema.get("nullable") is True:
        kind = result.get("type")
        if isinstance(kind, str) and kind != "null":
            result["type"] = [kind, "null"]
            if isinstance(result.get("enum"), list) and None not in result["enum"]:
                result["enum"] = [*result["enum"], None]
    return result


def _subschema(value: JSON, depth: int) -> JSON:
    if isinstance(value, dict):
        return _schema(value, depth + 1)
    return value if isinstance(value, bool) else _DROP


def _member(value: JSON, depth: int) -> JSON:
    """A sub-schema whose place must stay filled: what is no schema admits anything."""
    new = _subschema(value, depth)
    return {} if new is _DROP else new


def _schemas_by_name(value: JSON, depth: int) -> JSON:
    if not isinstance(value, dict):
        return _DROP
    result = value
    for name, item in value.items():
        new = _member(item, depth)
        if new is not item:
            if result is value:
                result = dict(value)
            result[name] = new
    return result


def _schema_list(value: JSON, depth: int) -> JSON:
    if not isinstance(value, list) or not value:
        return _DROP
    new = [_member(item, depth) for item in value]
    return value if all(map(_same, new, value)) else new


def _same(one: JSON, other: JSON) -> bool:
    return one is other


def _items(value: JSON, depth: int) -> JSON:
    if isinstance(value, list):  # becomes prefixItems
        return [_member(item, depth) for item in value]
    return _subschema(value, depth)


def _type(value: JSON, _depth: int) -> JSON:
    if isinstance(value, str):
        if value in TYPES:
            return value
        name = value.lower()
        return name if name in TYPES else _TYPE_NAMES.get(name, _DROP)
    if isinstance(value, list):
        names = [_type(item, 0) for item in value]
        known = list(dict.fromkeys(name for name in names if isinstance(name, str)))
        if known == value and known:
            return value
        return known or _DROP
    return _DROP


def _reference(value: JSON, _depth: int) -> JSON:
    return value if isinstance(value, str) and value.startswith("#") else _DROP


def _names(value: JSON, _depth: int) -> JSON:
    if not isinstance(value, list):  # draft 3 and 4 wrote `required: true` on the property
        return _DROP
    names = list(dict.fromkeys(name for name in value if isinstance(name, str)))
    return value if names == value else names


def _names_by_name(value: JSON, depth: int) -> JSON:
    if isinstance(value, dict) and all(_names(names, depth) is names for names in value.values()):
        return value
    return _DROP


def _number(value: JSON, _depth: int) -> JSON:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else _DROP


def _positive(value: JSON, depth: int) -> JSON:
    return value if _number(value, depth) is value and value > 0 else _DROP


def _count(value: JSON, depth: int) -> JSON:
    if _number(value, depth) is _DROP or value < 0 or value != value // 1:
        return _DROP
    return value


def _string(value: JSON, _depth: int) -> JSON:
    return value if isinstance(value, str) else _DROP


def _boolean(value: JSON, _depth: int) -> JSON:
    return value if isinstance(value, bool) else _DROP


def _list(value: JSON, _depth: int) -> JSON:
    return value if isinstance(value, list) else _DROP


def _dropped(_value: JSON, _depth: int) -> JSON:
    return _DROP


def _table(
    *rows: tuple[Callable[[JSON, int], JSON], str],
) -> dict[str, Callable[[JSON, int], JSON]]:
    return {word: check for check, words in rows for word in words.split()}


_CHECKS = _table(
    (_type, "type"),
    (_reference, "$ref"),
    (_items, "items"),
    (_schemas_by_name, "properties patternProperties $defs definitions dependentSchemas"),
    (_schema_list, "anyOf oneOf allOf prefixItems"),
    (
        _subschema,
        "additionalProperties additionalItems not if then else contains propertyNames "
        "unevaluatedItems unevaluatedProperties contentSchema",
    ),
    (_names, "required"),
    (_names_by_name, "dependentRequired"),
    (_number, "minimum maximum exclusiveMinimum exclusiveMaximum"),
    (_positive, "multipleOf"),
    (
        _count,
        "minLength maxLength minItems maxItems minProperties maxProperties minContains maxContains",
    ),
    (_string, "description title format pattern $comment contentMediaType contentEncoding"),
    (_boolean, "uniqueItems deprecated readOnly writeOnly"),
    (_list, "enum examples"),
    (
        _dropped,
        "$schema $id nullable dependencies $anchor $dynamicRef $dynamicAnchor $vocabulary "
        "$recursiveRef $recursiveAnchor",
    ),
)
