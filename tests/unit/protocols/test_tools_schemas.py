"""Tool schemas made valid, and output schemas made to fit structured outputs."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from gateway.errors import InvalidRequestError
from gateway.protocols.shared.output_schemas import SchemaMisfitError, fit_output_schema
from gateway.protocols.shared.tool_schemas import input_schema

A: dict[str, Any] = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
B: dict[str, Any] = {"type": "object", "properties": {"b": {"type": "integer"}}, "required": ["b"]}


def schema(parameters: Any) -> dict[str, Any]:
    made, wrapped = input_schema(parameters, "p")
    assert not wrapped
    Draft202012Validator.check_schema(made)
    return made


def test_a_valid_schema_is_passed_on_as_it_is() -> None:
    valid = {
        "type": "object",
        "properties": {
            "n": {"type": "integer", "minimum": 1, "description": "how many"},
            "k": {"enum": ["a", None]},
            "m": {"type": "object", "additionalProperties": {"type": "string"}},
            "r": {"$ref": "#/$defs/x"},
            "o": {"oneOf": [{"type": "string"}, {"type": "null"}]},
        },
        "required": ["n"],
        "additionalProperties": False,
        "$defs": {"x": {"type": ["string", "null"]}},
    }
    assert schema(valid) is valid


@pytest.mark.parametrize("parameters", [None, {}, [], {"type": "object"}, {"properties": {}}])
def test_missing_parts_are_filled_in(parameters: Any) -> None:
    assert schema(parameters) == {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"type": "number", "minimum": 3, "exclusiveMinimum": True},
         {"type": "number", "exclusiveMinimum": 3}),
        ({"type": "number", "maximum": 3, "exclusiveMaximum": False},
         {"type": "number", "maximum": 3}),
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": "string", "nullable": True, "enum": ["a"]},
         {"type": ["string", "null"], "enum": ["a", None]}),
        ({"type": "array", "items": [{"type": "int"}], "additionalItems": False},
         {"type": "array", "prefixItems": [{"type": "integer"}], "items": False}),
        ({"type": "STRING"}, {"type": "string"}),
        ({"type": "any"}, {}),
        ({"type": None, "description": None, "enum": None}, {}),
        ({"type": "string", "required": True}, {"type": "string"}),
        ({"$schema": "x", "$id": "y", "type": "string"}, {"type": "string"}),
        ({"$ref": "https://example.com/x.json"}, {}),
        ({"anyOf": []}, {}),
        ({"anyOf": [{"type": "string"}, None]}, {"anyOf": [{"type": "string"}, {}]}),
        ({"type": "string", "maxLength": "10"}, {"type": "string"}),
        ("string", {}),
    ],
)  # fmt: skip
def test_leftovers_of_older_drafts_are_converted(old: Any, new: Any) -> None:
    assert schema({"type": "object", "properties": {"x": old}})["properties"]["x"] == new


def test_values_that_look_like_keywords_are_left_alone() -> None:
    valid = {
        "type": "object",
        "properties": {"type": {"type": "string", "default": {"nullable": True, "type": "any"}}},
    }
    assert schema(valid) is valid


def test_alternatives_at_the_top_are_merged() -> None:
    made = schema({"description": "d", "anyOf": [A, B]})
    assert made["properties"] == {**A["properties"], **B["properties"]}
    assert "required" not in made
    assert made["description"] == "d\nGive one of these sets of properties: [a] or [b]."
    both = schema({"allOf": [A, B]})
    assert both["required"] == ["a", "b"]


def test_a_property_that_differs_between_alternatives_may_be_either() -> None:
    other = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    made = schema({"oneOf": [A, other, A]})
    assert made["properties"]["a"] == {"anyOf": [{"type": "string"}, {"type": "integer"}]}
    assert made["required"] == ["a"]


def test_alternatives_of_required_sets_become_a_sentence() -> None:
    made = schema(
        {
            "type": "object",
            "properties": {"a": {}, "b": {}},
            "oneOf": [{"required": ["a"]}, {"required": ["b"]}],
        }
    )
    assert made["description"] == "Give one of these sets of properties: [a] or [b]."


def test_a_reference_at_the_top_is_resolved() -> None:
    made = schema({"$ref": "#/definitions/X", "definitions": {"X": A}})
    assert made["properties"] == A["properties"]
    assert schema({"$ref": "#"}) == {"type": "object", "properties": {}}
    by_reference = schema({"anyOf": [{"$ref": "#/$defs/A"}, B], "$defs": {"A": A}})
    assert list(by_reference["properties"]) == ["a", "b"]


@pytest.mark.parametrize(
    "other", [{"type": "array", "items": {}}, {"enum": [1]}, {"anyOf": [A, {"type": "string"}]}]
)
def test_what_is_no_object_is_wrapped(other: Any) -> None:
    made, wrapped = input_schema({**other, "$defs": {"A": A}}, "p")
    assert wrapped
    assert made == {
        "type": "object",
        "properties": {"value": other},
        "required": ["value"],
        "$defs": {"A": A},
    }


def test_schemas_that_grow_when_read_are_given_up_quickly() -> None:
    defs: dict[str, Any] = {
        f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 3} for n in range(40)
    }
    _, wrapped = input_schema({"$ref": "#/$defs/d0", "$defs": defs}, "p")
    assert wrapped


def test_a_schema_without_end_is_refused() -> None:
    deep: dict[str, Any] = {}
    for _ in range(100):
        deep = {"type": "object", "properties": {"x": deep}}
    with pytest.raises(InvalidRequestError) as caught:
        input_schema(deep, "tools[0].function.parameters")
    assert caught.value.param == "tools[0].function.parameters"


def test_an_output_schema_of_openais_strict_form_fits() -> None:
    made = fit_output_schema(
        {
            "$schema": "x",
            "type": "object",
            "properties": {
                "name": {"type": "string", "maxLength": 9},
                "note": {"type": ["string", "null"], "description": "n"},
                "count": {"type": "integer", "minimum": 1, "description": "how many"},
                "kind": {"$ref": "#/$defs/Kind"},
                "when": {"type": "string", "format": "date-time"},
                "tags": {"type": "array", "items": {"type": "string"}, "minItems": 2},
                "one": {"oneOf": [{"type": "integer"}, {"type": "null"}]},
            },
            "required": ["name", "note", "gone"],
            "$defs": {"Kind": {"type": "string", "enum": ["a", "b"]}},
        }
    )
    assert made == {
        "$defs": {"Kind": {"enum": ["a", "b"]}},
        "type": "object",
        "properties": {
            "name": {"type": "string", "description": "{maxLength: 9}"},
            "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "n"},
            "count": {"type": "integer", "description": "how many\n\n{minimum: 1}"},
            "kind": {"$ref": "#/$defs/Kind"},
            "when": {"type": "string", "format": "date-time"},
            "tags": {
                "type": "array",
                "items": {"type": "string"},
                "description": "{minItems: 2}",
            },
            "one": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        },
        "additionalProperties": False,
        "required": ["name", "note"],
    }


def test_combined_objects_are_merged_before_they_are_closed() -> None:
    made = fit_output_schema(
        {"allOf": [{"$ref": "#/$defs/A"}, B], "description": "d", "$defs": {"A": A}}
    )
    assert list(made["properties"]) == ["a", "b"]
    assert made["required"] == ["a", "b"]
    assert made["additionalProperties"] is False


@pytest.mark.parametrize(
    ("misfit", "reason"),
    [
        ({"type": "object", "additionalProperties": {"type": "string"}}, "map with free keys"),
        ({"type": "object", "patternProperties": {"x": {}}}, "map with free keys"),
        ({"type": "object"}, "without named properties"),
        ({"type": "object", "properties": {"a": {}}}, "$.a admits a value of any kind"),
        ({"type": "object", "properties": {"a": True}}, "$.a must be a schema"),
        ({"type": "array"}, "array of anything"),
        ({"type": "array", "items": [{"type": "string"}]}, "positions of its own"),
        ({"$ref": "#/$defs/N", "$defs": {"N": {"type": "array", "items": {"$ref": "#/$defs/N"}}}},
         "recursive"),
        ({"type": "array", "items": {"$ref": "#"}}, "recursive"),
        ({"$ref": "other.json"}, "another document"),
        ({"$ref": "#/$defs/missing"}, "does not exist"),
        ({"enum": [{"a": 1}]}, "objects or arrays"),
        ({"type": "date"}, "does not exist"),
    ],
)  # fmt: skip
def test_what_structured_outputs_cannot_say_is_named(misfit: dict[str, Any], reason: str) -> None:
    with pytest.raises(SchemaMisfitError, match=reason.replace("$", r"\$")):
        fit_output_schema(misfit)


def test_output_schemas_that_combine_themselves_end() -> None:
    defs: dict[str, Any] = {
        f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)
    }
    defs["d40"] = A
    with pytest.raises(SchemaMisfitError):
        fit_output_schema({"$ref": "#/$defs/d0", "$defs": defs})
