"""Addresses: what the drivers take is taken, what they would stumble over is told at the start."""

from inspect import signature

import asyncpg
import pytest

from gateway.config import SettingsError, load_settings
from gateway.storage.database import create_engine

SECRET = "canary-5f1d"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://db",
        "postgres://me:pw@db:5432/gateway",
        "POSTGRESQL://db/gateway",
        "postgresql+asyncpg://me:pw@db/gateway?ssl=require",
        "postgresql://me:@db:5432/gateway?sslmode=require&channel_binding=prefer",
        "postgresql://me:p%40%2F%23%3F@[::1]:5432/gateway",
        "postgresql://me:p:w@db/gateway",
        "postgresql://me:p w@db/gateway",
        "postgresql://db/gateway?user=me@corp",
        "postgresql://me@/gateway?host=/run/postgresql",
        "postgresql://me@/gateway?host=one:5432&host=two:5432",
        " postgresql://db/gateway\n",
    ],
)
def test_urls_of_postgresql_are_taken(url: str) -> None:
    database_url = load_settings(database_url=url).database_url
    assert database_url is not None
    assert database_url.get_secret_value() == url.strip()
    assert create_engine(database_url.get_secret_value()).dialect.driver == "asyncpg"


@pytest.mark.parametrize(
    "url",
    [
        SECRET,
        f"mysql://{SECRET}/gateway",
        f"postgresql+psycopg://{SECRET}/gateway",
        f"postgresql:///{SECRET}",
        f"postgresql://me:{SECRET}/pw@db:5432/gateway",
        f"postgresql://me:{SECRET}?pw@db:5432/gateway",
        f"postgresql://me:{SECRET}#pw@db:5432/gateway",
        f"postgresql://me:12/{SECRET}@db:5432/gateway",
        f"postgresql://me:12?{SECRET}@db:5432/gateway",
        f"postgresql://me:12#{SECRET}@db:5432/gateway",
        f"postgresql://me:{SECRET}@pw@db/gateway",
        f"postgresql://me:pw@db/{SECRET}#gateway",
        f"postgresql://db:{SECRET}/gateway",
        f"postgresql://{SECRET}:/gateway",
        f"postgresql://{SECRET}..db/gateway",
        f"postgresql://{SECRET} db/gateway",
        f"postgresql://[{SECRET}/gateway",
        f"postgresql://one:5432,{SECRET}:5432/gateway",
    ],
)
def test_other_urls_of_a_database_are_refused_without_repeating_them(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(database_url=url)
    assert refused.value.message.startswith("DATABASE_URL: not a PostgreSQL URL; percent-encode")
    assert SECRET not in refused.value.message


@pytest.mark.parametrize("query", [f"{SECRET}=1", "connect_timeout=10", f"port={SECRET}"])
def test_a_query_that_the_driver_stumbles_over_is_refused(query: str) -> None:
    with pytest.raises(SettingsError, match=r"^DATABASE_URL: .*its query") as refused:
        load_settings(database_url=f"postgresql://db/gateway?{query}")
    assert SECRET not in refused.value.message


@pytest.mark.parametrize("name", sorted(signature(asyncpg.connect).parameters))
def test_what_the_driver_knows_is_taken(name: str) -> None:
    assert load_settings(database_url=f"postgresql://db/gateway?{name}=5432").database_url


@pytest.mark.parametrize("address", ["temporal:7233", "127.0.0.1:1", "[::1]:7233", "a_b.c:7233"])
def test_hosts_with_a_port_are_taken(address: str) -> None:
    assert load_settings(temporal_address=f"{address}\n").temporal_address == address


@pytest.mark.parametrize(
    "address",
    [
        SECRET,
        f"{SECRET}:bar",
        f"{SECRET}:0",
        f"{SECRET}:70000",
        f":{SECRET}",
        ":7233",
        "::1:7233",
        f"http://{SECRET}:7233",
        f"me@{SECRET}:7233",
        f"{SECRET}:7233/path",
        f"{SECRET} x:7233",
    ],
)
def test_other_addresses_are_refused_without_repeating_them(address: str) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(temporal_address=address)
    assert refused.value.message == "TEMPORAL_ADDRESS: not of the form host:port"


@pytest.mark.parametrize("name", ["anthropic_base_url", "embedding_api_url", "error_export_url"])
def test_urls_of_http_have_a_host_and_a_port_or_none(name: str) -> None:
    for url in ("https://host", "http://[::1]:8080/v1", "https://me:pw@host/a@b?c=d"):
        assert getattr(load_settings(**{name: url}), name) == url
    wrong = (SECRET, f"ftp://{SECRET}", f"http://host:{SECRET}", f"http://:80/{SECRET}")
    for url in (*wrong, f"http://[{SECRET}", f"http://host/{SECRET} x", f"http://h/{SECRET}\n"):
        with pytest.raises(SettingsError) as refused:
            load_settings(**{name: url})
        assert refused.value.message.startswith(f"{name.upper()}: not a URL")
        assert SECRET not in refused.value.message
