"""uvicorn's HTTP protocol, with a short way for live requests.

ASGI hands a request over as a scope and messages, and takes its answer as more of them; for a live
request that costs as much as its translation. So the protocol hands those to their handlers itself,
as a `LiveExchange`, and all others to the application. Heads and bodies leave in one system call,
and handlers are called when their client leaves, where ASGI takes a task for each request.
"""

import asyncio
import math
from collections.abc import Mapping
from typing import Any

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api.live_connection import LiveHandler
from api.live_exchange import LiveExchange

_IDLE_SECONDS = 75.0  # above the 60 s idle time-out load balancers come with
_HEAD_SECONDS = 30.0


class LiveProtocol(HttpToolsProtocol):
    """A connection of a client; it serves one request at a time.

    What the application has in `live_handlers`, by path, serves the POST requests there.
    It is ended when the loop's time is `ends_at`, unless something comes or is taken; None while a
    request is served.
    """

    cycle: Any  # a RequestResponseCycle or a LiveExchange: what uvicorn asks of one, both have

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.ends_at: float | None = None
        self._untaken: float = math.inf  # bytes of the answer, when that was last looked at
        self._handlers: Mapping[bytes, LiveHandler] = getattr(self.app, "live_handlers", {})
        self._serving: RequestResponseCycle | LiveExchange | None = None
        self._is_spoilt = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has come."""
        super().connection_made(transport)
        self.ends_at = self.loop.time() + _HEAD_SECONDS

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has left, or has had enough."""
        served, self._serving = self._serving, None
        if isinstance(self.cycle, LiveExchange):
            self.cycle = None  # uvicorn would wake who waits for its messages
        super().connection_lost(exc)
        if isinstance(served, LiveExchange):
            served.lose()
        elif served is not None and not served.response_complete:
            served.disconnected = True  # uvicorn tells the last of the requests only
            served.message_event.set()

    def look(self, now: float) -> None:
        """End it when it is idle for long, took nothing, or began a request and did not go on."""
        if self.ends_at is None or now <= self.ends_at:
            return
        untaken = self.transport.get_write_buffer_size()
        if not untaken:
            self.transport.close()
        elif untaken < self._untaken:
            self._untaken, self.ends_at = untaken, now + _IDLE_SECONDS
        else:
            self.transport.abort()

    # --- a request comes ---

    def data_received(self, data: bytes) -> None:
        """Bytes of a request, or of several."""
        if self._is_spoilt:
            return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offered:
            if not self._offers_upgrade():
                return
            if self._is_busy():
                self._refuse()  # who offers one waits for its answer first
            else:
                self._decline(data[offered.args[0] :])
        except httptools.HttpParserError:
            self._refuse()

    def _refuse(self) -> None:
        """What has come is no request, nor will anything be that follows it.

        Requests that have come before it are answered first.
        """
        self._is_spoilt = True
        if self.pipeline and self.cycle.more_body:
            self.pipeline.popleft()  # the newest, which will never be whole
            self.cycle = self.pipeline[0][0] if self.pipeline else self._serving
            self.flow.resume_reading()  # what nobody reads would cut the answers off
        if self._is_busy() and not self.cycle.more_body:
            return
        self.logger.warning("Invalid HTTP request received.")
        self.send_400_response("Invalid HTTP request received.")
        self.ends_at = self.loop.time() + _IDLE_SECONDS

    def on_message_begin(self) -> None:
        """Its scope is made when it is known to be one of the application's."""
        if not self._is_busy():
            self.ends_at = self.loop.time() + _HEAD_SECONDS
        self.url = b""
        self.headers = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header as it is."""
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Begin to serve; what comes before the answer to the last request is complete waits."""
        if self._offers_upgrade():
            return  # it comes again without the offer
        self.ends_at = handler = None
        if self.parser.get_method() == b"POST" and not self._is_busy():
            handler = self._handlers.get(self.url.partition(b"?")[0])
        if handler is None:
            self._hand_to_application()
        else:
            self.cycle = self._serving = exchange = LiveExchange(self)
            task = self.loop.create_task(handler(exchange))
            self.tasks.add(task)
            task.add_done_callback(exchange.served)
        self.headers = []  # trailers are none of them (RFC 9110, 6.5.1)

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        if isinstance(self.cycle, LiveExchange):
            self.cycle.add(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is here as a whole."""
        if self._offers_upgrade():
            return
        if isinstance(self.cycle, LiveExchange):
            self.cycle.complete()
        else:
            super().on_message_complete()

    def _offers_upgrade(self) -> bool:
        return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"

    def _decline(self, rest: bytes) -> None:
        """Read a request anew without the upgrade it offers, which is what RFC 9110, 7.8 asks for.

        To the parser it ended with its head; Java's client offers HTTP/2 in the head of a POST.
        """
        version = self.parser.get_http_version().encode("ascii")
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        lines += [b"%b: %b" % each for each in self.headers if each[0].lower() != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it
        self.data_received(b"\r\n".join([*lines, b"", rest]))

    def _is_busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _hand_to_application(self) -> None:
        url, headers = self.url, self.headers
        super().on_message_begin()
        self.url = url
        for name, value in headers:
            super().on_header(name, value)
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._serving = cycle
        super()._start_asgi_task(cycle, app)

    # --- its answer is complete ---

    def resume_writing(self) -> None:
        """The client has taken most of what was sent."""
        super().resume_writing()
        if not self._is_busy():
            self.flow.resume_reading()

    def on_response_complete(self) -> None:
        """Go on with the next request."""
        self.server_state.total_requests += 1
        self._untaken, self.ends_at = math.inf, self.loop.time() + _IDLE_SECONDS
        if self.transport.is_closing():
            return
        if self.flow.write_paused:
            self.flow.pause_reading()  # who takes no answers gets to ask no more
        else:
            self.flow.resume_reading()
        if self.pipeline:
            self.ends_at = None
            self._start_asgi_task(*self.pipeline.pop())
        elif self._is_spoilt:
            self._refuse()
