"""What is embedded, what is external, and what the children are told."""

from pathlib import Path

import pytest

from gateway.config import Settings
from gateway.stack.data_directory import DataDirectory
from gateway.stack.errors import StackError
from gateway.stack.plan import Plan, UpOptions, data_directory, make_plan, needs_simulator

EXTERNAL = {
    "database_url": "postgresql://me:secret@db.internal/gateway",
    "redis_url": "rediss://:secret@cache.internal:6380/0",
    "temporal_address": "temporal.internal:7233",
}


def settings(**values: object) -> Settings:
    return Settings(_env_file=None, **values)  # type: ignore[arg-type]


def plan(tmp_path: Path, options: UpOptions, **values: object) -> Plan:
    data = DataDirectory(tmp_path / "data")
    data.prepare()
    return make_plan(options, settings(**(EXTERNAL | values)), data)


def test_no_key_and_no_address_needs_the_simulator() -> None:
    assert needs_simulator(settings())
    assert not needs_simulator(settings(anthropic_api_key="sk"))
    assert not needs_simulator(settings(upstreams="[]"))
    assert not needs_simulator(settings(anthropic_base_url="http://127.0.0.1:9"))


def test_with_urls_nothing_is_embedded(tmp_path: Path) -> None:
    made = plan(tmp_path, UpOptions(port=0), anthropic_api_key="sk", temporal_ui_url="http://ui")
    with made.listener:
        assert made.postgres is None
        assert made.valkey is None
        assert made.temporal is None
        assert made.simulator_port == []
        assert made.temporal_ui == "http://ui"
        assert made.external == {
            "postgres": "db.internal:5432",
            "valkey": "cache.internal:6380",
            "temporal": "temporal.internal:7233",
        }


def test_addresses_of_external_parts_carry_no_password(tmp_path: Path) -> None:
    made = plan(tmp_path, UpOptions(port=0))
    with made.listener:
        assert "secret" not in repr(made)


def test_the_simulator_never_gets_the_real_key(tmp_path: Path) -> None:
    made = plan(tmp_path, UpOptions(port=0, simulate=True), anthropic_api_key="sk-real")
    with made.listener:
        told = made.environment()
        assert told["UPSTREAM_IS_SIMULATOR"] == "1"
        assert told["ANTHROPIC_BASE_URL"] == f"http://127.0.0.1:{made.simulator_port[0]}"
        assert "sk-real" not in told["ANTHROPIC_API_KEY"]


def test_children_are_told_what_they_need(tmp_path: Path) -> None:
    made = plan(tmp_path, UpOptions(port=0, api_processes=3), anthropic_api_key="sk")
    with made.listener:
        told = made.environment()
        assert told["API_PROCESSES"] == "3"
        assert told["DATA_DIR"] == str(tmp_path / "data")
        assert told["GATEWAY_API_KEY"] == made.keys.gateway
        assert told["ADMIN_API_KEY"] == made.keys.admin
        assert "UPSTREAM_IS_SIMULATOR" not in told


def test_the_number_of_processes_may_be_a_setting(tmp_path: Path) -> None:
    made = plan(tmp_path, UpOptions(port=0), api_processes=2)
    with made.listener:
        assert made.api_processes == 2


def test_the_base_url_names_an_address_clients_can_use(tmp_path: Path) -> None:
    made = plan(tmp_path, UpOptions(host="0.0.0.0", port=0))
    with made.listener:
        port = made.listener.getsockname()[1]
        assert made.base_url == f"http://127.0.0.1:{port}/v1"


def test_a_plan_that_fails_lets_the_port_go(tmp_path: Path) -> None:
    first = plan(tmp_path, UpOptions(port=0))
    port = first.listener.getsockname()[1]
    first.listener.close()
    with pytest.raises(StackError, match="simulator is taken"):
        plan(tmp_path, UpOptions(port=port, simulate=True, ports={"simulator": port}))
    again = plan(tmp_path, UpOptions(port=port))
    again.listener.close()


def test_the_command_line_names_the_directory_before_the_setting(tmp_path: Path) -> None:
    set_up = settings(data_dir=tmp_path / "setting")
    assert data_directory(tmp_path / "flag", set_up).root == tmp_path / "flag"
    assert data_directory(None, set_up).root == tmp_path / "setting"
    assert data_directory(Path("relative"), set_up).root.is_absolute()
