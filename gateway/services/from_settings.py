"""What the settings say about the services, checked: names, keys, sources."""

from urllib.parse import urlsplit

from pydantic import SecretStr

from gateway.catalog.models import Catalog, Model, load_catalog
from gateway.config import Settings, SettingsError
from gateway.durable import EngineAddress, engine_address
from gateway.pipeline.fallback import parse_chain
from gateway.reduction.boilerplate import Boilerplate, load_boilerplate
from gateway.reduction.tool_kinds import ToolKinds, load_tool_kinds
from gateway.routing.names import ModelNames
from gateway.security.sealing import Sealer, sealer_from
from gateway.upstream.specs import UpstreamSpec, read_upstreams


def check_settings(settings: Settings) -> None:
    """Raises SettingsError, one line, when the services could not be built from `settings`."""
    check_choices(settings)
    required("DATABASE_URL", secret(settings.database_url))
    required("REDIS_URL", secret(settings.redis_url))
    upstreams_of(settings)
    sealer_of(settings)
    temporal_address(settings)


def check_before_start(settings: Settings, *, simulates: bool) -> None:
    """The same for settings that need not have everything: `coding-gateway up` adds what is
    missing, and a worker without it does less.

    `simulates`: no upstream of the settings will be asked. Raises SettingsError.
    """
    check_choices(settings)
    if not simulates:
        upstreams_of(settings)
    if settings.encryption_keys is not None:
        sealer_of(settings)


def check_choices(settings: Settings) -> None:
    """Names of models and files laid over our tables. Raises SettingsError."""
    catalog = catalog_of(settings)
    names_of(settings, catalog)
    heavy_model(settings, catalog)
    reduction_tables(settings)
    fallbacks_of(settings, catalog)


def temporal_address(settings: Settings) -> EngineAddress:
    """Where Temporal is. Raises SettingsError when nobody has said so."""
    address = engine_address(settings)
    if address is None:
        raise _not_set("TEMPORAL_ADDRESS")
    return address


def catalog_of(settings: Settings) -> Catalog:
    """The model table with MODELS_FILE laid over it. Raises SettingsError."""
    try:
        return load_catalog(settings.models_file)
    except ValueError as error:
        raise SettingsError(f"MODELS_FILE: {error}") from error


def names_of(settings: Settings, catalog: Catalog) -> ModelNames:
    """How model names are read. Raises SettingsError for models nobody knows."""
    default = _chosen("DEFAULT_MODEL", settings.default_model, catalog)
    small = _chosen("SMALL_MODEL", settings.small_model, catalog)
    reject = settings.unknown_model == "reject"
    return ModelNames(catalog, default, settings.model_prefix, reject_unknown=reject, small=small)


def heavy_model(settings: Settings, catalog: Catalog) -> Model:
    """The model of demanding work. Raises SettingsError for one nobody knows."""
    return _chosen("OPUS_MODEL", settings.opus_model, catalog)


def _chosen(variable: str, name: str, catalog: Catalog) -> Model:
    model = catalog.find(name) or catalog.successor(name)
    if model is None:
        raise SettingsError(f"{variable}: no model of that name is in the table")
    return model


def reduction_tables(settings: Settings) -> tuple[ToolKinds, Boilerplate]:
    """What tools do, and which blocks IDEs repeat. Raises SettingsError."""
    try:
        kinds = load_tool_kinds(settings.tool_kinds_file)
    except ValueError as error:
        raise SettingsError(f"TOOL_KINDS_FILE: {error}") from error
    try:
        return kinds, load_boilerplate(settings.boilerplate_file)
    except ValueError as error:
        raise SettingsError(f"BOILERPLATE_FILE: {error}") from error


def source_of(settings: Settings) -> str:
    """What answers: `anthropic`, `simulator`, or the host of another server."""
    if settings.upstream_is_simulator:
        return "simulator"
    host = urlsplit(settings.anthropic_base_url).hostname or "unknown"
    return "anthropic" if host == "api.anthropic.com" else host


def sealer_of(settings: Settings) -> Sealer:
    """What seals stored turns and reasoning. Raises SettingsError."""
    keys = required("ENCRYPTION_KEYS", secret(settings.encryption_keys))
    try:
        return sealer_from(keys)
    except ValueError as error:
        raise SettingsError(f"ENCRYPTION_KEYS: {error}") from None


def _upstream_keys(settings: Settings) -> list[str]:
    """The keys of Claude's API. Raises SettingsError when there is none."""
    if settings.upstream_is_simulator:
        return ["simulator"]  # it takes any key, and a real one has no business there
    keys = secret(settings.anthropic_api_key)
    if keys is None:
        raise SettingsError(
            "ANTHROPIC_API_KEY: not set, nor is UPSTREAMS; without, `coding-gateway up` simulates"
        )
    return keys.split(",")


def upstreams_of(settings: Settings) -> list[UpstreamSpec]:
    """The upstreams, first the one that is named after what answers. Raises SettingsError."""
    if settings.upstreams is not None and not settings.upstream_is_simulator:
        try:
            return read_upstreams(settings.upstreams.get_secret_value())
        except ValueError as error:
            raise SettingsError(f"UPSTREAMS: {error}") from None
    name, url = source_of(settings), settings.anthropic_base_url
    return [
        UpstreamSpec(name if number == 1 else f"{name}-{number}", url, key)
        for number, key in enumerate(_upstream_keys(settings), 1)
    ]


def fallbacks_of(settings: Settings, catalog: Catalog) -> dict[str, str]:
    """Which model follows which when one cannot be had. Raises SettingsError."""
    try:
        return parse_chain(settings.model_fallbacks, catalog)
    except ValueError as error:
        raise SettingsError(f"MODEL_FALLBACKS: {error}") from None


def secret(value: SecretStr | None) -> str | None:
    """The text of a secret setting, None when unset."""
    return value.get_secret_value() if value is not None else None


def required(name: str, value: str | None) -> str:
    """`value`, which must be set. Raises SettingsError."""
    if not value:
        raise _not_set(name)
    return value


def _not_set(name: str) -> SettingsError:
    return SettingsError(f"{name}: not set; `coding-gateway up` starts or makes what is missing")
