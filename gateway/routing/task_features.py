"""What the opening of a conversation tells about the work: its class, its size, its references.

Only the newest user text and the first words of the system text are read, each up to a length, so
that the cost is bounded. The features are numbers and names from fixed sets; no text is kept.
"""

import re

from gateway.routing.task_words import (
    LANGUAGES,
    MOVES,
    PHRASES,
    SMALL_WORDS,
    TASK_CLASSES,
    WIDE,
    WORDS,
    TaskClass,
)
from gateway.structs import Struct
from gateway.wire import JSON, JSONObject

_HEAD_CHARS = 1_000  # where people say what they want
_TAIL_CHARS = 400
_READ_CHARS = 400_000  # no code fence is looked for behind that
_SYSTEM_CHARS = 300
_SMALL_CHARS = 300  # a long text that says "simple" is not
_ENOUGH = 2  # the weight of one plain word for a class, or of two hints

_FILE = re.compile(r"[\w./\\-]*\w\.(?:[a-z]{1,4}|mp[34]|toml|lock|vue|yaml|proto)\Z")
_PUNCTUATION = str.maketrans(dict.fromkeys("!\"'()*,:;<=>?[]^`{|}~\n\t", " "))
_STEPS = ("-", "*", "1", "2", "3", "4", "5", "6", "7", "8", "9")
_TRACES = (
    "Traceback (most recent call last)",
    "Exception in thread",
    "panic: ",
    "panicked at",
    "Caused by:",
    "Uncaught ",
    "Unhandled",
    "Segmentation fault",
)
_TRACE_WORDS = frozenset({
    "traceback", "exception", "panic:", "panic", "panicked", "caused", "uncaught", "unhandled",
    "segmentation",
})  # fmt: skip
_FRAMES = ("\n    at ", "\n\tat ")  # of JavaScript and Java
_QUESTIONS = (
    "what", "why", "how", "where", "which", "who", "when", "is", "are", "does", "do", "can",
    "could", "should", "explain", "describe", "tell",
)  # fmt: skip
_RULES = ("\n# *SEARCH/REPLACE block*", "\n<environment_details>", "\n<system-reminder>")
_ASIDE = ("<environment_details>", "<system-reminder>", "<ide_context>", "<env>")


class TaskFeatures(Struct, frozen=True):
    """What was read. `classes` are all that were hinted at, the likeliest first.

    `chars` are of the user's newest text without code, `code_chars` of its code fences; `tools`,
    `files`, `traces` and `steps` count tools on offer, files named, stack traces and list items.
    `is_small`: the words say that little is to be done.
    """

    task_class: TaskClass
    classes: tuple[TaskClass, ...] = ()
    chars: int = 0
    code_chars: int = 0
    tools: int = 0
    files: int = 0
    traces: int = 0
    steps: int = 0
    languages: tuple[str, ...] = ()
    is_small: bool = False


class _Task(Struct, frozen=True):
    """What the user asks for, as far as it is read; `distinct` are its words in lower case."""

    text: str
    prose: str
    prose_chars: int
    distinct: set[str]
    classes: tuple[TaskClass, ...]
    task_class: TaskClass


def read_features(body: JSONObject) -> TaskFeatures:
    """The features of a request in the Messages form."""
    task = _read_task(body)
    distinct = task.distinct
    return TaskFeatures(
        task_class=task.task_class,
        classes=task.classes,
        chars=task.prose_chars,
        code_chars=len(task.text) - task.prose_chars,
        tools=len(body.get("tools") or ()),
        files=sum(1 for word in distinct if "." in word and _FILE.match(word)),
        traces=_traces(task.text[: 6 * _HEAD_CHARS], distinct),
        steps=_steps(task.prose),
        languages=tuple(sorted(distinct & LANGUAGES)),
        is_small=task.prose_chars <= _SMALL_CHARS and not distinct.isdisjoint(SMALL_WORDS),
    )


def read_class(body: JSONObject) -> TaskClass:
    """The class alone: all there is to know where the model is not ours to choose."""
    return _read_task(body).task_class


