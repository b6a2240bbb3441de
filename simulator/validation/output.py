"""output_config: effort levels per model, and the limits of structured outputs."""

from simulator.errors import ApiError, invalid
from simulator.models import EFFORTS, Model
from simulator.shape import Fields, anything, mapping, nullable, one_of
from simulator.validation.output_schema import check_output_schema
from simulator.validation.schemas import SchemaChecks
from simulator.wire import Json, JsonValue

TASK_BUDGET_BETA = "task-budgets-2026-03-13"

_format = Fields({"type": one_of("json_schema"), "schema": mapping})
_shape = Fields(
    {}, {"effort": nullable(anything), "format": nullable(_format), "task_budget": mapping}
)


def check_shape(value: JsonValue, path: str) -> None:
    """The shape of `output_config`."""
    _shape(value, path)
    effort = value.get("effort")
    if effort is not None:
        one_of(*EFFORTS)(effort, f"{path}.effort")


def check_output(config: Json, model: Model, thinking_type: str, schemas: SchemaChecks) -> None:
    """Whether the model takes the effort, with this thinking, and the format."""
    effort = config.get("effort")
    if effort is not None:
        _check_effort(effort, model, thinking_type)
    form = config.get("format")
    if form is not None:
        if not model.structured_outputs:
            raise invalid("output_config.format", "not supported on this model")
        schemas.check(form["schema"], "output_config.format.schema")
        check_output_schema(form["schema"], "output_config.format.schema")


def _check_effort(effort: str, model: Model, thinking_type: str) -> None:
    if not model.efforts:
        raise ApiError(400, "This model does not support the effort parameter.")
    if effort not in model.efforts:
        raise invalid(
            "output_config.effort",
            f"'{effort}' is not supported on this model. Supported levels: "
            f"{', '.join(model.efforts)}.",
        )
    off = thinking_type in ("disabled", "between_tools")
    if off and model.off_efforts is not None and effort not in model.off_efforts:
        raise ApiError(
            400,
            f"output_config.effort '{effort}' is not supported when thinking is disabled on this "
            "model. Use effort 'high' or below, or enable thinking.",
        )
