"""Keys and passwords the stack makes for itself and keeps, each in a file only its owner reads."""

import secrets
import string
from dataclasses import dataclass, field
from pathlib import Path

from gateway.config import Settings
from gateway.stack.data_directory import DataDirectory, write_atomically

_ALPHABET = string.ascii_letters + string.digits  # one double click selects it, no quoting needed
_LENGTH = 43  # 256 bits


@dataclass(frozen=True, slots=True)
class Keys:
    """The secrets of one stack."""

    gateway: str = field(repr=False)
    admin: str = field(repr=False)
    postgres: str = field(repr=False)
    valkey: str = field(repr=False)
    encryption: str = field(repr=False)


def load_keys(data: DataDirectory, settings: Settings) -> Keys:
    """The keys that were set, else those kept in the data directory, made when missing.

    A GATEWAY_API_KEY without ADMIN_API_KEY is the admin key too, as the settings say.
    """
    admin = settings.admin_api_key or settings.gateway_api_key
    return Keys(
        gateway=settings.gateway_api_key.get_secret_value()
        if settings.gateway_api_key
        else kept_secret(data.keys / "gateway", "cgw_"),
        admin=admin.get_secret_value() if admin else kept_secret(data.keys / "admin", "cgw_"),
        postgres=kept_secret(data.keys / "postgres", ""),
        valkey=kept_secret(data.keys / "valkey", ""),
        encryption=settings.encryption_keys.get_secret_value()
        if settings.encryption_keys
        else kept_secret(data.keys / "encryption", ""),
    )


def kept_secret(path: Path, prefix: str) -> str:
    """The secret in `path`; a new one, written there with mode 0600, when it has none."""
    try:
        kept = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        kept = ""
    if kept:
        path.chmod(0o600)
        return kept
    made = prefix + "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    write_atomically(path, made.encode() + b"\n")
    return made
