"""The server's HTTP protocol: which requests are served where, and when connections end."""

import asyncio

import pytest

from api.http_protocol import LiveProtocol
from api.live_exchange import LiveExchange
from tests.support.live_server import GET, POST, Application, connected, echo, one, said, serving


@pytest.mark.parametrize("url", [b"/live", b"/live?beta=true"])
async def test_post_requests_of_a_live_path_are_served_there(url: bytes) -> None:
    assert (await said(echo, POST.replace(b"/live", url))).endswith(b"\r\n\r\n{}")


@pytest.mark.parametrize(
    "request_line", [b"GET /live", b"POST /other", b"POST /live/", b"HEAD /live", b"POST /%6cive"]
)
async def test_everything_else_is_the_applications(request_line: bytes) -> None:
    answer = await said(echo, POST.replace(b"POST /live", request_line))
    assert answer.endswith(b"\r\n\r\n" if b"HEAD" in request_line else request_line)


async def test_several_requests_on_one_connection() -> None:
    async with connected(echo) as (reader, writer):
        writer.write(POST + GET + POST.replace(b"{}", b"[]") + POST)
        answers = [await one(reader) for _ in range(4)]
        # Those that have to wait go through the application.
        assert answers == [b"{}", b"GET /other", b"POST /live", b"POST /live"]
        for body in (b"{}", b"[]"):
            writer.write(POST.replace(b"{}", body))
            assert await one(reader) == body


async def test_the_application_hears_of_a_client_that_leaves_with_a_request_behind() -> None:
    app = Application(echo)
    async with serving(app) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET.replace(b"/other", b"/waiting") + GET)
        await asyncio.sleep(0.05)
        writer.close()
        async with asyncio.timeout(5):
            await app.left.wait()
            await writer.wait_closed()


async def test_connections_end_some_time_after_an_answer_or_in_the_middle_of_a_head() -> None:
    served: list[LiveProtocol] = []
    go_on = asyncio.Event()

    async def handler(exchange: LiveExchange) -> None:
        assert isinstance(exchange._protocol, LiveProtocol)
        served.append(exchange._protocol)
        await go_on.wait()
        await exchange.answer(200, {}, b"ok")

    async with connected(handler) as (reader, writer):
        now = asyncio.get_running_loop().time()
        writer.write(POST)
        await asyncio.sleep(0.05)
        assert served[0].ends_at is None
        writer.write(POST[:10])  # of the next request
        await asyncio.sleep(0.05)
        assert served[0].ends_at is None
        go_on.set()
        assert await one(reader) == b"ok"
        assert served[0].ends_at == pytest.approx(now + 75, abs=5)
        writer.write(POST[10:])
        assert await one(reader) == b"ok"
        writer.write(POST[:10])
        await asyncio.sleep(0.05)
        assert served[0].ends_at == pytest.approx(now + 30, abs=5)


@pytest.mark.parametrize(
    "sent",
    [POST, POST.replace(b"host", b"connection: close\r\nhost"), POST + b"no request\r\n\r\n"],
    ids=["keeps", "closes", "breaks"],
)
async def test_a_client_that_takes_nothing_of_its_answer_is_given_up(sent: bytes) -> None:
    served: list[LiveProtocol] = []

    async def handler(exchange: LiveExchange) -> None:
        assert isinstance(exchange._protocol, LiveProtocol)
        served.append(exchange._protocol)
        await exchange.answer(200, {}, b"x" * 2**26)

    async with connected(handler) as (reader, writer):
        writer.write(sent)
        await reader.readuntil(b"\r\n\r\n")
        (protocol,) = served
        now = asyncio.get_running_loop().time()
        protocol.look(now + 1)
        protocol.look(now + 1000)
        assert protocol in protocol.connections  # it may be slow
        taken = 0
        while taken < 2**25:
            taken += len(await reader.read(2**20))
        protocol.look(now + 2000)
        assert protocol in protocol.connections  # it has taken some
        await asyncio.sleep(0.2)  # what its system takes for it is no longer the question
        protocol.look(now + 3000)
        protocol.look(now + 4000)
        while protocol in protocol.connections:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)


# --- what is no request of HTTP/1.1, or offers to become none ---

OFFER = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAEAAEAA\r\n"


