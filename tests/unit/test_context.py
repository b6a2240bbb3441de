"""What is noted on the way of a request."""

from gateway.context import RequestContext


def test_a_header_value_can_hold_nothing_that_ends_a_header() -> None:
    context = RequestContext("req_1", "/x", {}, 0.0)
    context.set_header("X-Gateway-Ignored", "seed\r\nSet-Cookie: a=b, größe\u2028")
    assert context.response_headers == {"X-Gateway-Ignored": "seed??Set-Cookie: a=b, gr??e?"}


def test_a_header_value_is_bounded() -> None:
    context = RequestContext("req_1", "/x", {}, 0.0)
    context.set_header("X-Gateway-Ignored", "a" * 100_000)
    assert len(context.response_headers["X-Gateway-Ignored"]) == 1000
