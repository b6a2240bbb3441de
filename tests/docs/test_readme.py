"""The README names every setting, endpoint, response header and metric there is."""

import re
from pathlib import Path

import pytest
from fastapi.routing import APIRoute
from starlette.routing import Route

from api.app import create_app
from gateway.config import Settings, env_example
from gateway.telemetry.series import SERIES

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
SOURCES = [
    path for package in ("api", "gateway") for path in sorted((ROOT / package).rglob("*.py"))
]


def _paths() -> list[str]:
    app = create_app(Settings(_env_file=None))
    return sorted(
        {route.path for route in app.routes if isinstance(route, Route | APIRoute)}
        - {"/docs/oauth2-redirect"}
    )


def _headers() -> list[str]:
    """Names of response headers the code sets: literals that begin with X- or x-."""
    found: set[str] = set()
    for path in SOURCES:
        for name in re.findall(r"""["'](X-[A-Za-z-]+)["']""", path.read_text("utf-8")):
            found.add(name)
    return sorted(found)


@pytest.mark.parametrize("name", [field.upper() for field in Settings.model_fields])
def test_every_setting_is_in_the_readme(name: str) -> None:
    assert f"| `{name}` |" in README


@pytest.mark.parametrize("path", _paths())
def test_every_endpoint_is_in_the_readme(path: str) -> None:
    assert f" {path}`" in README


@pytest.mark.parametrize("name", _headers())
def test_every_response_header_is_in_the_readme(name: str) -> None:
    assert f"`{name}`" in README


@pytest.mark.parametrize("name", [series.name for series in SERIES])
def test_every_metric_is_in_the_readme(name: str) -> None:
    assert f"`{name}`" in README


def test_readme_names_no_setting_that_does_not_exist() -> None:
    table = README.split("## Settings")[1].split("## ")[0]
    named = set(re.findall(r"^\| `([A-Z_]+)` \|", table, re.MULTILINE))
    assert named == {field.upper() for field in Settings.model_fields}


def test_readme_shows_the_real_defaults() -> None:
    for line in env_example().splitlines():
        if match := re.match(r"^#([A-Z_]+)=(.*)$", line):
            name, default = match.groups()
            shown = f"`{default}`" if default else "unset"
            assert f"| `{name}` | {shown} |" in README


def test_env_example_is_generated_from_the_settings() -> None:
    assert (ROOT / ".env.example").read_text("utf-8") == env_example()
