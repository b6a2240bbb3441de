"""Which conversations go untouched, to prove the saving against those that do not."""

from hashlib import blake2b

_WHOLE = 2**64


def is_held_out(conversation_id: bytes, project: str, share: float) -> bool:
    """True for about `share` of a project's conversations.

    By chance, and the same for every request of a conversation in every process. With a greater
    share the conversations that were held out stay so.
    """
    if share <= 0:
        return False
    return chance_of(conversation_id, "holdout", project) < share


def chance_of(conversation_id: bytes, purpose: str, *names: str) -> float:
    """A number from 0 to 1, that of this conversation for this purpose and these names."""
    digest = blake2b(conversation_id, digest_size=8, person=purpose.encode()[:16])
    for name in names:
        digest.update(b"\x00" + name.encode("utf-8", "surrogatepass"))
    return int.from_bytes(digest.digest()) / _WHOLE
