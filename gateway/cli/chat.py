"""`coding-gateway chat`: a question and its answer in the terminal, or a conversation."""

import argparse
import contextlib
import os
import re
import sys
from typing import TextIO

from gateway.cli import console
from gateway.cli.chat_client import Outcome, Piece, ask
from gateway.cli.clients.target import Asked, Target, find_target
from gateway.cli.http_calls import CallError

_DIM, _PLAIN = "\x1b[2m", "\x1b[22m"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_ENDINGS = {
    "length": "the answer reached its token limit and ends here",
    "content_filter": "the model declined to go on",
}
_GREETING = "{model} at {url}. An empty line or Ctrl-D ends, Ctrl-C stops an answer."


class Printer:
    """Writes the pieces of one answer, thinking dimmed where a person looks."""

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._is_terminal = output.isatty()
        self._encoding = output.encoding or "utf-8"
        self._thinking = False
        self._at_line_start = True
        self.text = ""

    def show(self, piece: Piece) -> None:
        """Write a piece. Thinking goes to terminals only: elsewhere the answer alone is wanted."""
        if not piece.thinking:
            self.text += piece.text
        elif not self._is_terminal:
            return
        self._switch(thinking=piece.thinking)
        text = piece.text.encode(self._encoding, "replace").decode(self._encoding)
        if self._is_terminal:
            text = _CONTROL.sub("", text)  # an answer must not steer the terminal
        self._write(text)

    def end(self) -> None:
        """Leave the terminal in its usual style, at the start of a line."""
        self._switch(thinking=False)
        if not self._at_line_start:
            self._write("\n")

    def _switch(self, *, thinking: bool) -> None:
        if thinking == self._thinking:
            return
        self._thinking = thinking
        if thinking:
            self._output.write(_DIM)
        else:
            self._output.write(_PLAIN)
            self._write("\n" if self._at_line_start else "\n\n")

    def _write(self, text: str) -> None:
        if text:
            self._output.write(text)
            self._output.flush()
            self._at_line_start = text.endswith("\n")


def chat(options: argparse.Namespace) -> int:
    """Answer the question of the command line, of standard input, or talk."""
    target = find_target(Asked(options.base_url, options.api_key, options.model, options.data_dir))
    talk = Talk(target, options.system, stream=not options.no_stream)
    try:
        if not options.question and sys.stdin.isatty():
            return talk.converse()
        question = " ".join(options.question)
        if question in {"", "-"}:
            question = sys.stdin.buffer.read().decode(errors="replace")
        if not question.strip():
            raise CallError("there is no question")
        talk.answer(question)
    except BrokenPipeError:
        _forget_output()
        return 1
    return 0


class Talk:
    """A conversation: every answer goes back with the next question."""

    def __init__(self, target: Target, system: str | None, *, stream: bool) -> None:
        self._target = target
        self._stream = stream
        self._messages = [{"role": "system", "content": system}] if system else []
        self._told_of_simulator = False

    def answer(self, question: str) -> None:
        """Print the answer and keep both. Raises CallError; then neither is kept."""
        asked = {"role": "user", "content": question}
        printer, outcome = Printer(sys.stdout), Outcome()
        pieces = ask(self._target, [*self._messages, asked], stream=self._stream, outcome=outcome)
        with contextlib.closing(pieces):  # an interrupt must hang up, so that nothing more is paid
            try:
                for piece in pieces:
                    printer.show(piece)
            finally:
                printer.end()
        self._messages += [asked, {"role": "assistant", "content": printer.text}]
        self._remark(outcome)

    def _remark(self, outcome: Outcome) -> None:
        if ending := _ENDINGS.get(outcome.finish_reason):
            console.progress(f"({ending})")
        if outcome.simulated and not self._told_of_simulator:
            self._told_of_simulator = True
            console.progress("(the simulator answered, not Claude)")

    def converse(self) -> int:
        """Ask for questions until there are none; an error ends an answer, not the talk."""
        with contextlib.suppress(ImportError):
            import readline  # noqa: F401, PLC0415 - arrow keys and history; missing in some builds
        console.progress(_GREETING.format(model=self._target.model, url=self._target.base_url))
        while question := _asked():
            try:
                self.answer(question)
            except CallError as error:
                console.progress(f"coding-gateway: {error}")
            except KeyboardInterrupt:
                console.progress("(stopped)")
        return 0


def _asked() -> str:
    """The next line; empty at the end of the input and for Ctrl-C at the prompt."""
    try:
        return input("> ").strip()
    except (EOFError, KeyboardInterrupt):
        sys.stdout.write("\n")
        return ""


def _forget_output() -> None:
    """Nobody reads any more; without this Python complains while it ends."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
