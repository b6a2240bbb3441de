"""The files for containers and hosts say what the gateway needs, and agree with each other."""

import re
import stat
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.config import Settings, SettingsError
from gateway.services.from_settings import check_settings
from gateway.stack.programs import DRAIN_SECONDS

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE_TEXT = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = ("api", "worker", "migrate")
ONE_SHOT = ("migrate", "temporal-schema", "temporal-setup")

# The keys of the Compose specification that the file uses, and their forms.
SERVICE_KEYS: dict[str, type | tuple[type, ...]] = {
    "image": str,
    "build": (str, dict),
    "command": (str, list),
    "entrypoint": (str, list),
    "restart": str,
    "init": bool,
    "user": str,
    "read_only": bool,
    "tmpfs": list,
    "cap_drop": list,
    "security_opt": list,
    "env_file": list,
    "environment": dict,
    "ports": list,
    "volumes": list,
    "configs": list,
    "stop_grace_period": str,
    "stop_signal": str,
    "shm_size": str,
    "depends_on": dict,
    "healthcheck": dict,
}
HEALTH_KEYS = {"test", "interval", "timeout", "start_period", "retries", "disable"}
CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}
DURATION = re.compile(r"(\d+(ms|s|m|h))+")


def instructions(name: str) -> list[str]:
    joined = DOCKERFILE.replace("\\\n", " ")
    return [
        line.split(maxsplit=1)[1] for line in joined.splitlines() if line.startswith(f"{name} ")
    ]


# --- docker-compose.yml ---


def test_it_describes_every_part() -> None:
    assert {"api", "worker", "temporal", "temporal-ui", "postgres", "valkey"} <= set(SERVICES)
    assert SERVICES["postgres"]["image"].startswith("pgvector/pgvector:")


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_uses_known_keys_in_their_forms(name: str) -> None:
    service = SERVICES[name]
    assert "image" in service
    for key, value in service.items():
        assert key in SERVICE_KEYS, key
        assert isinstance(value, SERVICE_KEYS[key]), key


@pytest.mark.parametrize("name", SERVICES)
def test_environment_values_are_text(name: str) -> None:
    environment = SERVICES[name].get("environment", {})
    assert {key: value for key, value in environment.items() if not isinstance(value, str)} == {}


@pytest.mark.parametrize("name", SERVICES)
def test_images_are_pinned_to_a_version(name: str) -> None:
    image = SERVICES[name]["image"]
    if name in OURS:
        assert image == "coding-gateway"
    else:
        assert re.search(r":[\w.-]*\d", image), image
        assert not image.endswith(":latest")


@pytest.mark.parametrize("name", sorted(set(SERVICES) - set(ONE_SHOT)))
def test_a_service_that_stays_is_checked_and_started_again(name: str) -> None:
    health = SERVICES[name]["healthcheck"]
    assert set(health) <= HEALTH_KEYS
    assert health["test"][0] in {"CMD", "CMD-SHELL"}
    for key in ("interval", "timeout", "start_period"):
        assert DURATION.fullmatch(health[key]), key
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", ONE_SHOT)
def test_a_step_that_ends_is_not_started_for_ever(name: str) -> None:
    assert SERVICES[name]["restart"] in {"no", "on-failure:5"}


