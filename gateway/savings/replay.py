"""A recorded session, request by request, with and without the gateway, in this process.

Without: the plain translation for the model. With: the same conversation found again and taken
through the same passes as live traffic, by the same code; what is remembered stays in memory. The
model is fixed, so that routing is no part of the comparison, and no conversation is held out.
"""

import time
from collections.abc import Callable

from gateway.catalog.models import Model
from gateway.context import DEFAULT_PROJECT_ID, Caller, Project, RequestContext
from gateway.errors import InvalidRequestError
from gateway.pipeline.conversations import Conversations
from gateway.policies import ReductionPolicy
from gateway.protocols.chat_dialects import translate
from gateway.protocols.model_fit import FitOptions, fit_to_model
from gateway.reduction.boilerplate import Boilerplate, load_boilerplate
from gateway.reduction.context_cut import ContextCuts
from gateway.reduction.context_summary import SummaryStore
from gateway.reduction.log_store import LogStore
from gateway.reduction.references import ReferenceCache
from gateway.reduction.rewriting import Rewriter
from gateway.reduction.state_store import StateStore
from gateway.reduction.tool_kinds import ToolKinds, load_tool_kinds
from gateway.savings.billing import Bill, Billing, RefusedError, TokenCounter, priced
from gateway.savings.information import Told, check_information
from gateway.savings.session import RecordedRequest, Session
from gateway.savings.token_counts import Tokenizer
from gateway.storage.valkey import Valkey
from gateway.structs import Struct, field, replace
from gateway.wire import JSONObject

_REMEMBERED_SECONDS = 3600
_NOWHERE = "redis://127.0.0.1:1/0"  # never connected: what is remembered stays in this process


class Setting(Struct, frozen=True):
    """What a replay is made with. `fit` are the settings that shape bodies; `kinds` and
    `boilerplate` the tables the passes go by.
    """

    model: Model
    policy: ReductionPolicy
    fit: FitOptions
    tokenizer: Tokenizer
    kinds: ToolKinds = field(default_factory=load_tool_kinds)
    boilerplate: Boilerplate = field(default_factory=load_boilerplate)


class Outcome(Struct):
    """What a session costs plain and with the gateway; `failures` are requests left out of both.

    `recorded` is what its own log says was billed, at the same prices, and `recorded_plain` the
    same tokens without any cache; both without a request where the log does not tell.
    """

    id: str
    kind: str
    plain: Bill = field(default_factory=Bill)
    reduced: Bill = field(default_factory=Bill)
    told: Told = field(default_factory=Told)
    recorded: Bill = field(default_factory=Bill)
    recorded_plain: Bill = field(default_factory=Bill)
    failures: list[str] = field(default_factory=list)


class _Unsealed:
    """Append logs of a replay never leave the process, so that there is nothing to seal."""

    def seal(self, data: bytes, context: bytes) -> str:  # noqa: ARG002 - the port's shape
        """Nothing that could be opened."""
        return ""

    def open(self, text: str, context: bytes) -> bytes | None:  # noqa: ARG002 - the port's shape
        """Nothing."""
        return None


def plain_body(request: RecordedRequest, setting: Setting) -> JSONObject:
    """The plain translation of a request: what goes upstream where nothing makes it cheaper."""
    draft = translate({**request.body, "model": setting.model.id})
    return fit_to_model(draft, setting.model, setting.fit).body


class InProcess:
    """The gateway's own passes over the requests of one session."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        valkey = Valkey(_NOWHERE)
        self._conversations = Conversations(
            valkey,
            StateStore(valkey, ttl_seconds=_REMEMBERED_SECONDS),
            LogStore(valkey, _Unsealed(), ttl_seconds=_REMEMBERED_SECONDS),
            Rewriter(ReferenceCache(_REMEMBERED_SECONDS), setting.kinds, setting.boilerplate),
            ContextCuts(SummaryStore(valkey, _Unsealed(), ttl_seconds=_REMEMBERED_SECONDS)),
            clock=lambda: self._seconds,
        )
        self._seconds = 0.0
        policy = replace(setting.policy, holdout_share=0.0)
        project = Project(DEFAULT_PROJECT_ID, reduction=policy)
        self._caller = Caller(project, "replay", frozenset({"chat"}))
        self._remember: Callable[[int], None] | None = None

    async def send(self, request: RecordedRequest) -> JSONObject:
        """The body that goes upstream."""
        setting, self._seconds = self._setting, request.seconds
        draft = translate({**request.body, "model": setting.model.id})
        context = RequestContext("replay", "chat", {}, time.monotonic(), self._caller)
        conversation = self._conversations.open(context, draft)
        conversation.shared.send()
        await conversation.load()
        reduction = await conversation.begin(draft, setting.model)
        draft.body = reduction.settle(draft.body, conversation.digests)
        draft.body = reduction.rewrite(draft.body, conversation.digests)
        draft.instructions += reduction.instructions
        fitted, _ = reduction.delegate(fit_to_model(draft, setting.model, setting.fit).body)
        self._remember = conversation.remember
        return reduction.mark(fitted, conversation.digests)

    def counted(self, prompt_tokens: int) -> None:
        """The upstream has begun to answer, and has told how many tokens the prompt has."""
        if self._remember is not None:
            self._remember(prompt_tokens)


async def replay(
    session: Session,
    setting: Setting,
    *,
    limit: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Outcome:
    """Bills the first `limit` requests of a session both ways; `progress` is told each one."""
    outcome = Outcome(session.id, session.kind)
    count = TokenCounter(setting.tokenizer, setting.model)
    plain, reduced = Billing(setting.model, count), Billing(setting.model, count)
    gateway = InProcess(setting)
    requests = session.requests[:limit]
    for number, request in enumerate(requests, 1):
        try:
            before = plain_body(request, setting)
            after = await gateway.send(request)
            answer = answer_blocks(request.answer, setting)
            billed = reduced.bill(after, request.seconds, answer)
            gateway.counted(billed.sent_tokens)
            outcome.plain.add(plain.bill(before, request.seconds, answer))
            outcome.reduced.add(billed)
            outcome.told.add(check_information(before, after))
            add_recorded(outcome, request, setting.model)
        except (InvalidRequestError, RefusedError) as error:
            outcome.failures.append(f"request {number}: {error}")
        if progress is not None:
            progress(number, len(requests))
    return outcome


def add_recorded(outcome: Outcome, request: RecordedRequest, model: Model) -> None:
    """Takes in what the log says was billed for a request, if it tells."""
    used = request.usage
    if used is None:
        return
    written = used.cache_write_5m_tokens, used.cache_write_1h_tokens
    billed = Bill(1, used.input_tokens, used.cache_read_tokens, *written)
    outcome.recorded.add(priced(billed, model))
    outcome.recorded_plain.add(priced(Bill(1, billed.sent_tokens), model))


def answer_blocks(answer: JSONObject | None, setting: Setting) -> list[JSONObject]:
    """The recorded answer in the Messages form; empty when it was not recorded."""
    if answer is None or not (answer.get("content") or answer.get("tool_calls")):
        return []
    body = {"model": setting.model.id, "messages": [{"role": "user", "content": "."}, answer]}
    messages = translate(body).body["messages"]
    return [block for each in messages if each["role"] == "assistant" for block in each["content"]]
