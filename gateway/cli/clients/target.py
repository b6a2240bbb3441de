"""Which gateway a client is to use: URL, key and model, and what the model can hold."""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from gateway.catalog.models import Model
from gateway.config import Settings, load_settings
from gateway.routing.names import ModelNames
from gateway.services.from_settings import catalog_of
from gateway.stack import run_state
from gateway.stack.data_directory import DataDirectory
from gateway.stack.errors import StackError
from gateway.stack.plan import data_directory


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says; None means: as the running stack and the settings have it."""

    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    model: str | None = None
    data_dir: Path | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """A gateway and a model. `base_url` ends in /v1; `model_named`: the user chose the model.

    `front_door` are headers that an origin lock wants of every request.
    """

    base_url: str
    api_key: str = field(repr=False)
    model: str
    model_named: bool
    prefix: str
    serves: Model
    front_door: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """What every call carries."""
        return {**self.front_door, "Authorization": f"Bearer {self.api_key}"}

    @property
    def root_url(self) -> str:
        """The URL for clients that add /v1/messages themselves."""
        return self.base_url.removesuffix("/v1")

    @property
    def prefixed_model(self) -> str:
        """The model's name for clients that send names with `claude` elsewhere."""
        has_prefix = self.model.lower().startswith(self.prefix.lower())
        return self.model if has_prefix else self.prefix + self.model

    @property
    def is_private(self) -> bool:
        """True when only this machine or its network reaches the URL."""
        host = urlsplit(self.base_url).hostname or ""
        try:
            return not ipaddress.ip_address(host).is_global
        except ValueError:
            return "." not in host or host.endswith((".local", ".localhost", ".internal"))


def find_target(asked: Asked) -> Target:
    """The gateway named on the command line, else the one that runs here. Raises GatewayError."""
    settings = load_settings()
    data = data_directory(asked.data_dir, settings)
    base_url = _usable_url(asked.base_url) if asked.base_url else _running_url(data)
    key = asked.api_key or _key(settings, None if asked.base_url else data)
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise StackError("the key has characters that no header can carry")
    model = asked.model or settings.default_model
    return Target(
        base_url=base_url,
        api_key=key,
        model=model,
        model_named=asked.model is not None,
        prefix=settings.model_prefix,
        serves=_served(model, settings),
        front_door=_front_door(settings),
    )


def _usable_url(text: str) -> str:
    """With or without /v1 and a slash at the end: what clients take is the one with /v1."""
    url = text.strip().rstrip("/")
    parts = urlsplit(url)
    try:
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.query or parts.fragment or not url.isascii() or not url.isprintable():
        raise StackError(
            "the base URL is not one of a gateway", mend="it looks like http://127.0.0.1:8080/v1"
        )
    return url if url.endswith("/v1") else f"{url}/v1"


def _running_url(data: DataDirectory) -> str:
    state = run_state.read(data.state_file)
    if state is None or not state.base_url or not data.is_held():
        raise StackError(
            f"no stack runs on {data.root}",
            mend="start `coding-gateway up`, or name a gateway with --base-url and --api-key",
        )
    return state.base_url


def _key(settings: Settings, data: DataDirectory | None) -> str:
    """GATEWAY_API_KEY, else the one the stack here made; that one is for no other gateway."""
    if settings.gateway_api_key:
        return settings.gateway_api_key.get_secret_value()
    if data is not None:
        try:
            return (data.keys / "gateway").read_text("ascii").strip()
        except OSError as error:
            raise StackError(
                f"the key of the stack cannot be read: {error.strerror}",
                mend="run this as the user of the stack, or name the key with --api-key",
            ) from error
    raise StackError(
        "the key of that gateway is not known", mend="name it with --api-key or GATEWAY_API_KEY"
    )


def _front_door(settings: Settings) -> dict[str, str]:
    """The origin secret and the pair of a Cloudflare service token, where they are set.

    https://developers.cloudflare.com/cloudflare-one/identity/service-tokens/
    """
    secrets = {
        "x-origin-secret": settings.origin_secret,
        "cf-access-client-id": settings.cf_access_client_id,
        "cf-access-client-secret": settings.cf_access_client_secret,
    }
    return {name: value.get_secret_value() for name, value in secrets.items() if value}


def _served(name: str, settings: Settings) -> Model:
    """The model that will answer to a name. Raises ModelNotFoundError for a typing error."""
    catalog = catalog_of(settings)
    default = catalog.find(settings.default_model) or catalog.successor(settings.default_model)
    names = ModelNames(
        catalog=catalog,
        default=default or Model(settings.default_model),
        prefix=settings.model_prefix,
        reject_unknown=settings.unknown_model == "reject",
    )
    return names.resolve(name).model
