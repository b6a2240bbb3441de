"""Messages bodies are read, and edited in one field only."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import wire
from gateway.errors import InvalidRequestError
from gateway.protocols.anthropic_messages import (
    _model_values,
    _model_values_by_token,
    read_request,
    returned_headers,
    upstream_headers,
    with_model,
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["model", "a", '"', "\\"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(
    before=st.dictionaries(st.sampled_from(["system", "x", "modelx"]), VALUES, max_size=3),
    after=st.dictionaries(st.sampled_from(["messages", "y", "\\model"]), VALUES, max_size=3),
    old=st.text(max_size=10),
)
def test_p37_only_the_models_name_is_edited(
    before: dict[str, object], after: dict[str, object], old: str
) -> None:
    body = wire.dumps({**before, "model": old, **after})
    head, _, tail = body.partition(b'"model":' + wire.dumps(old))
    edited = with_model(body, "claude-opus-5-5")
    assert wire.loads(edited) == {**before, "model": "claude-opus-5-5", **after}
    if not any(b'"model"' in wire.dumps(part) for part in (before, after)):
        assert edited == head + b'"model":"claude-opus-5-5"' + tail


def test_white_space_and_escapes_around_the_name_stay() -> None:
    body = b'{ "messages" : [{"model":"x"}],\n "mod\\u0065l" :\t"gpt-5" , "z": "\\u00e4" }'
    edited = with_model(body, "claude-opus-5-5")
    assert edited == body.replace(b'"gpt-5"', b'"claude-opus-5-5"')


@pytest.mark.parametrize(
    ("body", "edited"),
    [
        (b'{"model":"a","model":"b"}', b'{"model":"new","model":"new"}'),
        (b'{"model":"a","x":1,"model":"a"}', b'{"model":"new","x":1,"model":"new"}'),
        (b'{"model":"a","x":12,"x":1}', b'{"model":"new","x":12,"x":1}'),
        (b'{"x":{"model":"a"},"model":"a\\"\\\\"} \n', b'{"x":{"model":"a"},"model":"new"} \n'),
        (b'{"x":"\\ud83d","model":"a"}', b'{"x":"\\ud83d","model":"new"}'),
        (b'{"model":1,"y":"model"}', b'{"model":1,"y":"model"}'),
    ],
)
def test_names_that_stand_twice_and_odd_texts_are_edited_too(body: bytes, edited: bytes) -> None:
    assert with_model(body, "new") == edited


@given(st.dictionaries(st.sampled_from(["model", "a", '"', "\\"]), VALUES, max_size=4))
def test_both_ways_to_find_the_name_agree(body: dict[str, object]) -> None:
    data = wire.dumps(body)
    assert _model_values(data) == _model_values_by_token(data)


@pytest.mark.parametrize("body", [b"{}", b'{"model": 1}', b'{"model": ""}', b'{"model": null}'])
def test_a_body_without_a_model_is_refused_with_its_path(body: bytes) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read_request(body)
    assert caught.value.param == "model"


def test_what_must_be_known_is_read() -> None:
    request = read_request(b'{"model": "m", "stream": true, "metadata": {"user_id": "u"}}')
    assert (request.asked_model, request.stream, request.user_key) == ("m", True, "u")
    assert read_request(b'{"model": "m", "metadata": 1}').user_key is None


def test_p61_the_header_list_is_open_and_verbatim() -> None:
    sent = {
        "anthropic-beta": "b-2,  a-1,new-2030-01-01",
        "anthropic-version": "2026-10-21",
        "anthropic-workspace-id": "w",
        "x-claude-code-session-id": "s",
        "authorization": "Bearer secret",
        "x-api-key": "secret",
        "cookie": "secret",
        "host": "gateway",
        "content-length": "5",
        "cf-access-jwt-assertion": "secret",
        "x-origin-secret": "secret",
    }
    forwarded = upstream_headers(sent)
    assert forwarded["anthropic-beta"] == "b-2,  a-1,new-2030-01-01"
    assert forwarded["anthropic-version"] == "2026-10-21"
    assert {"anthropic-workspace-id", "x-claude-code-session-id"} <= set(forwarded)
    assert "secret" not in " ".join(forwarded.values())
    assert not {"host", "content-length"} & set(forwarded)
    assert upstream_headers({})["anthropic-version"] == "2023-06-01"


def test_p50_limits_of_the_upstream_are_returned() -> None:
    returned = returned_headers(
        {
            "Retry-After": "3",
            "Anthropic-RateLimit-Requests-Remaining": "0",
            "request-id": "req_1",
            "Set-Cookie": "a",
            "Server": "x",
        }
    )
    assert set(returned) == {"retry-after", "anthropic-ratelimit-requests-remaining", "request-id"}
