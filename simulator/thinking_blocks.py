"""Signed thinking: made here, and checked when it comes back.

A signature is opaque to clients. Inside: the model, the account, digests of the tools, of the
system prompt and of all content before the block, a digest of the visible text, and an HMAC over
all of it. A block that was edited, or that this server never made, is refused in the API's words.
On models with preserved thinking, so is a block whose conversation changed before it.
"""

import base64
import binascii
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from simulator.errors import invalid
from simulator.prompt import canonical
from simulator.validation.conversation import blocks_of
from simulator.validation.request import CheckedRequest
from simulator.validation.thinking import BINDING_BETA
from simulator.wire import DIGEST_BYTES, Json, digest

_MAGIC = b"sim1"
_PARTS = 6  # model, account, tools, system, conversation, text
_MAC_BYTES = 32
_BOUND = (
    "The block is bound to a different conversation. Remove the block, or set "
    '`thinking.block_binding.prefix_mismatch_behavior` to "drop_block". That setting requires the '
    f"`{BINDING_BETA}` value in the `anthropic-beta` header."
)


@dataclass(frozen=True, slots=True)
class Binding:
    """What a thinking block is bound to; every part is a digest."""

    model: bytes
    account: bytes
    tools: bytes
    system: bytes
    conversation: bytes


@dataclass(frozen=True, slots=True)
class Review:
    """The outcome for a request's history.

    `dropped` are paths of blocks the model does not read; `transformations` is what the answer
    reports as `input_transformations` when the beta header asks for it.
    """

    dropped: frozenset[str] = frozenset()
    transformations: tuple[Json, ...] = ()


@dataclass(slots=True)
class BindingTracker:
    """The binding at a point of a conversation; `add` moves the point behind a block."""

    model: str
    account: str
    tools: bytes
    system: bytes
    state: bytes = b""

    def add(self, role: str, content: bytes) -> None:
        """Takes one more block of the conversation into account."""
        self.state = digest(self.state, role.encode(), content)

    def here(self) -> Binding:
        """The binding of a block that would come next."""
        return Binding(
            digest(self.model.encode()),
            digest(self.account.encode()),
            self.tools,
            self.system,
            self.state or digest(),
        )


def track(request: CheckedRequest, account: str) -> BindingTracker:
    """A tracker at the start of the request's messages."""
    return BindingTracker(
        request.model.id,
        account,
        digest(*(canonical(tool) for tool in request.tools)),
        digest(*(canonical(block) for block in request.system)),
    )


def track_to_end(request: CheckedRequest, account: str) -> BindingTracker:
    """A tracker behind all messages: where the answer begins."""
    tracker = track(request, account)
    for message in request.messages:
        for block in blocks_of(message):
            tracker.add(message["role"], canonical(block))
    return tracker


@dataclass(slots=True)
class Signer:
    """Signs thinking blocks and reads signatures; `secret` stays the same over restarts."""

    secret: bytes

    def sign(self, binding: Binding, text: str) -> str:
        """The signature of a block with this visible text."""
        body = _MAGIC + b"".join(
            (
                binding.model,
                binding.account,
                binding.tools,
                binding.system,
                binding.conversation,
                digest(text.encode("utf-8", "surrogatepass")),
            )
        )
        return base64.b64encode(body + self._mac(body)).decode()

    def read(self, signature: str) -> tuple[Binding, bytes] | None:
        """The binding and text digest in a signature; None when this server did not make it."""
        try:
            raw = base64.b64decode(signature, validate=True)
        except (binascii.Error, ValueError):
            return None
        body, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        length = len(_MAGIC) + _PARTS * DIGEST_BYTES
        if len(body) != length or not hmac.compare_digest(self._mac(body), mac):
            return None
        parts = [
            body[start : start + DIGEST_BYTES] for start in range(len(_MAGIC), length, DIGEST_BYTES)
        ]
        return Binding(*parts[:5]), parts[5]

    def seal(self, text: str) -> str:
        """What proves that this server wrote the summary `text`."""
        return base64.b64encode(self._mac(b"summary" + text.encode("utf-8", "replace"))).decode()

    def _mac(self, body: bytes) -> bytes:
        return hmac.new(self.secret, body, sha256).digest()


