"""Whether a JSON schema is valid at all."""

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from simulator.errors import invalid
from simulator.wire import Json, digest, dumps

_SCHEMAS_REMEMBERED = 4096  # checked schemas kept by digest; agents resend the same ones
_SCHEMA_HELP = (
    "JSON schema is invalid. It must match JSON Schema draft 2020-12 "
    "(https://json-schema.org/draft/2020-12). Learn more about tool use at "
    "https://docs.claude.com/en/docs/tool-use."
)


class SchemaChecks:
    """Remembers which JSON schemas were found valid, so that a resent one costs a digest."""

    def __init__(self) -> None:
        """Starts with none."""
        self._valid: dict[bytes, None] = {}

    def check(self, schema: Json, path: str) -> None:
        """Raises a 400 unless the schema is valid Draft 2020-12."""
        key = digest(dumps(schema))
        if key in self._valid:
            return
        try:
            Draft202012Validator.check_schema(schema)
        except SchemaError as error:
            raise invalid(path, _SCHEMA_HELP) from error
        if len(self._valid) >= _SCHEMAS_REMEMBERED:
            self._valid.pop(next(iter(self._valid)))
        self._valid[key] = None