def _read_task(body: JSONObject) -> _Task:
    text = newest_text(body["messages"])
    prose = _without_code(text)
    prose_chars = len(prose)
    if prose_chars > _HEAD_CHARS + _TAIL_CHARS:
        prose = f"{prose[:_HEAD_CHARS]}\n{prose[-_TAIL_CHARS:]}"
    words = prose.lower().translate(_PUNCTUATION).replace(". ", " ").rstrip(" .").split()
    distinct = set(words)
    weights = _weights(words, distinct, _system_head(body.get("system")))
    classes = tuple(weights)
    if len(classes) > 1:
        # Of equal weights the dearer class counts, in every process alike: sets have no order.
        classes = tuple(
            sorted(classes, key=lambda name: (-weights[name], TASK_CLASSES.index(name)))
        )
    task_class = _class_of(weights, classes, words, prose)
    return _Task(text, prose, prose_chars, distinct, classes, task_class)


def newest_text(messages: list[JSONObject]) -> str:
    """The last text of the last user message that has one and is no aside of the client's own."""
    for message in reversed(messages):
        if message["role"] != "user":
            continue
        content = message["content"]
        if isinstance(content, str):
            return _task(content)
        texts = [block["text"] for block in content if block["type"] == "text"]
        for text in reversed(texts):
            if not text.lstrip().startswith(_ASIDE):
                return _task(text)
        if texts:
            return _task(texts[-1])
    return ""


def _task(text: str) -> str:
    """What the user wrote: without the rules that clients put behind it.

    Cline and its kin write it between `<task>` marks.
    """
    begin = text.find("<task>", 0, _HEAD_CHARS)
    if begin < 0:
        for rules in _RULES:
            text = text.partition(rules)[0] or text
        return text
    end = text.find("</task>", begin)
    return text[begin + len("<task>") : end if end > 0 else None]


def _without_code(text: str) -> str:
    """The text without what stands in code fences."""
    if "```" not in text:
        return text
    return "\n".join(text[:_READ_CHARS].split("```")[::2])


def _system_head(system: JSON) -> str:
    if isinstance(system, list):
        system = system[0]["text"] if system else ""
    return system[:_SYSTEM_CHARS].lower() if isinstance(system, str) else ""


def _steps(prose: str) -> int:
    """How many lines are items of a list."""
    if "\n" not in prose:
        return 0
    return sum(1 for line in prose.split("\n") if line.lstrip().startswith(_STEPS))


def _traces(text: str, words: set[str]) -> int:
    """How many stack traces there are, or 1 for frames without a beginning."""
    traces = 0
    # Words in code fences are not among `words`, where traces often stand.
    if "```" in text or not words.isdisjoint(_TRACE_WORDS):
        traces = sum(text.count(mark) for mark in _TRACES)
    return traces or int("\n" in text and any(frame in text for frame in _FRAMES))


def _weights(words: list[str], distinct: set[str], system: str) -> dict[TaskClass, int]:
    """The weight of each class that is hinted at."""
    weights: dict[TaskClass, int] = {}
    for word in distinct & WORDS.keys():
        name, weight = WORDS[word]
        weights[name] = weights.get(name, 0) + weight
    if "from" in distinct and not distinct.isdisjoint(MOVES) and not distinct.isdisjoint(WIDE):
        weights["migration"] = weights.get("migration", 0) + _ENOUGH
    ends = distinct & PHRASES.keys()
    text = " ".join(words) if ends else ""
    for word in ends:
        for phrase, name, weight in PHRASES[word]:
            if phrase in text:
                weights[name] = weights.get(name, 0) + weight
    if "architect" in system:  # a mode of its own in Roo, Kilo and aider
        weights["architecture"] = weights.get("architecture", 0) + _ENOUGH
    return weights


def _class_of(
    weights: dict[TaskClass, int], classes: tuple[TaskClass, ...], words: list[str], prose: str
) -> TaskClass:
    best = classes[0] if classes else "feature"
    if weights.get(best, 0) >= _ENOUGH:
        return best
    if words and (words[0] in _QUESTIONS or prose.rstrip().endswith("?")):
        return "question"
    return "feature"
