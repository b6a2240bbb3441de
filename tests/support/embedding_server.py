"""A small OpenAI-compatible provider of embeddings, in a thread of the tests.

A vector is made of its input's length, so that each answer belongs to its own input. Words in the
first input direct the answer: see `_Handler.do_POST`.
"""

import base64
import contextlib
import struct
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from gateway import wire

KEY = "sk-canary-embedding-provider"
Json = dict[str, Any]


class EmbeddingServer(ThreadingHTTPServer):
    """The provider; `requests` are the bodies it got, `left` the requests whose client left."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[Json] = []
        self.keys: list[str | None] = []
        self.left = 0
        self.knows_base64 = True
        self.counts = True

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: EmbeddingServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = wire.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.requests.append(body)
        self.server.keys.append(self.headers["authorization"])
        first = str(body["input"][0] if isinstance(body["input"], list) else body["input"])
        if self.path != "/v1/embeddings":
            self._error(404, "no such path")
        elif self.headers["authorization"] != f"Bearer {KEY}":
            self._error(401, f"Incorrect API key provided: {self.headers['authorization']}")
        elif first == "too long":
            self._error(400, "maximum context length is 8192 tokens")
        elif first == "busy" and len(self.server.requests) < 3:
            self._error(503, "busy")
        elif first == "slow":
            self._wait_until_left()
        elif first == "garbage":
            self._send(200, b"<html>")
        elif first == "cut":
            self._cut()
        elif body.get("encoding_format") == "base64" and not self.server.knows_base64:
            self._error(422, "encoding_format: only float is supported")
        else:
            self._send(200, wire.dumps(self._answer(body)))

    def _answer(self, body: Json) -> Json:
        given = body["input"]
        single = isinstance(given, str) or isinstance(given[0], int)
        inputs = [given] if single else given
        size = body.get("dimensions") or 3
        data = []
        for index, each in enumerate(inputs):
            numbers = [float(len(each)), *[0.5] * (size - 1)]
            if "elsewhere" in each:
                numbers = [0.0, *[1.0] * (size - 1)]
            vector: Any = numbers
            if body.get("encoding_format") == "base64":
                vector = base64.b64encode(struct.pack(f"<{size}f", *numbers)).decode()
            data.append({"object": "embedding", "index": index, "embedding": vector})
        answer: Json = {"object": "list", "model": "provider-" + body["model"], "data": data}
        if self.server.counts:
            answer["usage"] = {"prompt_tokens": 5 * len(inputs), "total_tokens": 5 * len(inputs)}
        return answer

    def _wait_until_left(self) -> None:
        self.connection.settimeout(20)
        with contextlib.suppress(OSError):
            if not self.connection.recv(1):
                self.server.left += 1
        self.close_connection = True

    def _cut(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "1000")
        self.end_headers()
        self.wfile.write(b'{"data":[')
        self.close_connection = True

    def _error(self, status: int, message: str) -> None:
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
        self._send(status, wire.dumps({"error": error}))

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay silent."""


@contextlib.contextmanager
def embedding_server() -> Iterator[EmbeddingServer]:
    """A running provider."""
    server = EmbeddingServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def until_left(server: EmbeddingServer, seconds: float) -> bool:
    """True when a client of the provider leaves in time."""
    deadline = time.monotonic() + seconds
    while not server.left and time.monotonic() < deadline:
        time.sleep(0.02)
    return server.left > 0
