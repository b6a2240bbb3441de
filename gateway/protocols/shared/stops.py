"""Why an answer ended: Anthropic's stop_reason in OpenAI's words.

Source: SDK types `StopReason`, `RefusalStopDetails` and `Choice.finish_reason`.
"""

from gateway.wire import JSON

_FINISH_REASONS = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}
_REFUSED = "Claude declined to answer this request."


def finish_reason(stop_reason: str | None, *, calls: bool, legacy: bool) -> str:
    """OpenAI's finish_reason.

    `calls`: the answer holds at least one complete tool call, which then decides unless the answer
    was cut or refused: some clients run tools only on `tool_calls`. `legacy`: the request used
    `functions`. A tool_use without a call that the client can see is a plain stop.
    """
    cut = _FINISH_REASONS.get(stop_reason or "")
    if cut is not None:
        return cut
    if calls:
        return "function_call" if legacy else "tool_calls"
    return "stop"


def is_cut(stop_reason: str | None) -> bool:
    """True when the last block may be unfinished, so that no tool call in it may be run."""
    return stop_reason is None or stop_reason in _FINISH_REASONS


def refusal_text(stop_details: JSON) -> str:
    """The `refusal` of a refused answer: the API's explanation, else a general sentence."""
    explanation = stop_details.get("explanation") if isinstance(stop_details, dict) else None
    return explanation if isinstance(explanation, str) and explanation else _REFUSED
