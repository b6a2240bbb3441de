"""The two tools of every loop, and what the test sets. They work in the current directory."""

import os
import sys
from pathlib import Path

MODEL = os.environ["MODEL"]
PROMPT = os.environ["PROMPT"]
BASE_URL = os.environ["GATEWAY_URL"]  # without /v1
API_KEY = os.environ["GATEWAY_KEY"]
PROTOCOL = os.environ["PROTOCOL"]  # chat, responses or messages


def read_file(path: str) -> str:
    """Read a text file.

    Args:
        path: the file to read
    """
    return Path(path).read_text("utf-8")


def edit_file(path: str, old_text: str, new_text: str) -> str:
    """Replace a text in a file.

    Args:
        path: the file to change
        old_text: the text to be replaced
        new_text: the text that takes its place
    """
    text = Path(path).read_text("utf-8")
    if text.count(old_text) != 1:
        return f"{path} holds {old_text!r} {text.count(old_text)} times"
    Path(path).write_text(text.replace(old_text, new_text), "utf-8")
    return f"edited {path}"


TOOLS = {"read_file": read_file, "edit_file": edit_file}


def answer(text: object) -> None:
    """Tell the test what the model said last."""
    sys.stdout.write(f"{text}\n")