@dataclass(slots=True)
class _Reviewing:
    """The review of one request."""

    request: CheckedRequest
    enforced: bool
    dropping: bool
    tracker: BindingTracker
    signer: Signer
    latest_assistant: int
    dropped: list[str] = field(default_factory=list)
    transformations: list[Json] = field(default_factory=list)

    def block(self, index: int, position: int, block: Json) -> None:
        path = f"messages.{index}.content.{position}"
        redacted = block["type"] == "redacted_thinking"
        known = self.signer.read(block["data"] if redacted else block["signature"])
        if known is None:
            raise invalid(path, f"Invalid `signature` in `{block['type']}` block")
        made, text = known
        if not redacted and text != digest(block["thinking"].encode("utf-8", "surrogatepass")):
            raise self._modified(index, path)
        self._check_binding(made, path)

    def _modified(self, index: int, path: str) -> Exception:
        if index == self.latest_assistant:
            return invalid(
                path,
                "`thinking` or `redacted_thinking` blocks in the latest assistant message cannot "
                "be modified. These blocks must remain as they were in the original response.",
            )
        return invalid(path, "Invalid `signature` in `thinking` block")

    def _check_binding(self, made: Binding, path: str) -> None:
        here = self.tracker.here()
        if self.request.model.account_bound and made.account != here.account:
            self._drop(path, "organization_binding_mismatch")
        elif made.model != here.model:
            self._drop(path, "model_binding_mismatch")
        elif self.request.model.preserved and made != here:
            self._prefix_mismatch(made, here, path)

    def _prefix_mismatch(self, made: Binding, here: Binding, path: str) -> None:
        if self.dropping:
            self._drop(path, "prefix_binding_mismatch")
        elif self.enforced:
            raise invalid(
                path, f"Invalid `signature` in `thinking` block. {_BOUND} {_difference(made, here)}"
            )
        else:
            self.transformations.append(
                {
                    "type": "thinking_mismatch_allowed",
                    "path": path,
                    "reason": "prefix_binding_mismatch",
                }
            )

    def _drop(self, path: str, reason: str) -> None:
        self.dropped.append(path)
        self.transformations.append({"type": "thinking_dropped", "path": path, "reason": reason})


def _difference(made: Binding, here: Binding) -> str:
    if made.system != here.system:
        return "The `system` prompt differs from the one this block was created with."
    if made.tools != here.tools:
        return "The `tools` differ from the ones this block was created with."
    return "The `messages` before it differ from the ones this block was created with."


def review(request: CheckedRequest, signer: Signer, account: str, prefix_binding: bool) -> Review:
    """Checks every thinking block of the history.

    `prefix_binding` says whether the account's conversation check is enforced by default; a
    request that sets `prefix_mismatch_behavior` is checked in any case.
    """
    messages = request.messages
    if not _has_thinking(messages):
        return Review()
    control = ((request.body.get("thinking") or {}).get("block_binding") or {}).get(
        "prefix_mismatch_behavior"
    )
    reviewing = _Reviewing(
        request=request,
        enforced=prefix_binding or control is not None,
        dropping=control == "drop_block",
        tracker=track(request, account),
        signer=signer,
        latest_assistant=max(
            index for index, message in enumerate(messages) if message["role"] == "assistant"
        ),
    )
    for index, message in enumerate(messages):
        for position, block in enumerate(blocks_of(message)):
            if block["type"] in ("thinking", "redacted_thinking"):
                reviewing.block(index, position, block)
            reviewing.tracker.add(message["role"], canonical(block))
    return Review(frozenset(reviewing.dropped), tuple(reviewing.transformations))


def _has_thinking(messages: Sequence[Json]) -> bool:
    return any(
        block["type"] in ("thinking", "redacted_thinking")
        for message in messages
        if message["role"] == "assistant"
        for block in blocks_of(message)
    )