@pytest.mark.parametrize("split", [None, 40, 120, 180])
async def test_an_offered_upgrade_is_declined_and_the_request_answered(split: int | None) -> None:
    request = POST.replace(b"host: a\r\n", b"host: a\r\n" + OFFER)
    async with connected(echo) as (reader, writer):
        for _ in range(2):
            writer.write(request[:split])
            await asyncio.sleep(0.02)
            writer.write(b"" if split is None else request[split:])
            assert await one(reader) == b"{}"
        writer.write(GET.replace(b"host: a\r\n", b"host: a\r\n" + OFFER))
        assert await one(reader) == b"GET /other"


async def test_upgrades_that_are_offered_before_the_last_answer_end_the_connection() -> None:
    request = GET.replace(b"host: a\r\n", b"host: a\r\n" + OFFER)
    async with connected(echo) as (reader, writer):
        writer.write(request * 500)
        assert b"HTTP/1.1 400 " in await reader.read()


@pytest.mark.parametrize(
    "spoilt",
    [
        b"no request\r\n\r\n",
        GET.replace(b"host: a\r\n", b"host: a\r\n" + OFFER),
        b"POST /other HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nno size\r\n",
    ],
)
@pytest.mark.parametrize("before", [[POST], [GET], [POST, GET, POST]])
async def test_what_is_no_request_waits_for_the_answers_before_it(
    before: list[bytes], spoilt: bytes
) -> None:
    go_on = asyncio.Event()

    async def handler(exchange: LiveExchange) -> None:
        await exchange.begin({})
        await go_on.wait()
        await exchange.write(b"whole", is_last=True)

    async with connected(handler) as (reader, writer):
        writer.write(b"".join(before) + spoilt)
        await asyncio.sleep(0.05)
        writer.write(spoilt + POST)  # none of it is looked at any more
        await asyncio.sleep(0.05)
        go_on.set()
        answers = await reader.read()
    assert answers.count(b"HTTP/1.1 200 ") == len(before)
    assert answers.count(b"5\r\nwhole\r\n0\r\n\r\n") == (before[0] == POST)
    assert answers.count(b"HTTP/1.1 400 ") == 1
    assert answers.rindex(b"HTTP/1.1 400 ") > answers.rindex(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("path", [b"/live", b"/waiting"])
async def test_a_body_that_breaks_is_refused_at_once(path: bytes) -> None:
    async with connected(echo) as (reader, writer):
        head = b"POST %b HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n" % path
        writer.write(head + b"2\r\n{}\r\n")
        await asyncio.sleep(0.05)
        writer.write(b"no size\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")


async def test_what_is_no_http_is_refused() -> None:
    async with connected(echo) as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nno header\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")


async def test_a_connect_request_is_the_applications() -> None:
    async with connected(echo) as (reader, writer):
        writer.write(b"CONNECT a:1 HTTP/1.1\r\nhost: a:1\r\n\r\n")
        assert (await reader.read(100)).startswith(b"HTTP/1.1 ")


@pytest.mark.parametrize("path", [b"/live", b"/other"])
async def test_what_follows_a_body_is_no_header(path: bytes) -> None:
    names: list[bytes] = []

    async def handler(exchange: LiveExchange) -> None:
        await exchange.read(1000)
        names.extend(name for name, _ in exchange.headers)
        await exchange.answer(200, {}, b"ok")

    app = Application(handler)
    async with serving(app) as port, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = b"POST %b HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n" % path
        writer.write(head + b"2\r\n{}\r\n0\r\nauthorization: Bearer other\r\n\r\n")
        await one(reader)
        writer.close()
        await writer.wait_closed()
    names += app.header_names
    assert names == [b"host", b"transfer-encoding"]


async def test_a_client_that_takes_no_answers_gets_to_ask_no_more() -> None:
    served: list[LiveProtocol] = []

    async def handler(exchange: LiveExchange) -> None:
        assert isinstance(exchange._protocol, LiveProtocol)
        served.append(exchange._protocol)
        await exchange.answer(200, {}, b"x" * 2**20)

    async with connected(handler) as (reader, writer):
        for _ in range(64):
            writer.write(POST)
            await asyncio.sleep(0.005)
        buffered = served[0].transport.get_write_buffer_size()
        assert buffered <= 2**21
        assert len(served) < 64
        for _ in range(len(served) + 1):  # what it takes makes room for more
            await one(reader)
