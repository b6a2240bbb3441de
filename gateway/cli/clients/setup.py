"""What a client needs, in a form that can be printed, written and tested."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from gateway.cli.clients.files import ConfigFile
from gateway.cli.clients.target import Target

PROVIDER = "coding-gateway"
"""The name of our entry in files that list providers."""

TITLE = "Coding Gateway"
"""The same, for people."""

KEY_VARIABLE = "CODING_GATEWAY_API_KEY"
"""The variable for clients that want the key in the environment; Zed derives it from PROVIDER."""


@dataclass(frozen=True, slots=True)
class Places:
    """Where a user's configuration lives, as the environment says."""

    environment: Mapping[str, str] = field(repr=False)

    @property
    def home(self) -> Path:
        """The home directory."""
        return Path(self.environment.get("HOME") or "~").expanduser()

    def named(self, variable: str, otherwise: str) -> Path:
        """The directory a variable names, else one below the home directory."""
        value = self.environment.get(variable, "")
        return Path(value).expanduser() if value else self.home / otherwise

    @property
    def config_home(self) -> Path:
        """XDG_CONFIG_HOME when it is absolute, as its specification says, else ~/.config."""
        value = self.environment.get("XDG_CONFIG_HOME", "")
        return Path(value) if value.startswith("/") else self.home / ".config"


def existing_or(directory: Path, usual: str, *others: str) -> Path:
    """The first of `others` that is there, for files that win over the usual one; else that."""
    paths = (directory / name for name in others)
    return next((path for path in paths if path.exists()), directory / usual)


@dataclass(frozen=True, slots=True)
class Setup:
    """Everything to do for one client: files, variables, steps by hand, code, and what to know."""

    files: tuple[ConfigFile, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    steps: tuple[str, ...] = ()
    code: str = field(default="", repr=False)
    notes: tuple[str, ...] = ()


Build: TypeAlias = Callable[[Target, Places], Setup]


@dataclass(frozen=True, slots=True)
class Client:
    """A client by the name it has on the command line."""

    name: str
    title: str
    where: str
    build: Build
