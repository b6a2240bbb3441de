"""Where processes read and write the states of circuits: a hash in Valkey, and a channel."""

import time

from gateway import wire
from gateway.storage.valkey import Valkey, ValkeyDown
from gateway.structs import Struct

CHANNEL = "gateway:circuits"
"""The channel of notices, and the key of the hash that has the newest of each circuit."""

_KEPT_SECONDS = 7 * 86_400


class CircuitNotice(Struct, frozen=True):
    """The state of a circuit: `closed`, `half_open` or `open`.

    It holds for `seconds` from when it is read, 0 until another one comes. `by` is who says so.
    """

    circuit: str
    state: str
    seconds: float
    by: str
    reason: str = ""


class CircuitBoard:
    """Notices of circuits, by the clock of this machine where they are read later."""

    def __init__(self, valkey: Valkey) -> None:
        self._valkey = valkey

    async def publish(self, notice: CircuitNotice) -> bool:
        """Tell everybody who listens now and later; False with Valkey away."""
        body = wire.dumps(
            {
                "circuit": notice.circuit,
                "state": notice.state,
                "until": time.time() + notice.seconds if notice.seconds > 0 else 0,
                "by": notice.by,
                "reason": notice.reason,
            }
        )
        writes = (
            self._valkey.call("HSET", CHANNEL, notice.circuit, body),
            self._valkey.call("EXPIRE", CHANNEL, _KEPT_SECONDS),
            self._valkey.call("PUBLISH", CHANNEL, body),
        )
        told = True
        for write in writes:
            try:
                await write
            except ValkeyDown:
                told = False
        return told

    async def read(self) -> list[CircuitNotice]:
        """The newest notice of each circuit. Raises ValkeyDown."""
        flat = await self._valkey.call("HGETALL", CHANNEL)
        return [notice for body in flat[1::2] if (notice := read_notice(body)) is not None]


def read_notice(body: bytes) -> CircuitNotice | None:
    """A notice as it was published, with the seconds it still holds; None when it holds no more.

    What somebody else has written there is left alone.
    """
    try:
        said = wire.loads(body)
        until = float(said["until"])
        seconds = until - time.time() if until else 0.0
        notice = CircuitNotice(
            str(said["circuit"]), str(said["state"]), seconds, str(said["by"]), str(said["reason"])
        )
    except (wire.JSONDecodeError, KeyError, TypeError, ValueError):
        return None
    if until and seconds <= 0:
        return None
    return notice if notice.state in ("closed", "half_open", "open") else None
