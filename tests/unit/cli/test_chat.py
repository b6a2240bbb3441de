"""`coding-gateway chat` against a server that answers in every way a gateway or a proxy can."""

import io
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from gateway import wire
from gateway.cli import main
from gateway.cli.chat import Printer
from gateway.cli.chat_client import Piece

SSE = "text/event-stream"
FRONT_DOOR = {
    "ORIGIN_SECRET": "front-door",
    "CF_ACCESS_CLIENT_ID": "id.access",
    "CF_ACCESS_CLIENT_SECRET": "token",
}


def chunk(**delta: Any) -> bytes:
    reason = delta.pop("finish_reason", None)
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return b"data: " + wire.dumps({"choices": [choice]}) + b"\n\n"


DONE = chunk(finish_reason="stop") + b"data: [DONE]\n\n"


class Server(ThreadingHTTPServer):
    """Answers what it was told, and keeps what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status, self.kind, self.body = 200, SSE, DONE
        self.headers: dict[str, str] = {}
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.front_door: dict[str, str] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def answers(self, body: bytes, status: int = 200, kind: str = SSE, **headers: str) -> None:
        self.body, self.status, self.kind, self.headers = body, status, kind, headers


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = wire.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append((self.path, self.headers["authorization"], body))
        names = ("x-origin-secret", "cf-access-client-id", "cf-access-client-secret")
        self.server.front_door = {n: self.headers[n] for n in names if n in self.headers}
        self.send_response(self.server.status)
        self.send_header("Content-Type", self.server.kind)
        for name, value in self.server.headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        del format, args


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)  # away from a developer's .env
    for name in ("GATEWAY_API_KEY", "DEFAULT_MODEL", "DATA_DIR", *FRONT_DOOR):
        monkeypatch.delenv(name, raising=False)


def chat(server: Server, *arguments: str) -> int:
    return main(["chat", "--base-url", server.url, "--api-key", "cgw_k", *arguments])


def test_the_answer_is_on_standard_output(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers(
        b": waiting\n\n"
        + chunk(role="assistant", content="")
        + chunk(content="Hel")
        + chunk(content="lo\u2028\U0001f600")
        + DONE
    )
    assert chat(server, "Say", "hello", "--system", "Be brief", "--model", "auto") == 0
    said = capsys.readouterr()
    assert said.out == "Hello\u2028\U0001f600\n"
    assert said.err == ""
    [(path, authorization, body)] = server.asked
    assert (path, authorization) == ("/v1/chat/completions", "Bearer cgw_k")
    assert body == {
        "model": "auto",
        "stream": True,
        "messages": [
            {"role": "system", "content": "Be brief"},
            {"role": "user", "content": "Say hello"},
        ],
    }


def test_a_whole_answer_can_be_asked_for(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    message = {"role": "assistant", "content": "Hi", "reasoning_content": "hm"}
    answer = {"choices": [{"message": message, "finish_reason": "length"}]}
    server.answers(wire.dumps(answer), kind="application/json", X_Model_Source="simulator")
    assert chat(server, "--no-stream", "Hello") == 0
    said = capsys.readouterr()
    assert said.out == "Hi\n"
    assert "token limit" in said.err
    assert "simulator" in said.err
    assert server.asked[0][2]["stream"] is False


@pytest.mark.parametrize("in_file", [False, True])
def test_what_an_origin_lock_asks_for_is_sent_where_it_is_set(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, in_file: bool
) -> None:
    assert chat(server, "Hello") == 0
    assert server.front_door == {}
    if in_file:
        (tmp_path / ".env").write_text("".join(f"{n}={v}\n" for n, v in FRONT_DOOR.items()))
    else:
        for name, value in FRONT_DOOR.items():
            monkeypatch.setenv(name, value)
    assert chat(server, "Hello") == 0
    assert server.front_door == {
        "x-origin-secret": "front-door",
        "cf-access-client-id": "id.access",
        "cf-access-client-secret": "token",
    }


def test_a_secret_no_header_can_carry_is_one_line_without_it(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ORIGIN_SECRET", "schlüssel\nX: y")
    assert chat(server, "Hello") == 1
    said = capsys.readouterr().err
    assert "ORIGIN_SECRET" in said
    assert "schl" not in said
    assert server.asked == []


@pytest.mark.parametrize("arguments", [("-",), ()])
def test_the_question_may_come_from_standard_input(
    server: Server, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("müde?\xff\n".encode())))
    assert chat(server, *arguments) == 0
    assert server.asked[0][2]["messages"] == [{"role": "user", "content": "müde?\xff\n"}]


def test_an_empty_question_is_not_sent(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b" \n")))
    assert chat(server, "-") == 1
    assert "no question" in capsys.readouterr().err
    assert server.asked == []


REFUSALS: dict[str, tuple[bytes, int, str, str]] = {
    "an error of the gateway": (
        b'{"error": {"message": "The API key\\nis not valid.", "code": "x"}}',
        401,
        "application/json",
        "The API key is not valid. (401)",
    ),
    "an error with escape codes": (b'{"error": "\\u001b[2Jgone"}', 500, "", "[2Jgone (500)"),
    "a page of a proxy": (b"<html>Bad\n</html>", 502, "text/html", "Bad Gateway (502)"),
    "no gateway": (b"data: <html>\n\n", 200, SSE, "not one of a gateway"),
    "another API": (b'data: {"type": "x"}\n\n', 200, SSE, "not one of a gateway"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_an_error_is_one_line_and_exit_code_1(
    case: str, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    body, status, kind, message = REFUSALS[case]
    server.answers(body, status, kind)
    assert chat(server, "Hello") == 1
    said = capsys.readouterr()
    assert said.err.startswith("coding-gateway: ")
    assert message in said.err
    assert said.err.count("\n") == 1
    assert "\x1b" not in said.err
    assert said.out == ""


@pytest.mark.parametrize(
    ("end", "message"),
    [
        (b"", "cut off"),
        (b'data: {"error": {"message": "Overloaded"}}\n\n', "Overloaded"),
    ],
)
def test_a_part_of_an_answer_is_shown_and_called_so(
    end: bytes, message: str, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.answers(chunk(content="Hel") + end)
    assert chat(server, "Hello") == 1
    said = capsys.readouterr()
    assert said.out == "Hel\n"
    assert message in said.err


def test_nobody_there_is_said_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    with Server() as gone:
        url = gone.url
    assert main(["chat", "--base-url", url, "--api-key", "k", "Hello"]) == 1
    said = capsys.readouterr().err
    assert f"nothing answers at {url}" in said
    assert "coding-gateway up" in said
    assert said.count("\n") == 1


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(output: io.StringIO, *pieces: Piece) -> str:
    printer = Printer(output)
    for piece in pieces:
        printer.show(piece)
    printer.end()
    return output.getvalue()


def test_thinking_is_dim_in_a_terminal_and_left_out_elsewhere() -> None:
    pieces = (Piece("hm", thinking=True), Piece("m", thinking=True), Piece("Hi"))
    assert shown(_Terminal(), *pieces) == "\x1b[2mhmm\x1b[22m\n\nHi\n"
    assert shown(io.StringIO(), *pieces) == "Hi\n"


def test_an_answer_that_stops_while_thinking_leaves_the_terminal_as_it_was() -> None:
    assert shown(_Terminal(), Piece("hm\n", thinking=True)) == "\x1b[2mhm\n\x1b[22m\n"


def test_an_answer_cannot_steer_the_terminal() -> None:
    hostile = Piece("a\x1b]0;title\x07b\x9b2Jc\r\n\td")
    assert shown(_Terminal(), hostile) == "a]0;titleb2Jc\n\td\n"
    assert shown(io.StringIO(), hostile) == hostile.text + "\n"


def test_half_an_emoji_does_not_end_the_answer() -> None:
    output = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    printer = Printer(output)
    for piece in (Piece("a\ud83d"), Piece("ü")):
        printer.show(piece)
    printer.end()
    output.seek(0)
    assert output.read() == "a??\n"
