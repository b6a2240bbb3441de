"""Small Messages bodies, a tokenizer whose counts can be done in the head, and prices."""

from typing import Any

from gateway.catalog.models import Model, Price, load_catalog
from gateway.savings.billing import Billing, TokenCounter
from gateway.savings.session import RecordedRequest, Session
from gateway.savings.token_counts import Tokenizer

Body = dict[str, Any]

SONNET: Model = load_catalog().models["claude-sonnet-5-5"]
LETTERS = Tokenizer("letters", len)
"""A token for each character."""

PRICE = Price(input=2.0, output=10.0, cache_read=0.1, cache_write_5m=2.5, cache_write_1h=4.0)
MODEL = Model("claude-test-1", cache_minimum_tokens=100, price=PRICE)


def billing(model: Model = MODEL) -> Billing:
    return Billing(model, TokenCounter(LETTERS, model, factor=1.0))


def text(tokens: int, letter: str = "x", mark: str | None = None) -> Body:
    """A text block of so many tokens."""
    block: Body = {"type": "text", "text": letter * tokens}
    if mark is not None:
        block["cache_control"] = {"type": "ephemeral", "ttl": mark}
    return block


def user(*blocks: Body) -> Body:
    return {"role": "user", "content": list(blocks)}


def said(*blocks: Body) -> Body:
    return {"role": "assistant", "content": list(blocks)}


def body(*messages: Body, **fields: Any) -> Body:
    return {"model": MODEL.id, "max_tokens": 100, "messages": list(messages), **fields}


def session(*texts: str, kind: str = "chat", name: str = "s1", step: float = 60.0) -> Session:
    """A chat in which the user says these texts and gets a short answer to each."""
    messages: list[Body] = []
    requests = []
    for number, words in enumerate(texts):
        messages = [*messages, {"role": "user", "content": words}]
        answer = {"role": "assistant", "content": f"answer {number}"}
        requests.append(RecordedRequest(number * step, {"messages": messages}, answer))
        messages = [*messages, answer]
    return Session(name, kind, "test", requests)
