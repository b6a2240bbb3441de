"""Other models when one cannot be had, and second requests when one is slow."""

import asyncio

import pytest

from gateway.catalog.models import load_catalog
from gateway.errors import GatewayError, InvalidRequestError, UnavailableError
from gateway.pipeline.fallback import next_model, parse_chain
from gateway.pipeline.hedging import first_to_begin
from gateway.protocols.shared.failures import upstream_error

CATALOG = load_catalog()
OPUS, SONNET, HAIKU = "claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5"


def test_a_chain_says_what_follows_each_model() -> None:
    assert parse_chain("", CATALOG) == {}
    assert parse_chain(f"{OPUS} > {SONNET}>{HAIKU},", CATALOG) == {OPUS: SONNET, SONNET: HAIKU}
    assert parse_chain(f"{OPUS}>{SONNET},{SONNET}>{HAIKU}", CATALOG) == {
        OPUS: SONNET,
        SONNET: HAIKU,
    }


@pytest.mark.parametrize("text", [OPUS, f"{OPUS}>nobody", f"{OPUS}>{SONNET}>{OPUS}", ">", "a>b"])
def test_a_chain_of_nonsense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="model"):
        parse_chain(text, CATALOG)


@pytest.mark.parametrize(
    ("error", "follows"),
    [
        (upstream_error(529, {}, b""), True),
        (upstream_error(500, {}, b""), True),
        (upstream_error(429, {}, b""), True),
        (UnavailableError("a pause"), True),
        (upstream_error(400, {}, b'{"error": {"type": "invalid_request_error"}}'), False),
        (upstream_error(401, {}, b""), False),
        (InvalidRequestError("no"), False),
    ],
)
def test_another_model_is_asked_only_when_one_cannot_be_had(
    error: GatewayError, follows: bool
) -> None:
    opus = CATALOG.models[OPUS]
    found = next_model({OPUS: SONNET}, opus, error, CATALOG)
    assert (found is not None) is follows
    assert next_model({SONNET: HAIKU}, opus, error, CATALOG) is None


def nobody(result: str) -> None:
    raise AssertionError(f"{result} was let go of")


class Runner:
    """An attempt that ends as it is told."""

    def __init__(self, name: str, seconds: float, error: Exception | None = None) -> None:
        self.name, self.seconds, self.error = name, seconds, error
        self.begun = asyncio.Event()
        self.cancelled = False

    async def __call__(self) -> str:
        self.begun.set()
        try:
            await asyncio.sleep(self.seconds)
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if self.error is not None:
            raise self.error
        return self.name


async def test_a_quick_beginning_asks_nobody_else() -> None:
    second = Runner("second", 0)
    assert await first_to_begin(Runner("first", 0), second, 5.0, nobody) == "first"
    assert not second.begun.is_set()


async def test_the_first_to_begin_is_taken_and_the_other_let_go() -> None:
    slow = Runner("first", 30)
    assert await first_to_begin(slow, Runner("second", 0), 0.01, nobody) == "second"
    assert slow.cancelled


async def test_of_two_that_have_begun_the_first_is_taken_and_the_other_let_go() -> None:
    both, dropped = asyncio.Event(), list[str]()

    async def attempt(name: str) -> str:
        await both.wait()
        return name

    asyncio.get_running_loop().call_later(0.05, both.set)
    taken = await first_to_begin(
        lambda: attempt("first"), lambda: attempt("second"), 0.0, dropped.append
    )
    assert (taken, dropped) == ("first", ["second"])


async def test_what_has_begun_for_a_client_that_leaves_is_let_go() -> None:
    has_begun, dropped = asyncio.Event(), list[str]()

    async def begin() -> str:
        has_begun.set()
        return "first"

    hedged = first_to_begin(begin, Runner("second", 0), 5.0, dropped.append)
    client = asyncio.ensure_future(hedged)
    await has_begun.wait()  # its end has not been seen yet
    client.cancel()
    with pytest.raises(asyncio.CancelledError):
        await client
    assert dropped == ["first"]


async def test_what_was_taken_for_a_client_that_leaves_while_the_other_ends_is_let_go() -> None:
    ends, dropped = asyncio.Event(), list[str]()

    async def ends_slowly() -> str:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            ends.set()
            await asyncio.sleep(0.05)
        return "first"

    hedged = first_to_begin(ends_slowly, Runner("second", 0), 0.01, dropped.append)
    client = asyncio.ensure_future(hedged)
    await ends.wait()
    client.cancel()
    with pytest.raises(asyncio.CancelledError):
        await client
    assert dropped == ["second"]


async def test_a_second_that_fails_leaves_the_first_its_time() -> None:
    second = Runner("second", 0, ValueError("no"))
    assert await first_to_begin(Runner("first", 0.05), second, 0.01, nobody) == "first"


async def test_when_both_fail_the_first_error_is_told() -> None:
    first = Runner("first", 0.05, KeyError("first"))
    with pytest.raises(KeyError):
        await first_to_begin(first, Runner("second", 0, ValueError("no")), 0.01, nobody)


async def test_a_client_that_leaves_ends_both() -> None:
    runners = Runner("first", 30), Runner("second", 30)
    task = asyncio.ensure_future(first_to_begin(*runners, 0.0, nobody))
    await runners[1].begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [runner.cancelled for runner in runners] == [True, True]
