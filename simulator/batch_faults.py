"""Faults of the Message Batches API, set by the control endpoint and used up in order.

{"on": "create" | "get" | "list" | "cancel" | "delete" | "results",
 "times"?: how many calls it spoils; 1 unless said, null = without end,
 "done"?: true = the call has its effect all the same, nobody is told,
 "error"?: as in scripts: {"type", "status"?, "message"?, "retry_after"?, ...},
 "cut"?: true = the connection is closed without an answer,
 "cut_lines"?: so many lines of results come, then the connection is closed,
 "reset"?: true = closed by RST,
 "head_delay_seconds"?: waits so long before anything is answered}
"""

from dataclasses import dataclass, field, fields

from simulator.errors import ApiError, invalid
from simulator.plan import plan_from
from simulator.wire import Json

CALLS = ("create", "get", "list", "cancel", "delete", "results")
_MAX_FAULTS = 10_000


@dataclass(slots=True)
class BatchFault:
    """One fault and how many calls it is still to spoil; None means without end."""

    on: str
    times: int | None = 1
    done: bool = False
    error: ApiError | None = None
    cut: bool = False
    cut_lines: int | None = None
    reset: bool = False
    head_delay_seconds: float = 0.0


_FIELDS = frozenset(item.name for item in fields(BatchFault))


def fault_from(value: Json) -> BatchFault:
    """The fault of its JSON form; raises a 400 when it is wrong."""
    for name in value:
        if name not in _FIELDS:
            raise invalid(name, "Extra inputs are not permitted")
    if value.get("on") not in CALLS:
        raise invalid("on", f"Input should be one of {CALLS}")
    error = plan_from({"error": value["error"]}).error if value.get("error") else None
    return BatchFault(**{**value, "error": error})


@dataclass(slots=True)
class BatchFaults:
    """Faults in order of arrival."""

    _faults: list[BatchFault] = field(default_factory=list)

    def add(self, value: Json) -> None:
        """Appends a fault after checking it; raises a 400."""
        fault = fault_from(value)
        if len(self._faults) >= _MAX_FAULTS:
            raise invalid("batch_faults", f"at most {_MAX_FAULTS} faults can wait")
        self._faults.append(fault)

    def take(self, call: str) -> BatchFault | None:
        """The first fault of that call, counted as used; None when there is none."""
        for index, fault in enumerate(self._faults):
            if fault.on == call:
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times <= 0:
                        del self._faults[index]
                return fault
        return None

    def waiting(self) -> int:
        """How many faults wait."""
        return len(self._faults)

    def clear(self) -> None:
        """Removes all faults."""
        self._faults.clear()
