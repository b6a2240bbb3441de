"""What runs beside the requests of an API process."""

import asyncio
import ctypes
import gc
import logging
from collections.abc import Awaitable, Callable, Coroutine

from gateway.pipeline.live import LivePipeline
from gateway.storage.database import NO_SCHEMA, Engine, state_of
from gateway.storage.valkey import Valkey, ValkeyDown
from gateway.telemetry import series
from gateway.telemetry.metrics import MetricStore
from gateway.usage.recorder import Recorder

_log = logging.getLogger("gateway.services")

_PUBLISH_SECONDS = 1.0
_TRIM_SECONDS = 2.0  # a trim takes 0.2 to 5 ms
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # glibc's malloc.h
_KEPT_BYTES = 8 * 2**20  # until the next trim
_YOUNG_OBJECTS = 50_000  # the live path makes no cycles, so the collector seldom finds anything
_STATE_SECONDS = 2.0
_SCHEMA_SECONDS = 5.0


def show_states(
    metrics: MetricStore, pipeline: LivePipeline, valkey: Valkey, recorder: Recorder
) -> None:
    """Set the gauges that show a state of this moment."""
    for upstream, state in pipeline.attempts.breaker.states().items():
        metrics.set(series.CIRCUIT_STATE, (upstream,), float(state))
    metrics.set(series.TASKS, (), float(len(asyncio.all_tasks())))
    for part, is_well in (
        ("valkey", valkey.is_up),
        ("postgres", recorder.state.healthy),
        ("journal", not pipeline.accounting.journal.is_failing),
    ):
        metrics.set(series.DEGRADED, (part,), 0.0 if is_well else 1.0)


async def publish_metrics(metrics: MetricStore) -> None:
    """Publish this process's numbers about once a second."""
    while True:
        await asyncio.sleep(_PUBLISH_SECONDS)
        metrics.publish()


async def give_back_memory(forget: Callable[[], None]) -> None:
    """Let the process forget what is too old, and return freed memory to the system, all the time.

    glibc keeps what large bodies needed, a third of the process after a while; its own settings
    for that (MALLOC_TRIM_THRESHOLD_) do not help. Other C libraries have no such call.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    while True:
        await asyncio.sleep(_TRIM_SECONDS)
        forget()
        if trim is not None:
            trim(0)


def start(name: str, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
    """Run `work` as a task whose crash is logged."""
    task = asyncio.ensure_future(work)
    task.set_name(name)
    task.add_done_callback(_report_crash)
    return task


def _report_crash(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("background_task_failed", extra={"task": task.get_name()}, exc_info=error)


async def stop(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait for its end."""
    task.cancel()
    await asyncio.wait([task])


async def is_up(valkey: Valkey) -> bool:
    """True when Valkey answers now."""
    try:
        return await valkey.call("PING") is not None
    except ValkeyDown:
        return False


async def told_by(probe: Callable[[], Awaitable[str | bool]]) -> str:
    """The state a probe tells, `ok` or `down` where it only knows whether the part is up.

    A probe that takes too long tells `down`.
    """
    try:
        async with asyncio.timeout(_STATE_SECONDS):
            told = await probe()
    except TimeoutError:
        return "down"
    return told if isinstance(told, str) else ("ok" if told else "down")


async def warn_without_schema(engine: Engine) -> None:
    """Log once when nobody has migrated the database; one that is down is asked again."""
    state = await state_of(engine)
    while state == "down":
        await asyncio.sleep(_SCHEMA_SECONDS)
        state = await state_of(engine)
    if state != "ok":
        _log.error(NO_SCHEMA)


def prepare_memory() -> None:
    """Tell glibc how this process uses memory; before it has threads. Others have no such call."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        # Threads do next to nothing here, and each would keep memory of its own.
        mallopt(_M_ARENA_MAX, 1)
        # Else each large body is given back at once and mapped, page by page, for the next one.
        mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def settle_memory() -> None:
    """Take what start-up built out of the collector's sight."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 20, 20)
