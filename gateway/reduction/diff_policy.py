"""Changes as diffs: asks for them where a client has no tools that edit files.

Output is what costs most; a whole file for a changed line costs the whole file. The policy stands
once, in the constant part of the system text.
"""

import re

from gateway.reduction.opening import Opening
from gateway.reduction.tool_kinds import ToolKinds

DIFF_POLICY = (
    "When you change code that is already in this conversation, show only the changed parts: a "
    "unified diff, or the changed function or class with its file path and enough context to place "
    "it, and nothing that stays as it is. Give a whole file only if it is new, short, or asked for."
)
"""What the model is told."""

_MOST_CHARS = 12_000  # of each text are looked at: whether it prescribes a format shows early

_CODE = re.compile(
    r"^(?:```|diff --git |@@ -\d|(?:def|class|func|fn|import|#include|package) \w)", re.MULTILINE
)
# Wishes for a form of the answer that a policy of ours would get in the way of; lower case.
_OWN_FORMATS = (
    *(
        "search/replace",
        "<<<<<<< search",
        "search and replace block",
        "unified diff",
        "diff format",
    ),
    *("whole file", "entire file", "full file", "full content", "complete file", "file listing"),
    *("existing code ...", "only with", "only output", "only return", "only reply", "output only"),
    *("return only", "reply only", "respond only", "reply with only", "valid json", "as json"),
    *(
        "commit message",
        " title",
        "<fim_",
        "fill in the middle",
        "fill-in-the-middle",
        "apply_patch",
    ),
)


def wants_diff_policy(opening: Opening, kinds: ToolKinds) -> bool:
    """True for a conversation about code whose client neither edits files itself nor asks for a
    form of its own.
    """
    said = [text[:_MOST_CHARS] for text in opening.said]
    if not any(map(_CODE.search, said)) or kinds.has_edit_tool(opening.tools):
        return False
    system = [block["text"][:_MOST_CHARS] for block in opening.system]
    return not any(map(_prescribes, [*system, *map(_without_code, said)]))


def _prescribes(text: str) -> bool:
    lowered = text.lower()
    return any(map(lowered.__contains__, _OWN_FORMATS))


def _without_code(text: str) -> str:
    """What a person says around the code; words inside it wish for nothing."""
    return "".join(text.split("```")[::2])
