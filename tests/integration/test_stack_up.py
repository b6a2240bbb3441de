"""One whole stack, started as a user starts it, and what can be said of it while it runs."""

import os
import re
import shutil
import signal
import stat
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from gateway import wire
from gateway.stack import probes
from gateway.stack.temporal import RETENTION_SECONDS, SEARCH_ATTRIBUTES
from tests.integration.stack_command import Up, is_gone, listed, run, until

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A directory PostgreSQL's user can pass through, with somebody's own package `api` in it."""
    directory = Path(tempfile.mkdtemp(prefix="gateway-stack-"))
    directory.chmod(0o711)
    (directory / "api").mkdir()
    (directory / "api" / "__init__.py").write_text("raise RuntimeError('the wrong api')\n")
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def stack(place: Path) -> Iterator[Up]:
    with Up(place / "data", place, "--api-processes", "2") as up:
        yield up.wait_ready()


def ports(stack: Up) -> dict[str, int]:
    found: dict[str, int] = wire.loads((stack.data_dir / "ports.json").read_bytes())
    return found


def key_file(stack: Up, name: str) -> str:
    return (stack.data_dir / "keys" / name).read_text().strip()


def chat(stack: Up, key: str) -> tuple[dict[str, str], str]:
    """Headers and body of a streamed chat."""
    body = {"model": "auto", "stream": True, "messages": [{"role": "user", "content": "Hello!"}]}
    request = urllib.request.Request(
        f"{stack.base_url}/chat/completions",
        wire.dumps(body),
        {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return dict(answer.headers), answer.read().decode()


def is_healthy(stack: Up, place: Path) -> bool:
    return run("status", "--data-dir", str(stack.data_dir), cwd=place).returncode == 0


def now(stack: Up, name: str) -> int:
    """The present pid of a part."""
    state = wire.loads((stack.data_dir / "run" / "state.json").read_bytes())
    return next(int(p["identity"]["pid"]) for p in state["parts"] if p["name"] == name)


def test_the_ready_line_has_exactly_these_fields(stack: Up) -> None:
    ready = stack.ready
    assert list(ready) == [
        "base_url",
        "api_key",
        "admin_key",
        "dashboard",
        "temporal_ui",
        "data_dir",
        "pids",
    ]
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/v1", ready["base_url"])
    assert ready["api_key"].startswith("cgw_")
    assert ready["admin_key"].startswith("cgw_")
    assert ready["data_dir"] == str(stack.data_dir)
    assert list(ready["pids"]) == [
        "supervisor",
        "api",
        "worker",
        "postgres",
        "valkey",
        "temporal",
    ]
    assert (len(ready["pids"]["api"]), len(ready["pids"]["worker"])) == (2, 1)
    assert ready["pids"]["supervisor"] == stack.process.pid


def test_every_part_is_a_direct_child_in_a_session_of_its_own(stack: Up) -> None:
    for pid in listed(stack.ready["pids"]):
        assert psutil.Process(pid).ppid() == stack.process.pid
        assert os.getsid(pid) == pid


def test_each_part_reports_its_time(stack: Up) -> None:
    for part in ("postgres", "valkey", "temporal", "simulator", "migrate", "api-1", "worker-1"):
        assert re.search(rf"^{part} +ready in +\d+\.\d s", stack.progress, re.MULTILINE), part
    assert "THE SIMULATOR ANSWERS" in stack.progress


def test_a_chat_streams_from_the_simulator_and_says_so(stack: Up) -> None:
    headers, body = chat(stack, stack.ready["api_key"])
    assert headers["x-model-source"] == "simulator"
    assert body.count("data: ") > 2
    assert body.rstrip().endswith("data: [DONE]")


def test_another_key_is_refused(stack: Up) -> None:
    with pytest.raises(urllib.error.HTTPError, match="401"):
        chat(stack, "cgw_wrong")


def test_the_temporal_ui_is_there(stack: Up) -> None:
    with urllib.request.urlopen(stack.ready["temporal_ui"], timeout=10) as answer:
        assert answer.status == 200


async def test_temporal_knows_our_attributes_and_keeps_workflows_for_a_week(stack: Up) -> None:
    port = ports(stack)["temporal-http"]
    _, listed_attributes = await probes.http(
        "127.0.0.1", port, "/api/v1/namespaces/default/search-attributes"
    )
    attributes = wire.loads(listed_attributes)["customAttributes"]
    assert {attributes[name] for name in SEARCH_ATTRIBUTES} == {"INDEXED_VALUE_TYPE_KEYWORD"}
    _, namespace = await probes.http("127.0.0.1", port, "/api/v1/namespaces/default")
    retention = wire.loads(namespace)["config"]["workflowExecutionRetentionTtl"]
    assert retention == f"{RETENTION_SECONDS}s"


async def test_the_database_wants_its_password_and_has_vectors(stack: Up) -> None:
    address = f"127.0.0.1:{ports(stack)['postgres']}/gateway"
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(f"postgresql://gateway:guess@{address}")
    password = key_file(stack, "postgres")
    connection = await asyncpg.connect(f"postgresql://gateway:{password}@{address}")
    try:
        assert await connection.fetchval(
            "select count(*) from pg_available_extensions where name = 'vector'"
        )
        assert await connection.fetchval(
            "select count(*) from pg_tables where tablename = 'projects'"
        )
    finally:
        await connection.close()


async def test_valkey_wants_its_password(stack: Up) -> None:
    port = ports(stack)["valkey"]
    assert "NOAUTH" in str(await probes.valkey("127.0.0.1", port, ""))
    assert await probes.valkey("127.0.0.1", port, key_file(stack, "valkey")) is None


def test_no_secret_is_in_an_argument_list_or_a_log(stack: Up) -> None:
    secrets = [path.read_text().strip() for path in (stack.data_dir / "keys").iterdir()]
    assert len(secrets) == 5
    lines = [" ".join(psutil.Process(pid).cmdline()) for pid in listed(stack.ready["pids"])]
    texts = [path.read_text() for path in (stack.data_dir / "logs").iterdir()]
    for text in (*lines, *texts, stack.progress):
        assert not [secret for secret in secrets if secret in text]


def test_everything_listens_on_loopback_only(stack: Up) -> None:
    supervisor = psutil.Process(stack.process.pid)
    listening = {
        connection.laddr.ip
        for process in (supervisor, *supervisor.children())
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_the_data_is_closed_to_others(stack: Up) -> None:
    for name in ("keys", "logs", "run", "valkey", "temporal", "postgres"):
        mode = stat.S_IMODE((stack.data_dir / name).stat().st_mode)
        assert mode & 0o077 == 0, name


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_postgres_does_not_run_as_root(stack: Up) -> None:
    assert psutil.Process(stack.ready["pids"]["postgres"]).uids().effective != 0


def test_status_lists_every_part(stack: Up, place: Path) -> None:
    done = run("status", "--data-dir", str(stack.data_dir), cwd=place)
    assert done.returncode == 0, done.stdout
    for part in ("postgres", "valkey", "temporal", "simulator", "api-1", "api-2", "worker-1"):
        assert re.search(rf"^{part} +\d+ +0 +ok", done.stdout, re.MULTILINE), done.stdout
    as_json = run("status", "--json", "--data-dir", str(stack.data_dir), cwd=place)
    assert wire.loads(as_json.stdout)["supervisor"] == stack.process.pid


def test_doctor_finds_it_sound(stack: Up, place: Path) -> None:
    done = run("doctor", "--data-dir", str(stack.data_dir), cwd=place)
    assert done.returncode == 0, done.stdout
    assert "is ours" in done.stdout
    assert f"runs at {stack.base_url}" in done.stdout


def test_a_second_stack_on_the_same_data_is_refused(stack: Up, place: Path) -> None:
    done = run("up", "--port", "0", "--data-dir", str(stack.data_dir), cwd=place)
    assert done.returncode == 1
    assert "already runs" in done.stderr
    assert is_healthy(stack, place)


def test_a_taken_port_is_named(stack: Up, place: Path) -> None:
    port = stack.base_url.rsplit(":", 1)[1].removesuffix("/v1")
    done = run("up", "--port", port, "--data-dir", str(place / "other"), cwd=place)
    assert done.returncode == 1
    assert f"port {port} is taken by" in done.stderr
    assert "--port" in done.stderr


def test_migrate_finds_the_database_of_the_running_stack(stack: Up, place: Path) -> None:
    done = run("migrate", "--data-dir", str(stack.data_dir), cwd=place)
    assert done.returncode == 0, done.stderr
    assert "revision" in done.stderr


def test_an_api_process_that_is_killed_comes_back_and_nobody_is_refused(
    stack: Up, place: Path
) -> None:
    killed = now(stack, "api-1")
    os.kill(killed, signal.SIGKILL)
    chat(stack, stack.ready["api_key"])
    until(lambda: now(stack, "api-1") != killed, "another api-1")
    until(lambda: is_healthy(stack, place), "health after the kill of api-1")


@pytest.mark.parametrize("part", ["valkey", "postgres", "temporal", "simulator", "worker-1"])
def test_a_part_that_is_killed_comes_back(stack: Up, place: Path, part: str) -> None:
    killed = now(stack, part)
    os.kill(killed, signal.SIGKILL)
    until(lambda: now(stack, part) != killed, f"another {part}")
    until(lambda: is_healthy(stack, place), f"health after the kill of {part}", 60)
    assert is_gone(killed)
    chat(stack, stack.ready["api_key"])


def test_parts_that_have_addresses_are_not_started_again(stack: Up, place: Path) -> None:
    used = ports(stack)
    password = key_file(stack, "postgres")
    urls = {
        "DATABASE_URL": f"postgresql://gateway:{password}@127.0.0.1:{used['postgres']}/gateway",
        "REDIS_URL": f"redis://:{key_file(stack, 'valkey')}@127.0.0.1:{used['valkey']}/1",
        "TEMPORAL_ADDRESS": f"127.0.0.1:{used['temporal']}",
        "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{used['simulator']}",
        "ANTHROPIC_API_KEY": "sk-ant-test",
    }
    with Up(place / "external", place, **urls).wait_ready() as second:
        pids = second.ready["pids"]
        assert pids["postgres"] is pids["valkey"] is pids["temporal"] is None
        assert second.ready["temporal_ui"] is None
        assert "SIMULATOR" not in second.progress
        headers, _ = chat(second, second.ready["api_key"])
        assert headers["x-model-source"] != "simulator"
        children = psutil.Process(second.process.pid).children()
        assert len(children) == len(pids["api"]) + len(pids["worker"])
        code, _ = second.stop()
        assert code == 0
    assert is_healthy(stack, place)


def test_stacks_live_side_by_side_even_when_they_start_at_once(stack: Up, place: Path) -> None:
    with Up(place / "second", place) as second, Up(place / "third", place) as third:
        stacks = [stack, second.wait_ready(), third.wait_ready()]
        taken = [port for each in stacks for port in ports(each).values()]
        assert len(set(taken)) == len(taken)
        for own, other in ((second, stack), (third, second)):
            assert own.ready["api_key"] != other.ready["api_key"]
            chat(own, own.ready["api_key"])
            with pytest.raises(urllib.error.HTTPError, match="401"):
                chat(own, other.ready["api_key"])
            code, _ = own.stop(signal.SIGTERM)
            assert code == 0
    assert is_healthy(stack, place)
