"""temperature, top_p, top_k under version 2023-06-01.

Version 2026-10-21 has no such fields at all; there the request's shape refuses them.
"""

from simulator.errors import ApiError, invalid
from simulator.models import Model
from simulator.wire import Json

SAMPLING_FIELDS = ("temperature", "top_p", "top_k")
_THINKING_HELP = (
    "Please consult our documentation at https://docs.claude.com/en/docs/build-with-claude/"
    "extended-thinking#important-considerations-when-using-extended-thinking"
)
_LOWEST_TOP_P_WITH_THINKING = 0.95


def check_sampling(body: Json, model: Model, thinking_on: bool) -> None:
    """Whether the model takes the sampling parameters given."""
    temperature = body.get("temperature")
    top_p = body.get("top_p")
    _check_ranges(temperature, top_p)
    if not model.sampling:
        _refuse_all(body)
        return
    if temperature is not None and top_p is not None:
        raise ApiError(
            400,
            "`temperature` and `top_p` cannot both be specified for this model. Please use only "
            "one.",
        )
    if thinking_on:
        _check_with_thinking(body)


def _check_ranges(temperature: float | None, top_p: float | None) -> None:
    for name, value in (("temperature", temperature), ("top_p", top_p)):
        if value is not None and not 0 <= value <= 1:
            raise invalid(name, "range: 0..1")


def _refuse_all(body: Json) -> None:
    """Newer models take the default values only."""
    if body.get("temperature") not in (None, 1):
        raise ApiError(400, "`temperature` is deprecated for this model.")
    for name, neutral in (("top_p", 1), ("top_k", None)):
        if body.get(name) not in (None, neutral):
            raise ApiError(400, f"`{name}` is deprecated for this model.")


def _check_with_thinking(body: Json) -> None:
    if body.get("temperature") not in (None, 1):
        raise ApiError(
            400, f"`temperature` may only be set to 1 when thinking is enabled. {_THINKING_HELP}"
        )
    if body.get("top_k") is not None:
        raise ApiError(400, f"`top_k` must be unset when thinking is enabled. {_THINKING_HELP}")
    top_p = body.get("top_p")
    if top_p is not None and top_p < _LOWEST_TOP_P_WITH_THINKING:
        raise ApiError(
            400,
            "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled. "
            f"{_THINKING_HELP}",
        )
