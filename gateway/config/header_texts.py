"""Keys that stand in headers: white space around them goes, what no header carries is refused."""

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

LONGEST_KEY_CHARS = 512
"""The longest key that is read of a request."""


def header_text(value: str) -> str:
    """`value` without white space around it. Raises ValueError when no header can carry it."""
    text = value.strip()
    if not text:
        raise ValueError("blank")
    if not (text.isascii() and text.isprintable()):
        raise ValueError("has characters that no header can carry; ASCII without control is wanted")
    return text


def _key(value: SecretStr) -> SecretStr:
    return SecretStr(header_text(value.get_secret_value()))


def _keys(value: SecretStr) -> SecretStr:
    keys = [key for key in value.get_secret_value().split(",") if key.strip()]
    return SecretStr(",".join(map(header_text, keys or [""])))


Key = Annotated[SecretStr, AfterValidator(_key)]
"""A secret that is sent, or has to come, in a header."""

Keys = Annotated[SecretStr, AfterValidator(_keys)]
"""A comma list of such secrets, or one."""

CallerKey = Annotated[Key, Field(max_length=LONGEST_KEY_CHARS)]
"""A key that callers of the gateway send."""
