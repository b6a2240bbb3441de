"""Compares the lock files with pyproject.toml and with each other, without a network.

Run by `make check`. Every direct dependency is pinned at a version its specifier allows, every
pin has hashes, no file names a package index, and the files agree on every version.
"""

import re
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_HERE = Path(__file__).parent
_PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^ ;\\]+)")


def _pins(path: Path) -> dict[str, str]:
    pins: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        found = _PIN.match(line)
        if found:
            pins[canonicalize_name(found.group(1))] = found.group(2)
    return pins


def _direct(project: dict[str, object], extra: str | None, groups: list[str]) -> list[Requirement]:
    declared = project["project"]
    listed = project["dependency-groups"]
    if not isinstance(declared, dict) or not isinstance(listed, dict):
        raise TypeError("pyproject.toml: project and dependency-groups must be tables")
    texts = list(declared["dependencies"])
    if extra:
        texts += declared["optional-dependencies"][extra]
    for group in groups:
        texts += [entry for entry in listed[group] if isinstance(entry, str)]
    return [Requirement(text) for text in texts]


def _problems_of(path: Path, direct: list[Requirement]) -> list[str]:
    pins = _pins(path)
    text = path.read_text(encoding="utf-8")
    problems: list[str] = []
    for requirement in direct:
        version = pins.get(canonicalize_name(requirement.name))
        if version is None:
            problems.append(f"{path.name}: {requirement.name} is missing")
        elif not requirement.specifier.contains(version, prereleases=True):
            problems.append(f"{path.name}: {requirement.name}=={version} is not {requirement}")
    problems += [
        f"{path.name}: no hash for {block.splitlines()[0]}"
        for block in re.split(r"\n(?=[A-Za-z0-9])", text)
        if _PIN.match(block) and "--hash=sha256:" not in block
    ]
    if "://" in text or "--index" in text or "--find-links" in text:
        problems.append(f"{path.name}: names an address")
    return problems


def main() -> int:
    """Print every disagreement; 1 when there is one."""
    project = tomllib.loads((_HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))
    files = {
        "dev.txt": _direct(project, "stack", ["dev", "build"]),
        "stack.txt": _direct(project, "stack", ["build"]),
        "production.txt": _direct(project, None, ["build"]),
    }
    problems: list[str] = []
    everything = _pins(_HERE / "dev.txt")
    for name, direct in files.items():
        problems += _problems_of(_HERE / name, direct)
        problems += [
            f"{name}: {package}=={version} is {everything.get(package, 'absent')} in dev.txt"
            for package, version in _pins(_HERE / name).items()
            if everything.get(package) != version
        ]
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    if problems:
        sys.stderr.write("-> make lock\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
