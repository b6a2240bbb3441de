"""The description of the API: the same with and without docstrings in the process."""

import subprocess
import sys

from gateway import wire

_WRITE = """
import sys
from api.app import create_app
from gateway import wire
from gateway.config import Settings
app = create_app(Settings(_env_file=None))
sys.stdout.buffer.write(wire.dumps_sorted(app.openapi()))
"""


def described(*flags: str) -> bytes:
    """The document an interpreter with these flags writes."""
    command = [sys.executable, *flags, "-c", _WRITE]
    return subprocess.run(command, check=True, capture_output=True).stdout


def test_a_process_without_docstrings_describes_the_same() -> None:
    plainly = described()
    assert described("-OO") == plainly
    document = wire.loads(plainly)
    operations = [each for path in document["paths"].values() for each in path.values()]
    assert all(each.get("description") or each.get("summary") for each in operations)
    assert any(each.get("description") for each in document["components"]["schemas"].values())
