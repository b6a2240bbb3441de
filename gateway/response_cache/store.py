"""Where answers are kept: sealed in Valkey, each for its time.

One call looks for the answer and, when there is none, takes the lock of its key: who gets it asks
the upstream, and the processes that do not get it look again until the answer is there. The lock
ends by itself, so nobody waits for a process that has died. Without Valkey nothing is kept and
nobody waits.
"""

import asyncio
import os
import zlib

from gateway.response_cache.answer import Events, dump_answer, load_answer
from gateway.response_cache.question import Question
from gateway.storage.sealed import Seals, opened
from gateway.storage.valkey import Script, Valkey, ValkeyDown

WAIT_SECONDS = 30.0
"""How long a request waits for the answer to an identical one before it asks by itself."""

_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 0.4
_TOKEN_BYTES = 8

_LOOK_UP = Script.of(
    """
local kept = redis.call('GET', KEYS[1])
if kept then return kept end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
if redis.call('GET', KEYS[2]) == ARGV[1] then return 1 end
return 0
"""
)
_RELEASE = Script.of(
    """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""
)


class AnswerStore:
    """Keeps answers for the project and key they were made for. Before `valkey.start()`."""

    def __init__(self, valkey: Valkey, seals: Seals, *, wait_seconds: float = WAIT_SECONDS) -> None:
        self._valkey = valkey
        self._seals = seals
        self._wait_seconds = wait_seconds
        valkey.register(_LOOK_UP)
        valkey.register(_RELEASE)

    @staticmethod
    def new_token() -> str:
        """What tells one holder of a lock from another."""
        return os.urandom(_TOKEN_BYTES).hex()

    async def find(self, question: Question, token: str) -> Events | None:
        """The answer; None when the caller is to ask the upstream. Never raises.

        One round trip, more only while another process is asking the same.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._wait_seconds
        pause = _FIRST_PAUSE_SECONDS
        names = _valkey_names(question.project, question.key)
        lock_ms = int(self._wait_seconds * 1000)
        while True:
            try:
                found = await self._valkey.evalsha(_LOOK_UP, names, (token, lock_ms))
            except ValkeyDown:
                return None
            if isinstance(found, bytes):
                return self._opened(question.project, question.key, found)
            if found == 1 or loop.time() + pause > deadline:
                return None
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)

    async def get(self, project: str, key: str) -> Events | None:
        """The answer under `key`, without its lock. Never raises."""
        try:
            found = await self._valkey.call("GET", _valkey_names(project, key)[0])
        except ValkeyDown:
            return None
        return self._opened(project, key, found) if isinstance(found, bytes) else None

    def save(self, question: Question, events: Events) -> None:
        """Keep an answer; whoever waits for its lock finds it. Never waits."""
        project, key = question.project, question.key
        sealed = self._seals.seal(zlib.compress(dump_answer(events), 1), _context(project, key))
        name = _valkey_names(project, key)[0]
        _ = self._valkey.call("SET", name, sealed, "EX", question.ttl_seconds)

    def release(self, question: Question, token: str) -> None:
        """Let another process ask, since there will be no answer. Never waits."""
        lock = _valkey_names(question.project, question.key)[1]
        _ = self._valkey.evalsha(_RELEASE, (lock,), (token,))

    def _opened(self, project: str, key: str, sealed: bytes) -> Events | None:
        data = opened(self._seals, sealed, _context(project, key))
        return load_answer(zlib.decompress(data)) if data is not None else None


def _valkey_names(project: str, key: str) -> tuple[str, str]:
    """Of the answer and of its lock; the braces keep both on one node of a cluster."""
    name = f"gateway:{{{project}}}:answer:{key}"
    return name, f"{name}:lock"


def _context(project: str, key: str) -> bytes:
    return f"answer\x00{project}\x00{key}".encode()
