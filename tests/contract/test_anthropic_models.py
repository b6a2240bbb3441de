"""The model list through the official Anthropic package."""

from collections.abc import AsyncIterator
from typing import Any

import anthropic
import pytest

from tests.contract.harness.gateway import Gateway


@pytest.fixture
async def sdk(gateway: Gateway) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(
        api_key=gateway.api_key, base_url=gateway.root_url, max_retries=0
    ) as client:
        yield client


async def test_models_are_listed_in_anthropics_shape(sdk: Any) -> None:
    page = await sdk.models.list(limit=1000)
    ids = [model.id for model in page.data]
    assert {"claude-opus-5-5", "claude-sonnet-5-5", "MYMODEL:claude-sonnet-5-5", "auto"} <= set(ids)
    assert not page.has_more
    assert (page.first_id, page.last_id) == (ids[0], ids[-1])
    opus = next(model for model in page.data if model.id == "claude-opus-5-5")
    assert opus.type == "model"
    assert opus.display_name == "Claude Opus 5.5"
    assert opus.created_at.year >= 2026
    assert (opus.max_input_tokens, opus.max_tokens) == (1_000_000, 128_000)
    assert opus.capabilities.thinking.types.adaptive.supported
    assert opus.capabilities.effort.high.supported


async def test_pages_follow_each_other_without_gap_or_repeat(sdk: Any) -> None:
    everything = [model.id for model in (await sdk.models.list(limit=1000)).data]
    paged = [model.id async for model in sdk.models.list(limit=7)]
    assert paged == everything


async def test_a_wrong_key_is_refused_in_anthropics_words(gateway: Gateway) -> None:
    async with anthropic.AsyncAnthropic(
        api_key="wrong", base_url=gateway.root_url, max_retries=0
    ) as client:
        with pytest.raises(anthropic.AuthenticationError) as caught:
            await client.models.list()
    assert caught.value.type == "authentication_error"
    body: Any = caught.value.body
    assert body["type"] == "error"
    assert body["request_id"] == caught.value.response.headers["x-request-id"]


async def test_a_wrong_page_is_refused_in_anthropics_words(sdk: Any) -> None:
    with pytest.raises(anthropic.BadRequestError) as caught:
        await sdk.models.list(limit=0)
    assert caught.value.type == "invalid_request_error"
