"""The response cache as the pipeline uses it: find an answer, or the duty to bring one.

found = await cache.find(question)
found.answer                          given again, instead of asking the upstream
found.asking.feed(events)             else: hears the upstream's answer
found.asking.answered()               it is complete
found.asking.ended()                  at the very end, whatever happened
"""

from gateway.response_cache.answer import AnswerRecorder, Events
from gateway.response_cache.flights import Flights, Lead
from gateway.response_cache.question import Question
from gateway.response_cache.similar import Place, SimilarQuestions
from gateway.response_cache.store import WAIT_SECONDS, AnswerStore
from gateway.structs import Struct


class Answer(Struct, frozen=True):
    """A kept answer. `similarity` is that of the question it was made for, None for the same."""

    events: Events
    similarity: float | None = None


class Asking:
    """A question on its way upstream; hears the answer. Created per request.

    `lead` is None for a request that asks for itself alone.
    """

    def __init__(
        self,
        cache: "ResponseCache",
        question: Question,
        lead: Lead[Answer] | None = None,
        place: Place | None = None,
    ) -> None:
        self._cache = cache
        self._question = question
        self._lead = lead
        self._place = place
        self._recorder = AnswerRecorder()
        self._changed = False

    def changed(self) -> None:
        """Another request was sent in place of this one: its answer is not kept."""
        self._changed = True

    def feed(self, events: Events) -> None:
        """Events of the answer, as they come."""
        self._recorder.feed(events)

    def answered(self) -> None:
        """The answer is complete: keep it for the others if it may be. Never waits."""
        events = None if self._changed else self._recorder.kept()
        if events is not None:
            self._cache.keep(self._question, events, self._place)
        if self._lead is None:
            return
        if events is not None:
            self._lead.give(Answer(events))
        else:
            self._cache.disband(self._question, self._lead)

    def ended(self) -> None:
        """The request is over; without an answer another one asks. Idempotent, never waits."""
        if self._lead is not None:
            self._cache.pass_on(self._question, self._lead)


class Found(Struct, frozen=True):
    """Either a kept answer, or what hears the upstream's."""

    answer: Answer | None = None
    asking: Asking | None = None


class ResponseCache:
    """Finds and keeps answers. `similar` is None without a provider of embeddings."""

    def __init__(
        self,
        store: AnswerStore,
        similar: SimilarQuestions | None = None,
        *,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self._store = store
        self._similar = similar
        self._flights: Flights[Answer] = Flights(store.new_token, wait_seconds=wait_seconds)

    async def find(self, question: Question) -> Found:
        """The answer to a question, or the duty to ask. Raises nothing but CancelledError."""
        if question.fresh:
            return Found(asking=Asking(self, question, place=await self._place(question)))
        place = await self._flights.join((question.project, question.key))
        if isinstance(place, Answer):
            return Found(place)
        if place is None:
            return Found(asking=Asking(self, question))
        try:
            return await self._first(question, place)
        except BaseException:
            self.pass_on(question, place)
            raise

    async def _first(self, question: Question, lead: Lead[Answer]) -> Found:
        events = await self._store.find(question, lead.token)
        if events is not None:
            answer = Answer(events)
            lead.give(answer)
            return Found(answer)
        place = await self._place(question)
        near = await self._near(question, place) if place is not None else None
        if near is not None:
            lead.give(near)
            self._store.release(question, lead.token)
            return Found(near)
        return Found(asking=Asking(self, question, lead, place))

    async def _place(self, question: Question) -> Place | None:
        if self._similar is None or question.like is None:
            return None
        return await self._similar.place(question.like)

    async def _near(self, question: Question, place: Place) -> Answer | None:
        """The answer to the nearest question, if it is near enough and still kept."""
        if self._similar is None or question.like is None:
            return None
        near = self._similar.nearest(question.project, place, question.like.threshold)
        if near is None:
            return None
        events = await self._store.get(question.project, near.key)
        if events is None:
            self._similar.forget(question.project, near.key)
            return None
        return Answer(events, min(near.similarity, 1.0))

    # --- for Asking ---

    def keep(self, question: Question, events: Events, place: Place | None) -> None:
        """Keep a complete answer."""
        self._store.save(question, events)
        if self._similar is not None and place is not None:
            self._similar.remember(question.project, question.key, place, question.ttl_seconds)

    def disband(self, question: Question, lead: Lead[Answer]) -> None:
        """The answer may not be given again: all who wait ask for themselves."""
        lead.disband()
        self._store.release(question, lead.token)

    def pass_on(self, question: Question, lead: Lead[Answer]) -> None:
        """There is no answer: the next one asks, here or in another process."""
        if not lead.pass_on():
            self._store.release(question, lead.token)
