"""Instruction blocks that IDEs repeat turn after turn: the repetitions are left out.

Only a block that is the same to the letter as one that stands earlier in the same request goes, and
a line says so; what the model is told stays the same.
"""

import tomllib
from importlib import resources
from itertools import compress, repeat
from operator import contains
from pathlib import Path
from typing import Any

from gateway.config.tables import read_table
from gateway.reduction.texts import Text
from gateway.structs import Struct


class KnownBlock(Struct, frozen=True):
    """A block: it begins with a line that starts with `start` and reaches to the end of `end`;
    without `end` to the next blank line.
    """

    name: str
    start: str
    end: str | None

    def find(self, text: str, begin: int) -> tuple[int, int] | None:
        """Where the next block from `begin` on stands, None when there is none."""
        place = text.find(self.start, begin)
        while place > 0 and text[place - 1] != "\n":
            place = text.find(self.start, place + 1)
        if place < 0:
            return None
        after = place + len(self.start)
        if self.end is None:
            close = text.find("\n\n", after)
            return place, close if close >= 0 else len(text)
        close = text.find(self.end, after)
        return (place, close + len(self.end)) if close >= 0 else None


class Boilerplate:
    """The known blocks."""

    __slots__ = ("_starts", "blocks")

    def __init__(self, blocks: tuple[KnownBlock, ...]) -> None:
        self.blocks = blocks
        self._starts = tuple([block.start for block in blocks])

    def strip(self, texts: list[Text]) -> None:
        """Leave repeated blocks out of the texts of users; the system text counts as the first.

        What tools return may quote anything and is not looked at.
        """
        said = [text for text in texts if text.kind != "tool_result"]
        for block in self.present(user_texts(texts)):
            seen: set[str] = set()
            for text in said:
                _strip(text, block, seen)

    def present(self, said: list[str]) -> list[KnownBlock]:
        """The blocks that may stand in one of these texts."""
        whole = said[0] if len(said) == 1 else "\n".join(said)
        return list(compress(self.blocks, map(contains, repeat(whole), self._starts)))


def user_texts(texts: list[Text]) -> list[str]:
    """What the user has said: neither the system text nor what tools return."""
    return [text.value for text in texts if text.kind != "tool_result" and text.message >= 0]


def _strip(text: Text, block: KnownBlock, seen: set[str]) -> None:
    value, pieces, done, begin = text.value, [], 0, 0
    while (found := block.find(value, begin)) is not None:
        first, begin = found
        passage = value[first:begin]
        mark = f"[{block.name}: repeated word for word, removed by the gateway]"
        if passage not in seen:
            seen.add(passage)
        elif text.message >= 0 and len(mark) < len(passage):
            pieces += [value[done:first], mark]
            done = begin
    if done:
        text.value = "".join(pieces) + value[done:]


def load_boilerplate(overrides: Path | None = None) -> Boilerplate:
    """The packaged blocks with those of `overrides` laid over them, by name.

    Raises ValueError with the entry that is wrong.
    """
    packaged = resources.files("gateway.reduction").joinpath("boilerplate.toml").read_text("utf-8")
    entries = {entry["name"]: entry for entry in tomllib.loads(packaged)["block"]}
    if overrides is not None:
        entries |= {entry["name"]: entry for entry in _read(overrides)}
    return Boilerplate(
        tuple(
            KnownBlock(entry["name"], entry["start"], entry.get("end"))
            for entry in entries.values()
            if not entry.get("off")
        )
    )


def _read(path: Path) -> list[dict[str, Any]]:
    blocks = read_table(path).get("block", [])
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise ValueError("block must be a list of tables")
    for number, block in enumerate(blocks, 1):
        wanted = ("name",) if block.get("off") else ("name", "start")
        for field in wanted:
            if not isinstance(block.get(field), str) or not block[field]:
                raise ValueError(f"block {number} needs a {field}")
        if not isinstance(block.get("end", ""), str):
            raise ValueError(f"the end of block {number} must be a text")
    found: list[dict[str, Any]] = blocks
    return found
