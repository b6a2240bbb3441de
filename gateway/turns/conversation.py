"""The turns of one live request, from its history to its answer.

conversation = turns.open(project, draft.body)          after translating; asks Valkey
await conversation.load()                                beside the admission
conversation.settled(draft.body)                         without system lines that change
draft.body["messages"] = conversation.restore(model)     before passes, which spare `fixed`
conversation.rewritten(draft.body["messages"])           when passes have run, before fitting
body = conversation.prepare(fitted.body, model)          after fitting, before the dump
conversation.refuse()                                    when a 400 about thinking was repaired
conversation.feed(events) ... conversation.answered()    beside the translator
"""

import time
from collections.abc import Mapping

from gateway.catalog.models import Model
from gateway.protocols.shared.digests import BlockDigests
from gateway.protocols.shared.draft import ReplyPlan
from gateway.storage.shared_lookup import SharedLookup
from gateway.structs import Struct, field
from gateway.turns.capture import Answer, TurnCapture
from gateway.turns.history import Answers, History, read_history, turn_key
from gateway.turns.restore import Restored, restore
from gateway.turns.sending import Sending, prepare
from gateway.turns.store import TurnLookup, TurnStore
from gateway.turns.turn import Turn
from gateway.wire import JSONObject

THINKING_REPAIR = "thinking"
"""Name of the repair that sends a request without any thinking."""


class Habits(Struct, frozen=True):
    """How the newest known turn of a conversation was asked for, to stay with it."""

    model: str
    thinking: JSONObject | None
    effort: str | None


class Turns(Struct, frozen=True):
    """Opens the conversation of each request on one store."""

    store: TurnStore

    def open(
        self,
        project: str,
        body: JSONObject,
        carried: Mapping[str, bytes] | None = None,
        *,
        client_carries: bool = True,
        digests: BlockDigests | None = None,
        shared: SharedLookup | None = None,
    ) -> "Conversation":
        """The conversation of a draft's body; its turns are asked for now, or with `shared`.

        `client_carries`: the client may send thinking back by itself, now or later.
        `carried`, for clients that carry thinking under our seals: the `Sending.prefix` sealed with
        it, by signature (of a redacted block: its data). `digests` are those of the request's
        blocks, when others ask for them too.
        """
        digests = digests or BlockDigests()
        read = _ReadOnce(dict(body), carried, digests)
        answers = digests.walk(body["messages"], Answers())
        is_bare = carried is None and not answers.has_thinking
        keys = answers.keys
        if keys is None:
            keys = [place.key for place in read.history.places]
        lookup = self.store.look_up(project, keys, shared) if keys else None
        return Conversation(self.store, project, read, lookup, is_bare, client_carries)


