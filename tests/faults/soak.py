"""`make soak`: the same load for a long time; nothing may go on growing."""

import argparse
import asyncio
import contextlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from tests.contract.harness.processes import passable_directory
from tests.faults.load import Load
from tests.faults.stack import Stack, running_stack

MOST_MB_A_MINUTE = 4.0
"""Slope of memory after the first third; what a leak of a request a second would be is more."""

MOST_FILES_MORE = 40
MOST_TASKS_MORE = 60


@dataclass(frozen=True)
class Sample:
    """The API processes at one moment, all together."""

    at: float
    resident_mb: float
    files: int
    threads: int
    tasks: float


@dataclass(frozen=True)
class Soaked:
    """What became of it between the first third and the end."""

    requests: int
    failed: int
    mb_a_minute: float
    files_more: int
    threads_more: int
    tasks_more: float

    def wrong(self) -> list[str]:
        """What must not be, in words."""
        wrong = []
        if self.failed or self.requests < 100:
            wrong.append(f"{self.failed} of {self.requests} requests failed")
        if self.mb_a_minute > MOST_MB_A_MINUTE:
            wrong.append(f"{self.mb_a_minute:.1f} MB more a minute")
        if self.files_more > MOST_FILES_MORE:
            wrong.append(f"{self.files_more} files more")
        if self.threads_more > 2:
            wrong.append(f"{self.threads_more} threads more")
        if self.tasks_more > MOST_TASKS_MORE:
            wrong.append(f"{self.tasks_more:.0f} tasks more")
        return wrong


async def soak(stack: Stack, seconds: float) -> Soaked:
    """Load for so long, with a look every second."""
    load = Load(stack.gateway.root_url, stack.gateway.api_key, f"soak{time.monotonic_ns()}")
    running = asyncio.ensure_future(load.run())
    samples: list[Sample] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        await asyncio.sleep(1.0)
        samples.append(await asyncio.to_thread(_sample, stack))
    load.stop()
    await running
    settled = samples[len(samples) // 3 :]
    tenth = max(1, len(settled) // 10)
    first, last = settled[:tenth], settled[-tenth:]

    def more(of: Callable[[Sample], float]) -> float:
        return (sum(map(of, last)) - sum(map(of, first))) / tenth

    return Soaked(
        requests=len(load.outcomes),
        failed=len(load.failed),
        mb_a_minute=_slope(settled) * 60,
        files_more=round(more(lambda sample: sample.files)),
        threads_more=round(more(lambda sample: sample.threads)),
        tasks_more=more(lambda sample: sample.tasks),
    )


def _sample(stack: Stack) -> Sample:
    files = threads = 0
    for pid in stack.pids("api"):
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            files += process.num_fds()
            threads += process.num_threads()
    tasks = stack.gateway.metric("gateway_tasks")
    return Sample(time.monotonic(), stack.resident_mb(), files, threads, tasks)


def _slope(samples: list[Sample]) -> float:
    """Megabytes a second, by least squares."""
    count = len(samples)
    at = sum(sample.at for sample in samples) / count
    mb = sum(sample.resident_mb for sample in samples) / count
    above = sum((sample.at - at) * (sample.resident_mb - mb) for sample in samples)
    below = sum((sample.at - at) ** 2 for sample in samples)
    return above / below if below else 0.0


def main() -> int:
    """Ten minutes, or as long as is said."""
    parser = argparse.ArgumentParser(prog="tests.faults.soak")
    parser.add_argument("--seconds", type=float, default=600.0)
    chosen = parser.parse_args()
    with passable_directory("gateway-soak-") as home, running_stack(home) as stack:
        soaked = asyncio.run(soak(stack, chosen.seconds))
    sys.stdout.write(f"{soaked}\n")
    for each in soaked.wrong():
        sys.stdout.write(f"wrong: {each}\n")
    return 1 if soaked.wrong() else 0


if __name__ == "__main__":
    sys.exit(main())
