"""Changed requests for refusals that the gateway itself has caused."""

import re
from collections.abc import Callable

from gateway import wire
from gateway.errors import UpstreamError
from gateway.pipeline.attempts import Repair
from gateway.protocols.messages_form import (
    with_max_tokens,
    with_schema_instruction,
    without_system_messages,
    without_thinking,
)
from gateway.protocols.model_fit import Fitted
from gateway.protocols.shared.failures import context_overflow

_SCHEMA_REFUSED = re.compile(r"output_config\.format|json_?schema|compiled grammar", re.IGNORECASE)
_THINKING_REFUSED = re.compile(
    r"thinking.*(bound to a different|cannot be modified)|Invalid `signature` in `thinking`",
    re.DOTALL,
)
_OUTPUT_FLOOR_TOKENS = 1024  # shrinking below this would only cut the answer


def repairs_of(
    fitted: Fitted,
    finished: Callable[[wire.JSONObject], bytes] = wire.dumps,
    repaired: Callable[[str, wire.JSONObject], None] = lambda _name, _body: None,
) -> Callable[[UpstreamError], Repair | None]:
    """What may be sent instead of `fitted` after a refusal, each repair once.

    `finished` makes the bytes of a changed body; `repaired` is told the name of a repair and the
    body that is sent.
    """
    used: set[str] = set()

    def repair(error: UpstreamError) -> Repair | None:
        if error.upstream_status != 400:
            return None
        changed = _changed(error, fitted)
        if changed is None or changed[0] in used:
            return None
        name, body = changed
        used.add(name)
        repaired(name, body)
        return Repair(name, finished(body))

    return repair


def _changed(error: UpstreamError, fitted: Fitted) -> tuple[str, wire.JSONObject] | None:
    text = error.message
    if fitted.max_tokens_injected and (sizes := context_overflow(error)) is not None:
        room = sizes.limit - sizes.input_tokens
        if room < _OUTPUT_FLOOR_TOKENS:
            return None
        return "max_tokens", with_max_tokens(fitted.body, room)
    if "role 'system' is not supported" in text:
        return "system_messages", without_system_messages(fitted.body)
    if _THINKING_REFUSED.search(text):
        return "thinking", without_thinking(fitted.body)
    if fitted.loose_schema is not None and _SCHEMA_REFUSED.search(text):
        return "schema", with_schema_instruction(fitted.body, fitted.loose_schema)
    return None
