"""Errors of starting and stopping the stack."""

from gateway.errors import GatewayError


class StackError(GatewayError):
    """A part of the stack cannot run; `mend` says what the operator can do about it."""

    code = "stack_error"

    def __init__(self, message: str, *, mend: str = "", detail: str = "") -> None:
        super().__init__(message, detail=detail)
        self.mend = mend

    def __str__(self) -> str:
        lines = [self.message]
        if self.detail:
            lines += [f"  | {line}" for line in self.detail.splitlines()]
        if self.mend:
            lines.append(f"  -> {self.mend}")
        return "\n".join(lines)
