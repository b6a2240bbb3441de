"""Calls that nobody will continue: titles, commit messages, code at a cursor, classifications.

A cache mark on one costs more than it can bring, and a small model answers it as well. Coding
clients send such calls beside the conversation, with wording of their own, which is what they are
recognised by. When in doubt a call is the first turn of a conversation.

Wording as sent by the open clients in 2026: Continue, Cline, Roo and Kilo, opencode, Claude Code,
aider, Zed, Gemini CLI and Qwen Code, Open WebUI, GitHub's chat for VS Code.
"""

import re

from gateway.wire import JSON, JSONObject

_HEAD_CHARS = 600  # where the clients' own wording stands
_TAIL_CHARS = 500
_SYSTEM_MOST_CHARS = 8_000  # instructions of an agent, which is here to stay, are longer
_TINY_MAX_TOKENS = 16  # nobody holds a conversation in sixteen tokens
_SMALL_MAX_TOKENS = 300

# What stands in the first words of the system text, in lower case, by a part all of it has.
_SYSTEM_PHRASES = {
    "title": (
        "title generator",
        "generate a title",
        "generate a concise title",
        "generate a concise, ",
        "generate a short title",
        "crafting pithy titles",
        "extract a 2-3 word title",
        "word title the following conversation",
        "conversation title",
    ),
    "commit": (
        "git commit message",
        "generates commit message",
        "generate commit message",
        "generate a commit message",
        "expert at writing git commits",
    ),
    "complet": ("code completion engine", "complete text at a cursor", "autocompletion system"),
    "hole": ("hole filler",),
    "missing": ("fill in the missing code",),
    "summar": (
        "summarize this partial conversation",
        "summarize this coding conversation",
        "summarizing conversations",
        "summarize conversations",
        "anchored context summarization",
    ),
    "topic": ("indicates a new conversation topic",),
    "command": ("process bash commands that an ai coding", "extract any file paths that this"),
    "classif": ("you are a classifier", "classify the user", "classify the following"),
    "routing": ("task routing ai",),
}

_ORDER = re.compile(
    r"(?:#+ task:\s*)?(?:please |given [^\n]{0,120}? )?"
    r"(?:(?:generate|write|create|suggest|reply with|respond with|provide|come up with|give me)\b"
    r"[^\n]{0,60}?\b(?:titles?|tags|commit message|follow-up questions|branch name|slug)\b"
    r"[^\n]{0,60}?\b(?:this|the|these|following|above)\b[^\n]{0,40}?"
    r"\b(?:chat|conversation|thread|session|messages?|diffs?|changes|prompt)\b"
    r"|(?:summari[sz]e|write a (?:brief |short |concise )?summary of)\b[^\n]{0,60}?"
    r"\b(?:this|the|our|following|above)\b[^\n]{0,30}?\b(?:conversation|chat|thread|session)\b"
    r"|generate an enhanced version of this prompt"
    r"|classify (?:the|this|these)\b)",
    re.IGNORECASE,
)
"""An order at the beginning of the user's text, or of its last paragraph."""

_SHORT_ANSWER = re.compile(
    r"\b(?:only (?:the|with|a|one)|one word|single (?:word|line|sentence)|yes or no|true or false"
    r"|no explanations?|nothing else)\b",
    re.IGNORECASE,
)

_FILL_MARKS = (
    "fim_middle",
    "<fim_suffix>",
    "<｜fim▁hole｜>",  # noqa: RUF001 - as DeepSeek writes
    "<mid>",
    "{{fill_here}}",
    "{{hole_name}}",
    "<|user_cursor_is_here|>",
)


def is_one_shot(body: JSONObject, max_tokens: int | None) -> bool:
    """True for a request in the Messages form that surely has no second turn.

    `max_tokens` is what the client asked for. Looks at the beginning of the system text and at
    both ends of what the user says, whatever their lengths.
    """
    messages = body["messages"]
    if not messages or _may_call_tools(body):
        return False
    if any(message["role"] == "assistant" for message in messages):
        return False
    if max_tokens is not None and max_tokens <= _TINY_MAX_TOKENS:
        return True
    system, system_chars = _head(body.get("system"))
    return system_chars <= _SYSTEM_MOST_CHARS and _is_worded_as_one(messages, system, max_tokens)


def _is_worded_as_one(messages: list[JSONObject], system: str, max_tokens: int | None) -> bool:
    system = system.lower()
    for part, phrases in _SYSTEM_PHRASES.items():
        if part in system and any(phrase in system for phrase in phrases):
            return True
    last = _last_text(messages[-1].get("content"))
    if _orders(_first_text(messages[0].get("content")), last):
        return True
    if max_tokens is None or max_tokens > _SMALL_MAX_TOKENS:
        return False
    return any(_SHORT_ANSWER.search(text) for text in (system, last[-_TAIL_CHARS:]))


def _may_call_tools(body: JSONObject) -> bool:
    choice = body.get("tool_choice")
    forbidden = isinstance(choice, dict) and choice.get("type") == "none"
    return bool(body.get("tools")) and not forbidden


def _orders(first: str, last: str) -> bool:
    """True when the user's texts are such an order or have a gap to fill."""
    if _ORDER.match(first[:_HEAD_CHARS].lstrip()) is not None:
        return True
    tail = last[-_TAIL_CHARS:].rstrip()
    paragraph = tail.rfind("\n\n")
    if paragraph >= 0 and _ORDER.match(tail[paragraph:].lstrip()) is not None:
        return True
    marked = (tail + first[:_HEAD_CHARS]).lower()
    return any(mark in marked for mark in _FILL_MARKS)


def _head(system: JSON) -> tuple[str, int]:
    """The first words of a system text and the length of all of it."""
    if isinstance(system, str):
        return system[:_HEAD_CHARS], len(system)
    if not isinstance(system, list):
        return "", 0
    texts = [block["text"] for block in system if isinstance(block.get("text"), str)]
    head = ""
    for text in texts:
        if len(head) >= _HEAD_CHARS:
            break
        head += text[:_HEAD_CHARS] + "\n"
    return head[: 2 * _HEAD_CHARS], sum(map(len, texts))


def _first_text(content: JSON) -> str:
    if isinstance(content, str):
        return content
    for block in content if isinstance(content, list) else ():
        if block["type"] == "text":
            text: str = block["text"]
            return text
    return ""


def _last_text(content: JSON) -> str:
    if isinstance(content, str):
        return content
    for block in reversed(content if isinstance(content, list) else []):
        if block["type"] == "text":
            text: str = block["text"]
            return text
    return ""
