"""Metrics over real processes, some of them killed."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from gateway.telemetry.metrics import MetricStore

COUNTING = """
import sys, time
from pathlib import Path
from gateway.telemetry import series
from gateway.telemetry.metrics import MetricStore

store = MetricStore(Path(sys.argv[1]), "api")
store.add(series.ACTIVE_REQUESTS, ("m",), 1)
for _ in range(int(sys.argv[2])):
    store.request_finished(("m", "p", "200", "/e"), 0.5, (10, 1, 0, 0), 0.001, 0.4)
store.publish()
sys.stdout.write("published\\n")
sys.stdout.flush()
time.sleep(600)
"""

SAVING = """
import sys, time
from pathlib import Path
from gateway.telemetry import series
from gateway.telemetry.metrics import MetricStore

store = MetricStore(Path(sys.argv[1]), "api")
store.add(series.INPUT_BASELINE, ("p",), 0.5)
store.add(series.INPUT_BILLED, ("p",), 0.125)
store.add(series.REDUCED_TOKENS, ("references", "p"), 300)
store.add(series.ADDED_TOKENS, ("diff_first", "p"), 20)
store.add(series.CACHE_TOKENS, ("write_1h",), 4000)
store.publish()
sys.stdout.write("published\\n")
sys.stdout.flush()
time.sleep(600)
"""

SCRAPING = """
import asyncio, sys
from pathlib import Path
from gateway.telemetry.metrics import MetricStore

store = MetricStore(Path(sys.argv[1]), "api")
sys.stdout.write("ready\\n")
sys.stdout.flush()
while True:
    asyncio.run(store.render())
"""


def start(program: str, *arguments: object) -> subprocess.Popen[bytes]:
    """A process that has said its first line."""
    process = subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    return process


def kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def requests(store: MetricStore) -> float:
    text = asyncio.run(store.render()).decode()
    for line in text.splitlines():
        if line.startswith("gateway_requests_total{"):
            return float(line.rpartition(" ")[2])
    return 0.0


def active(store: MetricStore) -> float:
    text = asyncio.run(store.render()).decode()
    for line in text.splitlines():
        if line.startswith("gateway_active_requests{"):
            return float(line.rpartition(" ")[2])
    return 0.0


def test_any_process_shows_the_sum_and_a_killed_one_leaves_its_counters(tmp_path: Path) -> None:
    scraped, another = MetricStore(tmp_path, "api"), MetricStore(tmp_path, "api")
    processes = [start(COUNTING, tmp_path, count) for count in (5, 7)]
    try:
        assert requests(scraped) == requests(another) == 12
        assert active(scraped) == 2
        # Not waited for: a killed process may stay a zombie and is dead all the same.
        os.kill(processes[0].pid, signal.SIGKILL)
        deadline = time.monotonic() + 10
        while active(scraped) != 1:
            assert time.monotonic() < deadline
        assert requests(scraped) == requests(another) == 12
        processes.append(start(COUNTING, tmp_path, 3))
        assert requests(another) == 15
        assert active(another) == 2
    finally:
        for process in processes:
            kill(process)
    assert requests(scraped) == 15
    assert active(another) == 0
    assert requests(MetricStore(tmp_path, "api")) == 15


def test_folding_processes_killed_at_random_lose_and_double_nothing(tmp_path: Path) -> None:
    watched = MetricStore(tmp_path, "api")
    expected = 0.0
    for round_number in range(6):
        counting = [start(COUNTING, tmp_path, 10) for _ in range(2)]
        scraping = [start(SCRAPING, tmp_path) for _ in range(2)]
        expected += 20
        for process in counting:
            kill(process)
        # The scrapers are folding the two right now; end them at a different moment each round.
        time.sleep(round_number * 0.004)
        for process in scraping:
            kill(process)
        assert requests(watched) == expected
    assert requests(watched) == 120


def test_savings_are_summed_over_processes_living_and_dead(tmp_path: Path) -> None:
    living, killed = start(SAVING, tmp_path), start(SAVING, tmp_path)
    kill(killed)
    text = asyncio.run(MetricStore(tmp_path, "api").render()).decode()
    kill(living)
    samples = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    for name, total in (
        ('gateway_input_baseline_usd_total{project="p"}', 1.0),
        ('gateway_input_billed_usd_total{project="p"}', 0.25),
        ('gateway_reduced_tokens_total{project="p",technique="references"}', 600.0),
        ('gateway_added_tokens_total{project="p",technique="diff_first"}', 40.0),
        ('gateway_cache_tokens_total{kind="write_1h"}', 8000.0),
    ):
        assert float(samples[name]) == total
