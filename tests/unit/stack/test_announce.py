"""What `up` prints when everything is ready."""

import dataclasses
from pathlib import Path

from gateway import wire
from gateway.stack.announce import curl, ready_line, simulator_banner, summary
from gateway.stack.launch import Ready
from gateway.stack.process import Identity
from gateway.stack.run_state import RunningPart, RunState


def part(name: str, group: str, pid: int) -> RunningPart:
    return RunningPart(name, group, Identity(pid, 1.0), "127.0.0.1:1", ready=True)


def ready(*, simulated: bool = False, embedded: bool = True) -> Ready:
    servers = (
        part("postgres", "postgres", 2),
        part("valkey", "valkey", 3),
        part("temporal", "temporal", 4),
    )
    ours = (part("api-1", "api", 5), part("api-2", "api", 6), part("worker-1", "worker", 7))
    return Ready(
        base_url="http://127.0.0.1:8080/v1",
        api_key="cgw_key",
        admin_key="cgw_admin",
        temporal_ui="http://127.0.0.1:18233" if embedded else None,
        data_dir=Path("/data"),
        simulated=simulated,
        state=RunState(Identity(1, 1.0), parts=(*(servers if embedded else ()), *ours)),
    )


def test_the_line_is_one_line_with_exactly_these_fields() -> None:
    line = ready_line(ready())
    assert "\n" not in line
    assert wire.loads(line) == {
        "base_url": "http://127.0.0.1:8080/v1",
        "api_key": "cgw_key",
        "admin_key": "cgw_admin",
        "dashboard": None,
        "temporal_ui": "http://127.0.0.1:18233",
        "data_dir": "/data",
        "pids": {
            "supervisor": 1,
            "api": [5, 6],
            "worker": [7],
            "postgres": 2,
            "valkey": 3,
            "temporal": 4,
        },
    }


def test_parts_that_came_as_a_url_have_no_pid() -> None:
    line = wire.loads(ready_line(ready(embedded=False)))
    assert line["pids"]["postgres"] is line["pids"]["valkey"] is line["pids"]["temporal"] is None
    assert line["temporal_ui"] is None


def test_the_curl_streams_with_the_key() -> None:
    command = curl(ready())
    assert "curl -N http://127.0.0.1:8080/v1/chat/completions" in command
    assert "Bearer cgw_key" in command
    body = command[command.index("-d '") + 4 : command.rindex("'")]
    assert wire.loads(body)["stream"] is True


def test_only_the_simulator_gets_the_banner() -> None:
    assert simulator_banner() in summary(ready(simulated=True))
    assert "SIMULATOR" not in summary(ready())


def test_the_banner_is_a_box() -> None:
    assert len({len(line) for line in simulator_banner().splitlines()}) == 1


def test_the_curl_passes_the_origin_lock() -> None:
    open_door = ready()
    assert "X-Origin-Secret" not in curl(open_door)
    locked = dataclasses.replace(open_door, origin_locked=True)
    assert '-H "X-Origin-Secret: $ORIGIN_SECRET"' in curl(locked)
    assert "ORIGIN_SECRET must be set in this shell" in summary(locked)


def test_behind_cloudflare_the_address_to_use_is_another() -> None:
    behind = dataclasses.replace(ready(), behind_access=True)
    assert "use the address behind" in summary(behind)
    for text in ("ORIGIN_SECRET", "Cloudflare"):
        assert text not in summary(ready())
