"""Authenticated encryption of what the gateway keeps or hands out: readable by it alone.

Sealed text is `base64url(key id | salt | AES-256-GCM(data))`. Each text has a key of its own, made
of the secret and 128 random bits, so that no number of texts wears a secret out (a random 96-bit
nonce under one key is good for 2**32 of them, NIST SP 800-38D section 8.3).

The context is authenticated and not kept: text sealed for one project and purpose opens for no
other.
"""

import base64
import binascii
import hashlib
import hmac
import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAX_DATA_BYTES = 32 * 2**20
"""The most that is sealed or opened at once."""

MIN_KEY_BYTES = 16

_KEY_ID_BYTES = 3
_SALT_BYTES = 16
_TAG_BYTES = 16
_HEAD_BYTES = _KEY_ID_BYTES + _SALT_BYTES
_NONCE = bytes(12)  # every text has its own key, so the nonce need not vary
_MAX_CHARS = -(-(_HEAD_BYTES + MAX_DATA_BYTES + _TAG_BYTES) * 4 // 3)
_ALPHABET = re.compile(r"[A-Za-z0-9_-]*")  # the decoder would skip any other character


class Sealer:
    """Seals with the first of `keys`, opens with each of them.

    To rotate, put a new key in front and drop the old one when nothing of its time is needed.
    Keys are secrets of any form with at least `MIN_KEY_BYTES`. Raises ValueError for none or a
    short one.
    """

    def __init__(self, keys: list[bytes]) -> None:
        if not keys:
            raise ValueError("no encryption key")
        if any(len(key) < MIN_KEY_BYTES for key in keys):
            raise ValueError(f"an encryption key has fewer than {MIN_KEY_BYTES} characters")
        secrets = [hashlib.sha256(b"coding-gateway sealing 1\x00" + key).digest() for key in keys]
        self._current = secrets[0]
        # Of two keys with one id, which is a chance of 1 in 16 million, the earlier one counts.
        self._by_id = {_key_id(secret): secret for secret in reversed(secrets)}

    def seal(self, data: bytes, context: bytes) -> str:
        """`data` sealed for `context`. Raises ValueError when it is longer than allowed."""
        if len(data) > MAX_DATA_BYTES:
            raise ValueError("too much data to seal")
        salt = os.urandom(_SALT_BYTES)
        sealed = _cipher(self._current, salt).encrypt(_NONCE, data, context)
        raw = _key_id(self._current) + salt + sealed
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    def open(self, text: str, context: bytes) -> bytes | None:
        """What was sealed for `context`; None for anything else, whatever is wrong with it."""
        if len(text) > _MAX_CHARS or not _ALPHABET.fullmatch(text):
            return None
        try:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except binascii.Error:
            return None
        secret = self._by_id.get(raw[:_KEY_ID_BYTES])
        if secret is None or len(raw) < _HEAD_BYTES + _TAG_BYTES:
            return None
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - see _cipher

        cipher = _cipher(secret, raw[_KEY_ID_BYTES:_HEAD_BYTES])
        try:
            return cipher.decrypt(_NONCE, raw[_HEAD_BYTES:], context)
        except InvalidTag:
            return None


def sealer_from(setting: str) -> Sealer:
    """The sealer of a comma-separated list of keys, the current one first. Raises ValueError."""
    return Sealer([key.strip().encode() for key in setting.split(",") if key.strip()])


def _key_id(secret: bytes) -> bytes:
    return hashlib.sha256(b"id\x00" + secret).digest()[:_KEY_ID_BYTES]


def _cipher(secret: bytes, salt: bytes) -> "AESGCM":
    # With the first text: a process that seals none has 6 MB less.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    return AESGCM(hmac.digest(secret, salt, "sha256"))