class Conversation(Struct, eq=False):
    """The turns of one request; created per request. Methods are called in the order above.

    `fixed` has, after `restore`, the `id()` of each block that restoring put at the end of a user
    message: it goes as it went before, whatever passes do to the rest.
    """

    _store: TurnStore
    _project: str
    _read: "_ReadOnce"
    _lookup: TurnLookup | None
    _is_bare: bool
    _client_carries: bool
    fixed: set[int] = field(default_factory=set)
    _found: Mapping[str, Turn] = field(default_factory=dict)
    _restored: Restored | None = None
    _rewritten: list[JSONObject] | None = None
    _deferred: tuple[JSONObject, Model] | None = None
    _sending: Sending | None = None
    _capture: TurnCapture = field(default_factory=TurnCapture)
    _refused: bool = False

    async def load(self) -> None:
        """Waits for the turns; at most one Valkey round trip. Never raises."""
        if self._lookup is not None:
            self._found = await self._lookup.found()

    @property
    def knows_turns(self) -> bool:
        """True when a stored turn was found: the client sends calls under the ids they had."""
        return bool(self._found)

    def settled(self, body: JSONObject) -> None:
        """Tells what the system text is without the lines that change: only that is compared with
        what turns were made from. Before `restore`.
        """
        self._read.settle(body)

    @property
    def habits(self) -> Habits | None:
        """How the newest known turn was asked for; None for a conversation without one."""
        for place in reversed(self._history.places):
            turn = self._found.get(place.key)
            if turn is not None and not turn.refused:
                return Habits(turn.model, turn.thinking, turn.effort)
        return None

    @property
    def _history(self) -> History:
        return self._read.history

    @property
    def restored(self) -> Restored | None:
        """What was put back, once it was."""
        return self._restored

    @property
    def sending(self) -> Sending | None:
        """What is sent, once it was prepared."""
        if self._sending is None and self._deferred is not None:
            body, model = self._deferred
            restored = restore(self._history, {}, model)
            self._sending = prepare(restored, body, model, self._rewritten)
        return self._sending

    def restore(self, model: Model) -> list[JSONObject]:
        """The messages for `model` with the turns put back. May be called for another model."""
        self._rewritten = None
        if self._is_bare and not self._found:
            messages: list[JSONObject] = self._read.body["messages"]
            return messages
        self._restored = restore(self._history, self._found, model)
        self.fixed = self._restored.added_blocks()
        return self._restored.messages

    def rewritten(self, messages: list[JSONObject]) -> None:
        """Passes have made `messages` of the restored ones, one of each, and these are fitted now.

        Messages and blocks that a pass did not change must be the same objects.
        """
        self._rewritten = messages

    def prepare(self, body: JSONObject, model: Model) -> JSONObject:
        """The body to send, made of the restored messages, without what is not legal any more."""
        if self._is_bare and self._restored is None:
            # Nothing was put back, so nothing can be illegal; the digests wait until a turn of
            # this answer is worth keeping.
            self._sending, self._deferred = None, (body, model)
            return body
        restored = self._restored or restore(self._history, {}, model)
        self._sending = prepare(restored, body, model, self._rewritten)
        return self._sending.body

    def repaired(self, name: str, body: JSONObject, model: Model) -> None:
        """After a refusal `body` is sent instead. A repair named "thinking" took all thinking out:
        none is put back into this conversation any more.
        """
        if name == THINKING_REPAIR:
            self._refuse()
        else:
            self.prepare(body, model)

    def _refuse(self) -> None:
        self._refused = True
        if self.sending is None or not self._history.places:
            return
        place = self._history.places[-1]
        mark = Turn(
            model=self.sending.body["model"],
            seen=place.seen,
            client=self._history.client(place),
            prefix=b"",
            stored_at=int(time.time()),
            refused=True,
        )
        self._store.save(self._project, place.key, mark)

    def expect(self, plan: ReplyPlan) -> None:
        """Tells how the client is going to see the answer; before `feed`."""
        self._capture = TurnCapture(in_fences=plan.json_mode != "none" and not plan.stream)

    def feed(self, events: list[tuple[str, bytes]]) -> None:
        """Events of the answer, as they come."""
        self._capture.feed(events)

    def answered(self) -> None:
        """The answer is complete: store its turn. Best before its last bytes leave, because the
        client's next request may come to another process. Never waits, never raises.
        """
        if self._is_surely_worthless():
            return
        sending = self.sending
        answer = self._capture.answer()
        if sending is None or answer is None:
            return
        now = int(time.time())
        key, turn = kept_turn(sending, answer, now, refused=self._refused)
        worth_keeping = bool(turn.content) or turn.refused
        self._store.save(self._project, key, turn, keep_behind=worth_keeping)
        places = self._history.places
        used = (
            (places[each.ordinal].key, each.turn)
            for each in sending.restored.put_back
            if each.turn is not None
        )
        self._store.renew(self._project, used, now)

    def _is_surely_worthless(self) -> bool:
        """True for an answer that comes back as it was, in a conversation nothing was put into.

        A client that carries thinking may do so later, and a model that may think or not leaves
        gaps in a tool loop: both need to know of the turns without.
        """
        if self._client_carries or self._refused or self._deferred is None:
            return False
        body, model = self._deferred
        given = self._read.body["messages"] if self._rewritten is None else self._rewritten
        thinks = (body.get("thinking") or {}).get("type") not in (None, "disabled")
        return (
            self._capture.is_plain
            and body["messages"] is given
            and (model.preserved_thinking or not thinks)
        )


class _ReadOnce(Struct, eq=False):
    """A body whose history is read when it is first needed."""

    body: JSONObject
    _carried: Mapping[str, bytes] | None
    _digests: BlockDigests
    _history: History | None = None

    @property
    def history(self) -> History:
        """The history, digested."""
        if self._history is None:
            self._history = read_history(self.body, self._carried, self._digests)
        return self._history

    def settle(self, body: JSONObject) -> None:
        """Give it the system text of `body`; the messages are the same."""
        self.body = {**body, "messages": self.body["messages"]}
        if self._history is not None:
            self._history = self._history.settled(self.body)


def kept_turn(
    sending: Sending, answer: Answer, now: int, *, refused: bool = False
) -> tuple[str, Turn]:
    """What is stored of the answer to a request, and under which key."""
    history, body = sending.restored.history, sending.body
    refused = refused or sending.restored.reason == "refused"
    plain = refused or (answer.comes_back_whole and not sending.added)
    turn = Turn(
        model=body["model"],
        seen=answer.seen,
        client=history.client_end,
        prefix=sending.prefix,
        stored_at=now,
        content=[] if plain else answer.content,
        after=sending.after,
        added=[] if plain else sending.added,
        thinking=body.get("thinking"),
        effort=(body.get("output_config") or {}).get("effort"),
        refused=refused,
    )
    return turn_key(answer.seen_content, history.end, answer.seen), turn
