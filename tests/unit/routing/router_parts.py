"""What the tests of routing begin with: a router, and requests to it."""

from collections.abc import Iterable

from gateway.catalog.models import load_catalog
from gateway.context import Project
from gateway.policies import RoutingPolicy
from gateway.protocols.openai_chat import translate
from gateway.protocols.shared.draft import Draft
from gateway.routing.names import ModelNames
from gateway.routing.outcomes import Counts, OutcomeSnapshot
from gateway.routing.router import Asking, Router
from gateway.routing.stickiness import Sticky
from gateway.wire import JSON, JSONObject

CATALOG = load_catalog()
DEFAULT = CATALOG.models["claude-sonnet-5-5"]
HEAVY = CATALOG.models["claude-opus-5-5"]
SMALL = CATALOG.models["claude-haiku-5-5"]
SIZES = {HEAVY.id: "heavy", DEFAULT.id: "default", SMALL.id: "small"}
NAMES = ModelNames(CATALOG, DEFAULT, "MYMODEL:", reject_unknown=False, small=SMALL)


def router(rows: Iterable[tuple[str, str, Counts]] = ()) -> Router:
    """A router that knows these outcomes of the project: class of task, model, counts."""
    known = [("default", name, model, counts) for name, model, counts in rows]
    return Router(NAMES, HEAVY, OutcomeSnapshot(known))


def chat(*messages: str | JSONObject, model: str = "auto", **fields: JSON) -> Draft:
    """A chat request; texts are the user's."""
    sent = [
        {"role": "user", "content": message} if isinstance(message, str) else message
        for message in messages
    ]
    return translate({"model": model, "messages": sent, **fields})


def asking(
    conversation: bytes = b"c" * 16,
    sticky: Sticky | None = None,
    cached_tokens: int = 0,
    policy: RoutingPolicy | None = None,
) -> Asking:
    """Who asks, in the default project."""
    project = Project("default", routing=policy or RoutingPolicy())
    return Asking(project, conversation, sticky, cached_tokens)


def called(number: int, result: str) -> list[JSONObject]:
    """A tool call of the assistant and its result, as OpenAI clients send them."""
    call_id = f"call_{number}"
    function = {"name": "bash", "arguments": '{"command":"make"}'}
    calls = [{"id": call_id, "type": "function", "function": function}]
    return [
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": call_id, "content": result},
    ]
