"""Tables in files that settings name."""

import tomllib
from pathlib import Path
from typing import Any


def read_table(path: Path) -> dict[str, Any]:
    """The table of a TOML file. Raises ValueError, which does not name the file: it is a value."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        reason = error.strerror or type(error).__name__
    except UnicodeDecodeError:
        reason = "it is not UTF-8"
    except tomllib.TOMLDecodeError as error:
        reason = str(error)
    raise ValueError(f"cannot be read: {reason}")
