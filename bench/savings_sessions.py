"""Conversations as coding clients have them, made by rule from the stories of files.

Three kinds. A chat that attaches the whole current file to every question; a chat that is built
anew each time, with the files in their newest version behind the talk so far; an agent that reads,
edits, checks and reads again. What is said is real: files, changes and subjects of commits. Times
are drawn from a generator with a fixed seed.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from bench.savings_stories import Story, changes, find_stories
from gateway.savings.session import MAX_TOKENS, RecordedRequest, Session

Message = dict[str, Any]

_SESSIONS_OF_EACH_KIND = 2
_FILES_OF_A_SESSION = 2
_STORIES = 3 * _SESSIONS_OF_EACH_KIND * _FILES_OF_A_SESSION
_CHAT_PAUSE_SECONDS = 130.0  # the median; people read, try and come back
_STEP_SECONDS = 9.0

_RULES = (
    "You are a programmer who works on the repository of the user. Answer in short sentences. Keep "
    "to the style, the names and the tests that are there. Change as little as the task needs, and "
    "say what you have changed and why. When something is not clear, say what you assume. Code "
    "comes in fenced blocks that begin with the path of their file.\n"
)


def _schema(**properties: str) -> Message:
    described = {name: {"type": "string", "description": text} for name, text in properties.items()}
    return {"type": "object", "properties": described, "required": list(properties)}


_TOOLS = [
    {"type": "function", "function": {"name": name, "description": text, "parameters": schema}}
    for name, text, schema in (
        (
            "read_file",
            "The content of a file, each line with its number and a tab in front. Read a file "
            "before you edit it, and again when you are not sure what it looks like now.",
            _schema(path="where the file is, from the root of the repository"),
        ),
        (
            "edit_file",
            "Replaces a piece of a file. The old text must be there exactly once, to the blank.",
            _schema(path="which file", old="the text to replace", new="what takes its place"),
        ),
        (
            "run",
            "Runs a command in the root of the repository and gives back what it prints.",
            _schema(command="the command line"),
        ),
    )
]


def made_sessions(root: Path) -> list[Session]:
    """The conversations; the same for the same tree."""
    stories = find_stories(root, _STORIES)
    kinds: Sequence[tuple[str, Callable[[str, Sequence[Story]], Session]]] = (
        ("whole-file chat", _whole_file_chat),
        ("rebuilt chat", _rebuilt_chat),
        ("agent", _agent),
    )
    made = []
    for place, (kind, make) in enumerate(kinds):
        for number in range(_SESSIONS_OF_EACH_KIND):
            begin = (place * _SESSIONS_OF_EACH_KIND + number) * _FILES_OF_A_SESSION
            own = stories[begin : begin + _FILES_OF_A_SESSION]
            if own:
                made.append(make(f"{kind.replace(' ', '-')}-{number + 1}", own))
    return made


class _Writer:
    """Collects the requests of a session while its clock goes on."""

    def __init__(self, name: str, kind: str, tools: list[Message] | None = None) -> None:
        self._name, self._kind, self._tools = name, kind, tools
        self._random = random.Random(name)
        self._seconds = 0.0
        self._requests: list[RecordedRequest] = []

    def ask(self, messages: Sequence[Message], answer: Message, pause: float) -> None:
        """A request and its answer; `pause` is the median of the time before it."""
        if self._requests:
            self._seconds += self._random.lognormvariate(0.0, 0.7) * pause
        body: Message = {"messages": list(messages), "max_tokens": MAX_TOKENS}
        if self._tools:
            body["tools"] = self._tools
        self._requests.append(RecordedRequest(round(self._seconds, 1), body, answer))

    def session(self) -> Session:
        """What was collected."""
        return Session(self._name, self._kind, "generated", self._requests)


def _whole_file_chat(name: str, stories: Sequence[Story]) -> Session:
    writer = _Writer(name, "whole-file chat")
    messages = [_message("system", _RULES)]
    for story, number, wish in _steps(stories):
        attached = f"```{story.path}\n{story.versions[number]}\n```\n\n{wish}"
        messages.append(_message("user", attached))
        answer = _message("assistant", _answered(story, number))
        writer.ask(messages, answer, _CHAT_PAUSE_SECONDS)
        messages.append(answer)
    return writer.session()


def _rebuilt_chat(name: str, stories: Sequence[Story]) -> Session:
    writer = _Writer(name, "rebuilt chat")
    current = {story.path: story.versions[0] for story in stories}
    overview = "These files are in the repository:\n" + "\n".join(sorted(current))
    head = [_message("system", _RULES), _message("user", overview), _message("assistant", "Good.")]
    talk: list[Message] = []
    for story, number, wish in _steps(stories):
        files = "\n\n".join(f"{path}\n```\n{text}\n```" for path, text in current.items())
        newest = f"The files as they are now, whatever was said before:\n\n{files}"
        asked = _message("user", wish)
        answer = _message("assistant", _answered(story, number))
        shown = [_message("user", newest), _message("assistant", "I see them.")]
        writer.ask([*head, *talk, *shown, asked], answer, _CHAT_PAUSE_SECONDS)
        talk += [asked, answer]
        current[story.path] = story.versions[number + 1]
    return writer.session()


def _agent(name: str, stories: Sequence[Story]) -> Session:
    writer = _Writer(name, "agent", _TOOLS)
    messages = [_message("system", _RULES * 4)]
    calls = 0
    for story, number, wish in _steps(stories):
        messages.append(_message("user", f"{wish}. It belongs into {story.path}."))
        before, after = story.versions[number], story.versions[number + 1]
        steps = [("read_file", {"path": story.path}, _numbered(before))]
        for change in changes(before, after):
            arguments = {"path": story.path, "old": change.old, "new": change.new}
            steps.append(("edit_file", arguments, f"{story.path} was changed."))
        steps += [
            ("run", {"command": "make check"}, _checked(story.path, after)),
            ("read_file", {"path": story.path}, _numbered(after)),
        ]
        pause = _CHAT_PAUSE_SECONDS
        for tool, given, result in steps:
            calls += 1
            answer = _calling(f"call_{calls:04d}", tool, given)
            writer.ask(messages, answer, pause)
            returned = {"role": "tool", "tool_call_id": f"call_{calls:04d}", "content": result}
            messages += [answer, returned]
            pause = _STEP_SECONDS
        answer = _message("assistant", f"Done: {wish}.")
        writer.ask(messages, answer, _STEP_SECONDS)
        messages.append(answer)
    return writer.session()


def _steps(stories: Sequence[Story]) -> Iterator[tuple[Story, int, str]]:
    """Each change of each story: the story, the version it starts from, and the wish."""
    for story in stories:
        for number, wish in enumerate(story.wishes):
            yield story, number, wish


def _message(role: str, text: str) -> Message:
    return {"role": role, "content": text}


def _calling(identity: str, tool: str, arguments: Message) -> Message:
    function = {"name": tool, "arguments": orjson.dumps(arguments).decode()}
    call = {"id": identity, "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def _answered(story: Story, number: int) -> str:
    pieces = changes(story.versions[number], story.versions[number + 1])
    shown = "\n".join(f"```{story.path}\n{piece.new}```" for piece in pieces)
    return f"{story.wishes[number]}: this takes {len(pieces)} changes.\n\n{shown}"


def _numbered(text: str) -> str:
    return "\n".join(f"{number:>6}\t{line}" for number, line in enumerate(text.splitlines(), 1))


def _checked(path: str, text: str) -> str:
    names = [line.split("(")[0].split()[-1] for line in text.splitlines() if "def " in line]
    lines = [f"tests/unit/test_{name}.py::test_{name} PASSED" for name in names]
    return "\n".join([f"checking {path}", *lines, f"{len(lines)} passed"])
