"""The cut of a request as the live path takes it: Valkey away, and summaries wanted ahead."""

from gateway.policies import ContextPolicy
from gateway.protocols.shared.digests import BlockDigests
from gateway.reduction.context_cut import ContextCut, ContextCuts
from gateway.reduction.context_summary import SummaryStore
from gateway.reduction.context_tokens import estimated_tokens
from gateway.reduction.context_window import find_cuts, prune
from gateway.security.sealing import Sealer
from gateway.storage.shared_lookup import SharedLookup
from gateway.storage.valkey import Valkey
from tests.unit.reduction.conversations import Body, calls, long, result, user

LIMIT = 8_000
EXTRACT = ContextPolicy(LIMIT, "extract")
MODEL = ContextPolicy(LIMIT, "model")


def agent(rounds: int) -> list[Body]:
    messages = [user("Mend the build.")]
    for number in range(rounds):
        messages += [calls(f"c{number}", "bash", command=f"make {number}")]
        messages += [result(f"c{number}", long(f"output {number}", 1_000))]
    return messages


async def opened(cuts: ContextCuts, messages: list[Body], policy: ContextPolicy) -> ContextCut:
    shared = SharedLookup(Valkey("redis://127.0.0.1:1"))
    found = cuts.open("p", messages, policy, BlockDigests(), shared)
    shared.send()
    await found.load()
    return found


def cuts_without_valkey() -> ContextCuts:
    valkey = Valkey("redis://127.0.0.1:1")
    return ContextCuts(SummaryStore(valkey, Sealer([b"a key for tests only"]), ttl_seconds=60))


async def test_a_short_conversation_is_left_alone() -> None:
    messages = agent(3)
    found = await opened(cuts_without_valkey(), messages, MODEL)
    assert found.prune(messages, "record").messages is messages
    assert found.record == "record"
    assert found.wanted is None


async def test_without_a_summary_it_is_the_extract_and_stays_it() -> None:
    messages = agent(80)
    cuts = cuts_without_valkey()
    found = await opened(cuts, messages, MODEL)
    pruned = found.prune(messages, None)
    assert pruned == prune(messages, EXTRACT, estimated_tokens)
    assert found.record is not None
    assert found.record.startswith("-")
    found.remember()
    again = await opened(cuts, messages, MODEL)
    assert again.prune(messages, found.record) == pruned
    assert again.record == found.record


async def test_the_summary_of_the_next_cut_is_wanted_under_the_key_it_will_be_looked_for() -> None:
    cuts = cuts_without_valkey()
    messages = agent(120)
    wanted = None
    matched = 0
    for end in range(3, len(messages) + 1, 2):
        found = await opened(cuts, messages[:end], MODEL)
        if wanted is not None and found.wanted is None and found.cut is not None:
            assert found.record is None
            found.prune(messages[:end], None)
            assert found.record == "-" + wanted.key
            assert wanted.messages == messages[1 : found.cut.start]
            matched += 1
        wanted = found.wanted
    assert matched > 3


async def test_nothing_is_wanted_of_a_model_with_extracts() -> None:
    for end in range(3, 161, 2):
        messages = agent(80)[:end]
        found = await opened(cuts_without_valkey(), messages, EXTRACT)
        assert found.wanted is None
        assert found.cut == find_cuts(messages, LIMIT, estimated_tokens).current