@pytest.mark.parametrize("name", SERVICES)
def test_dependencies_exist_and_wait_for_the_right_thing(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert other in SERVICES
        assert how["condition"] in CONDITIONS
        expected = "service_completed_successfully" if other in ONE_SHOT else "service_healthy"
        assert how["condition"] == expected


def test_the_gateway_waits_for_the_schema() -> None:
    for name in ("api", "worker"):
        assert "migrate" in SERVICES[name]["depends_on"]


@pytest.mark.parametrize("name", SERVICES)
def test_no_service_may_gain_rights(name: str) -> None:
    service = SERVICES[name]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["cap_drop"] == ["ALL"]
    assert service.get("user") not in {"root", "0"}


@pytest.mark.parametrize("name", OURS)
def test_our_containers_are_not_root_and_cannot_change_themselves(name: str) -> None:
    assert SERVICES[name]["user"] == instructions("USER")[-1]
    assert SERVICES[name]["read_only"] is True


def test_one_image_runs_every_command() -> None:
    builds = {name: SERVICES[name]["build"] for name in OURS}
    assert set(builds.values()) == {"."}
    assert SERVICES["api"]["command"][:2] == ["coding-gateway", "api"]
    assert SERVICES["worker"]["command"][:2] == ["coding-gateway", "worker"]
    assert SERVICES["migrate"]["command"] == ["coding-gateway", "migrate"]


@pytest.mark.parametrize("name", OURS)
def test_our_containers_get_only_settings_that_exist(name: str) -> None:
    known = {field.upper() for field in Settings.model_fields}
    assert set(SERVICES[name]["environment"]) <= known


@pytest.mark.parametrize("name", OURS)
def test_our_containers_know_every_part(name: str) -> None:
    environment = SERVICES[name]["environment"]
    assert "@postgres:5432/" in environment["DATABASE_URL"]
    assert "@valkey:6379/" in environment["REDIS_URL"]
    assert environment["TEMPORAL_ADDRESS"] == "temporal:7233"


def test_volumes_are_declared_and_used() -> None:
    used = {
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
    }
    assert used == set(COMPOSE["volumes"])
    assert {"postgres-data", "valkey-data", "api-data"} <= used


def test_configs_are_declared_and_used() -> None:
    used = {
        entry["source"] for service in SERVICES.values() for entry in service.get("configs", [])
    }
    assert used == set(COMPOSE["configs"])
    content = yaml.safe_load(COMPOSE["configs"]["temporal"]["content"])
    assert content["matching.enableFairness"] == [{"value": True}]


def test_no_secret_has_a_default() -> None:
    for variable, default in re.findall(r"\$\{(\w+)(:?[-?][^}]*)?\}", COMPOSE_TEXT):
        if re.search(r"PASSWORD|KEY|SECRET", variable):
            assert default.startswith(":?") or default == ":-", variable


def test_only_the_api_is_reachable_from_outside() -> None:
    published = {
        name: port for name, service in SERVICES.items() for port in service.get("ports", [])
    }
    assert set(published) == {"api", "temporal-ui"}
    assert published["temporal-ui"].startswith("127.0.0.1:")


@pytest.mark.parametrize(
    ("name", "setting"),
    [("api", "shutdown_grace_seconds"), ("worker", "worker_grace_seconds")],
)
def test_open_work_may_end_before_the_container_is_killed(name: str, setting: str) -> None:
    grace = Settings.model_fields[setting].default
    seconds = int(SERVICES[name]["stop_grace_period"].removesuffix("s"))
    assert seconds > grace + DRAIN_SECONDS


def test_a_key_or_upstreams_may_be_given() -> None:
    environment = SERVICES["api"]["environment"]
    for name in ("ANTHROPIC_API_KEY", "UPSTREAMS"):
        assert environment[name] == f"${{{name}:-}}"  # compose asks for neither: the API does


def settings_of_compose(**upstream: str) -> Settings:
    """The settings of the API there, with what .env says of the upstream."""
    given: dict[str, Any] = {
        "database_url": "postgresql://gateway:x@postgres:5432/gateway",
        "redis_url": "redis://:x@valkey:6379/0",
        "temporal_address": "temporal:7233",
        "encryption_keys": "k" * 40,
        **upstream,
    }
    return Settings(_env_file=None, **given)


def test_the_api_refuses_to_start_without_key_and_upstreams(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("ANTHROPIC_API_KEY", "UPSTREAMS"):
        monkeypatch.setenv(name, "")  # what compose makes of a variable nobody has set
    with pytest.raises(SettingsError, match="ANTHROPIC_API_KEY"):
        check_settings(settings_of_compose())
    check_settings(settings_of_compose(anthropic_api_key="sk-ant-x"))
    upstream = '[{"name": "a", "base_url": "https://a.example", "api_key": "k"}]'
    check_settings(settings_of_compose(upstreams=upstream))


def test_the_passwords_in_urls_are_spoken_of() -> None:
    pasted = set(re.findall(r"://[^@\s]*\$\{(\w+)", COMPOSE_TEXT))
    assert pasted == {"POSTGRES_PASSWORD", "VALKEY_PASSWORD"}
    assert "letters and digits only" in COMPOSE_TEXT


# --- Dockerfile ---


def test_the_image_runs_as_an_ordinary_user() -> None:
    assert instructions("USER")[-1].isdigit()
    assert instructions("USER")[-1] != "0"


def test_the_image_is_checked() -> None:
    check = instructions("HEALTHCHECK")[0]
    assert "/health/live" in check
    assert "--interval=" in check
    assert "CMD" in check


def test_the_image_installs_the_locked_versions_only() -> None:
    pip = [line for line in instructions("RUN") if "pip install" in line]
    assert any("--require-hashes -r requirements/production.txt" in line for line in pip)
    assert all("--require-hashes" in line or "--no-deps" in line for line in pip)


def test_the_image_is_built_on_a_slim_python_we_support() -> None:
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    bases = {line.split(" AS ")[0] for line in instructions("FROM")}
    assert bases == {"python:3.11-slim"}
    assert wanted == ">=3.11"


def test_the_image_keeps_its_data_where_a_volume_can_be_mounted() -> None:
    assert instructions("VOLUME") == []  # Railway builds no file that declares one
    assert any("DATA_DIR=/data" in line for line in instructions("ENV"))
    assert any("-o gateway -g gateway -m 0700 /data" in line for line in instructions("RUN"))


@pytest.mark.parametrize(
    ("migrate", "serves"),
    [
        (0, True),
        (75, True),  # the database does not answer: chat is served without it
        (1, False),  # a migration failed
        (2, False),
    ],
)
def test_the_image_migrates_then_serves_in_the_place_of_the_shell(
    tmp_path: Path, migrate: int, serves: bool
) -> None:
    command = yaml.safe_load(instructions("CMD")[-1])
    assert command[:2] == ["sh", "-c"]
    stand_in = tmp_path / "coding-gateway"
    stand_in.write_text(f'#!/bin/sh\necho "$$ $*"\n[ "$1" != migrate ] || exit {migrate}\n')
    stand_in.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "PORT": "8123"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as shell:
        output, _ = shell.communicate(timeout=30)
    calls = [line.split(" ", 1) for line in output.splitlines()]
    expected = ["migrate", "api --port 8123"] if serves else ["migrate"]
    assert [what for _, what in calls] == expected
    assert (shell.returncode == 0) is serves
    if serves:  # `exec`: what stops the container reaches the API
        assert calls[1][0] == str(shell.pid)


def test_everything_the_image_copies_reaches_the_builder() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[1] == "*"
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    assert set(packages["targets"]["wheel"]["only-include"]) <= let_in
    assert {"pyproject.toml", "README.md", "LICENSE", "requirements"} <= let_in
    assert not any(name.startswith(".env") for name in let_in)


# --- the others ---


def test_the_procfile_serves_works_and_migrates() -> None:
    lines = (ROOT / "Procfile").read_text().splitlines()
    processes = dict(line.split(": ", 1) for line in lines)
    assert processes == {
        "web": "coding-gateway api --port $PORT",
        "worker": "python worker.py",
        "release": "coding-gateway migrate",
    }


def test_ci_checks_then_tests_and_hides_nothing() -> None:
    script = ROOT / ".ci" / "run"
    text = script.read_text()
    assert script.stat().st_mode & stat.S_IXUSR
    assert "set -euo pipefail" in text
    assert text.index("make check") < text.index("make test")
    assert "||" not in text
    assert "/dev/null" not in text


@pytest.mark.parametrize(
    "target", ["install", "run", "test", "check", "format", "bench", "lock", "clean"]
)
def test_make_has_the_target(target: str) -> None:
    assert re.search(rf"^{target}:.*## \S", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_the_licence_is_the_one_declared() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"]
    text = (ROOT / "LICENSE").read_text()
    assert declared == "MIT"
    assert text.startswith("MIT License")
    assert "Coding Gateway authors" in text
