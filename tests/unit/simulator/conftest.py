"""Fixtures of the simulator's unit tests: state without a server, and requests built by field."""

from collections.abc import Callable
from typing import Any

import pytest

from simulator.errors import ApiError
from simulator.messages_api import Prepared, compose, prepare
from simulator.plan import Plan, plan_from
from simulator.state import Settings, State, new_state
from simulator.wire import Json

HEADERS = {"anthropic-version": "2023-06-01"}


class World:
    """A simulator without a server: prepare requests, answer them, move its clock."""

    def __init__(self) -> None:
        self.state: State = new_state(Settings(instant=True))
        self.now = 1000.0
        self.state.cache.clock = lambda: self.now

    def body(self, **fields: Any) -> Json:
        """A small valid body with some fields replaced; a field of None is left out."""
        body: Json = {
            "model": "claude-opus-4-6",
            "max_tokens": 1000,
            "messages": [{"role": "user", "content": "hello"}],
        }
        body.update(fields)
        return {key: value for key, value in body.items() if value is not None}

    def prepare(
        self, body: Json, account: str = "a", headers: dict[str, str] | None = None
    ) -> Prepared:
        return prepare(self.state, {**HEADERS, **(headers or {})}, body, account)

    def refusal(self, body: Any, headers: dict[str, str] | None = None) -> ApiError:
        with pytest.raises(ApiError) as caught:
            self.prepare(body, headers=headers)
        return caught.value

    def answer(
        self, body: Json, script: Json, account: str = "a", headers: dict[str, str] | None = None
    ) -> Json:
        """The message a script gives for a body; commits cache writes."""
        prepared = self.prepare(body, account, headers)
        message = compose(self.state, prepared, plan_from(script)).message()
        self.state.cache.commit(prepared.use)
        return message

    def usage(self, body: Json, account: str = "a") -> Json:
        """The usage of an answer to a body; commits cache writes."""
        usage: Json = self.answer(body, {"blocks": []}, account)["usage"]
        return usage

    def planned(self, body: Json, plan: Plan) -> Json:
        return compose(self.state, self.prepare(body), plan).message()


@pytest.fixture
def world() -> World:
    """A fresh simulator."""
    return World()


@pytest.fixture
def words() -> Callable[[int], str]:
    """A text of so many tokens by the instant counter (times the model's factor)."""
    return lambda tokens: "abcd" * tokens
