import re
from pathlib import Path

import pytest

from gateway.telemetry import series
from gateway.telemetry.metrics import OTHER, MetricStore

ORIGINAL = {
    "gateway_requests_total": ("model", "project", "status", "endpoint"),
    "gateway_request_latency_seconds": ("model", "project", "endpoint"),
    "gateway_tokens_total": ("model", "project", "type"),
    "gateway_cost_usd_total": ("model", "project"),
    "gateway_active_requests": ("model",),
    "gateway_circuit_state": ("upstream",),
    "gateway_cache_hits_total": ("cache_type",),
    "gateway_rate_limit_hits_total": ("project",),
    "gateway_stream_duration_seconds": ("model", "project"),
    "gateway_upstream_errors_total": ("model", "error_type", "status_code"),
}


@pytest.fixture
def store(tmp_path: Path) -> MetricStore:
    return MetricStore(tmp_path, "api")


async def samples(store: MetricStore) -> dict[str, float]:
    """Values by the sample's text up to the value."""
    text = (await store.render()).decode()
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def test_the_ten_series_have_their_original_names_and_labels() -> None:
    declared = {item.name: item.labels for item in series.SERIES}
    assert {name: declared[name] for name in ORIGINAL} == ORIGINAL


def test_every_label_has_a_limit_of_values() -> None:
    used = {label for item in series.SERIES for label in item.labels}
    assert used == set(series.MAX_LABEL_VALUES)


def test_every_counter_is_named_as_prometheus_wants_it() -> None:
    for item in series.SERIES:
        assert item.name.endswith("_total") == (item.kind == "counter"), item.name
        assert bool(item.buckets) == (item.kind == "histogram"), item.name


async def test_every_series_is_shown_with_help_and_type_before_anything_was_counted(
    store: MetricStore,
) -> None:
    text = (await store.render()).decode()
    for item in series.SERIES:
        assert f"# TYPE {item.name} {item.kind}\n" in text
        assert f"# HELP {item.name} {item.help}\n" in text
    assert "_created" not in text


async def test_one_finished_request_counts_in_every_series_it_concerns(store: MetricStore) -> None:
    labels = ("claude-sonnet-5-5", "default", "200", "/v1/chat/completions")
    store.request_finished(labels, 3.0, (10, 20, 30, 0), cost_usd=0.5, stream_seconds=0.04)
    store.request_finished(labels, 0.05, (1, 2, 3, 4), cost_usd=0.25)
    found = await samples(store)
    where = 'model="claude-sonnet-5-5",project="default"'
    endpoint = 'endpoint="/v1/chat/completions"'
    assert found[f'gateway_requests_total{{{endpoint},{where},status="200"}}'] == 2
    tokens = {
        kind: found[f'gateway_tokens_total{{{where},type="{kind}"}}'] for kind in series.TOKEN_TYPES
    }
    assert tokens == {"input": 11, "output": 22, "cache_read": 33, "cache_write": 4}
    assert found[f"gateway_cost_usd_total{{{where}}}"] == 0.75
    latency = "gateway_request_latency_seconds"
    assert found[f"{latency}_sum{{{endpoint},{where}}}"] == 3.05
    assert found[f"{latency}_count{{{endpoint},{where}}}"] == 2
    # A bucket takes values up to and with its bound.
    assert found[f'{latency}_bucket{{{endpoint},le="0.05",{where}}}'] == 1
    assert found[f'{latency}_bucket{{{endpoint},le="2.5",{where}}}'] == 1
    assert found[f'{latency}_bucket{{{endpoint},le="5.0",{where}}}'] == 2
    assert found[f'{latency}_bucket{{{endpoint},le="+Inf",{where}}}'] == 2
    assert found[f"gateway_stream_duration_seconds_count{{{where}}}"] == 1
    assert found[f"gateway_stream_duration_seconds_sum{{{where}}}"] == 0.04


async def test_statuses_share_one_latency_histogram(store: MetricStore) -> None:
    store.request_finished(("m", "p", "200", "/e"), 1.0)
    store.request_finished(("m", "p", "429", "/e"), 2.0)
    store.add(series.REQUESTS, ("m", "p", "429", "/e"))
    found = await samples(store)
    name = "gateway_request_latency_seconds_count"
    assert found[f'{name}{{endpoint="/e",model="m",project="p"}}'] == 2
    requests = 'gateway_requests_total{endpoint="/e",model="m",project="p",status="429"}'
    assert found[requests] == 2
    # An unknown price and an answer that was not streamed leave no samples behind.
    assert not [key for key in found if re.match("gateway_(cost|tokens|stream)", key)]


async def test_gauges_go_up_and_down_and_can_be_set(store: MetricStore) -> None:
    store.add(series.ACTIVE_REQUESTS, ("m",), 1)
    store.add(series.ACTIVE_REQUESTS, ("m",), 1)
    store.add(series.ACTIVE_REQUESTS, ("m",), -1)
    store.set(series.DEGRADED, ("valkey",), 1)
    store.before_publishing(lambda: store.set(series.CIRCUIT_STATE, ("anthropic/opus",), 2))
    found = await samples(store)
    assert found['gateway_active_requests{model="m"}'] == 1
    assert found['gateway_degraded{part="valkey"}'] == 1
    assert found['gateway_circuit_state{upstream="anthropic/opus"}'] == 2


async def test_p56_label_values_are_bounded_and_the_rest_is_counted_as_other(
    store: MetricStore,
) -> None:
    limit = series.MAX_LABEL_VALUES["model"]
    for number in range(limit + 50):
        store.request_finished((f"model-{number}", "p", "200", "/e"), 1.0)
        store.add(series.UNKNOWN_PRICE, (f"model-{number}",))
        store.observe(series.STREAM_DURATION, (f"model-{number}", "p"), 1.0)
    store.add(series.IGNORED_FIELDS, ("x" * 5000,))
    found = await samples(store)
    models = {match[1] for key in found if (match := re.search(r'model="([^"]*)"', key))}
    assert len(models) == limit + 1
    assert found[f'gateway_unknown_price_total{{model="{OTHER}"}}'] == 50
    name = f'gateway_requests_total{{endpoint="/e",model="{OTHER}",project="p",status="200"}}'
    assert found[name] == 50
    stream = f'gateway_stream_duration_seconds_count{{model="{OTHER}",project="p"}}'
    assert found[stream] == 50
    assert found[f'gateway_ignored_fields_total{{field="{OTHER}"}}'] == 1


async def test_label_values_are_escaped(store: MetricStore) -> None:
    store.add(series.IGNORED_FIELDS, ('a"b\\c\nd',))
    assert 'gateway_ignored_fields_total{field="a\\"b\\\\c\\nd"}' in await samples(store)
