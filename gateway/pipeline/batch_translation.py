"""Items of batches as parameters of Claude's Message Batches, and its Messages as their answers.

The translations are those of live requests, without what is kept of conversations: nothing is
restored, reduced or remembered, since all items are sent at once.
"""

import os
import time
from collections.abc import Callable

from gateway import wire
from gateway.catalog.models import Model
from gateway.errors import InvalidRequestError, UnsupportedValueError
from gateway.protocols import anthropic_messages, chat_dialects, openai_responses
from gateway.protocols.messages_form import without_thinking
from gateway.protocols.model_fit import FitOptions, Fitted, fit_to_model
from gateway.protocols.openai_chat_answer import answer as chat_answer
from gateway.protocols.openai_responses_answer import answer as response_answer
from gateway.protocols.openai_responses_plan import AnswerFrame, ResponseEnvelope
from gateway.protocols.shared.draft import Draft
from gateway.protocols.shared.sealed_thinking import ThinkingSeal, thinking_chain
from gateway.protocols.shared.usage import UsageMeter
from gateway.routing.names import ModelNames
from gateway.routing.variants import apply_variant
from gateway.security.sealing import Sealer
from gateway.structs import Struct, replace
from gateway.wire import JSONObject


class PreparedItem(Struct, frozen=True):
    """`params` of a request in a Message Batch; `finish` makes the client's body of the Message.

    `asked_model` is the name that the client has used.
    """

    params: JSONObject
    model: Model
    asked_model: str
    finish: Callable[[JSONObject], bytes]


class BatchTranslation(Struct, frozen=True):
    """Translates the items of every endpoint but embeddings."""

    names: ModelNames
    fit_options: FitOptions
    sealer: Sealer

    def prepare_params(self, endpoint: str, body: bytes, project: str) -> PreparedItem:
        """The item ready to be sent. Pure but for ids and times of answers.

        Raises InvalidRequestError and ModelNotFoundError for what is no item of a Message Batch.
        """
        if endpoint == "/v1/messages":
            return self._message(body)
        parsed = wire.loads_object(body)
        parsed.pop("stream", None)
        parsed.pop("stream_options", None)
        if endpoint == "/v1/chat/completions":
            return self._chat(parsed)
        if endpoint == "/v1/responses":
            return self._response(parsed, project)
        raise InvalidRequestError(f"{endpoint} has no Message Batches", param="endpoint")

    def _message(self, body: bytes) -> PreparedItem:
        request = anthropic_messages.read_request(body)
        model = self.names.resolve(request.asked_model).model
        params = {**wire.loads_object(body), "model": model.id}
        return PreparedItem(_unstreamed(params), model, request.asked_model, wire.dumps)

    def _chat(self, body: JSONObject) -> PreparedItem:
        draft = chat_dialects.translate(body)
        model, fitted = self._fitted(draft)

        def finish(message: JSONObject) -> bytes:
            meter = meter_of(message)
            return wire.dumps(chat_answer(message, meter, fitted.reply, int(time.time())))

        return PreparedItem(_unstreamed(fitted.body), model, draft.asked_model, finish)

    def _response(self, body: JSONObject, project: str) -> PreparedItem:
        wanted = openai_responses.state_wanted(body)
        if wanted.previous_response_id is not None or wanted.references:
            raise UnsupportedValueError(
                "items of a Message Batch cannot follow stored responses",
                param="previous_response_id",
            )
        seal = ThinkingSeal(self.sealer, b"reasoning:" + project.encode())
        translated = openai_responses.translate(body, None, seal)
        draft, plan = translated.draft, translated.plan
        model = self.names.resolve(draft.asked_model).model
        if translated.thinking_models - {model.id}:
            draft.body = without_thinking(draft.body)
        model, fitted = self._fitted(draft)
        plan = replace(plan, chain=thinking_chain(fitted.body["messages"]))

        def finish(message: JSONObject) -> bytes:
            envelope = ResponseEnvelope(f"resp_{os.urandom(24).hex()}", time.time, seal)
            frame = AnswerFrame(fitted.reply, plan, envelope)
            said = response_answer(message, meter_of(message), frame, int(time.time()))
            return wire.dumps(said.response)

        return PreparedItem(_unstreamed(fitted.body), model, draft.asked_model, finish)

    def _fitted(self, draft: Draft) -> tuple[Model, Fitted]:
        route = self.names.resolve(draft.asked_model)
        apply_variant(draft, route.variant)
        return route.model, fit_to_model(draft, route.model, self.fit_options)


def meter_of(message: JSONObject) -> UsageMeter:
    """The counters of a whole Message."""
    meter = UsageMeter()
    meter.on_message_start(message)
    meter.on_stop()
    return meter


def _unstreamed(params: JSONObject) -> JSONObject:
    return {name: value for name, value in params.items() if name != "stream"}
