"""Items of batches as parameters of Message Batches, and back."""

from typing import Any

import pytest

from gateway import wire
from gateway.catalog.models import load_catalog
from gateway.errors import InvalidRequestError, ModelNotFoundError
from gateway.pipeline.batch_translation import BatchTranslation
from gateway.protocols.model_fit import FitOptions
from gateway.routing.names import ModelNames
from gateway.security.sealing import sealer_from

MODEL = "claude-sonnet-5-5"
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": MODEL,
    "content": [{"type": "text", "text": "It is blue."}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 11, "output_tokens": 7, "service_tier": "batch"},
}


@pytest.fixture
def translation() -> BatchTranslation:
    catalog = load_catalog(None)
    default = catalog.find(MODEL)
    assert default is not None
    names = ModelNames(catalog, default, "custom-", reject_unknown=False, small=default)
    return BatchTranslation(
        names,
        FitOptions(4096, show_reasoning=True),
        sealer_from("a key that is used in tests only"),
    )


def prepared(translation: BatchTranslation, endpoint: str, body: dict[str, Any]) -> Any:
    return translation.prepare_params(endpoint, wire.dumps(body), "default")


def test_a_chat_goes_and_comes_back_as_one(translation: BatchTranslation) -> None:
    item = prepared(
        translation,
        "/v1/chat/completions",
        {
            "model": "gpt-5",
            "stream": True,
            "stream_options": {"include_usage": True},
            "messages": [
                {"role": "system", "content": "Be short."},
                {"role": "user", "content": "What colour is the heron?"},
            ],
        },
    )
    assert item.params["model"] == item.model.id == MODEL
    assert "stream" not in item.params
    assert item.params["max_tokens"] > 0
    assert item.params["system"][0]["text"] == "Be short."
    answer = wire.loads(item.finish(MESSAGE))
    assert (answer["object"], answer["model"]) == ("chat.completion", "gpt-5")
    assert answer["choices"][0]["message"]["content"] == "It is blue."
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"]["total_tokens"] == 18


def test_a_response_goes_and_comes_back_as_one(translation: BatchTranslation) -> None:
    item = prepared(translation, "/v1/responses", {"model": MODEL, "input": "What colour?"})
    assert item.params["messages"][0]["role"] == "user"
    answer = wire.loads(item.finish(MESSAGE))
    assert (answer["object"], answer["status"]) == ("response", "completed")
    assert answer["output"][-1]["content"][0]["text"] == "It is blue."
    again = wire.loads(item.finish(MESSAGE))
    assert again["id"] != answer["id"]


def test_messages_pass_as_they_are(translation: BatchTranslation) -> None:
    body = {
        "model": f"custom-{MODEL}",
        "max_tokens": 5,
        "messages": [{"role": "user", "content": "Hi"}],
        "unknown_field": {"kept": True},
    }
    item = prepared(translation, "/v1/messages", body)
    assert item.params == {**body, "model": MODEL}
    assert wire.loads(item.finish(MESSAGE)) == MESSAGE


@pytest.mark.parametrize(
    ("endpoint", "body", "error"),
    [
        ("/v1/responses", {"model": MODEL, "input": "x", "previous_response_id": "resp_1"}, None),
        ("/v1/embeddings", {"model": MODEL, "input": "x"}, None),
        ("/v1/chat/completions", {"model": MODEL, "messages": "x"}, None),
        (
            "/v1/chat/completions",
            {"model": "claude-nonsense", "messages": [{"role": "user", "content": "x"}]},
            ModelNotFoundError,
        ),
    ],
)
def test_what_is_no_item_is_refused(
    translation: BatchTranslation,
    endpoint: str,
    body: dict[str, Any],
    error: type[Exception] | None,
) -> None:
    with pytest.raises(error or InvalidRequestError):
        prepared(translation, endpoint, body)
