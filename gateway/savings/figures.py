"""What replays come to: by session, by kind, in total, and as the mean of kinds."""

from collections.abc import Sequence

from gateway.savings.billing import Bill
from gateway.savings.information import Told
from gateway.savings.replay import Outcome
from gateway.structs import Struct, field
from gateway.wire import JSONObject


class Figures(Struct):
    """The bills of some sessions and what the model was told in them."""

    name: str
    kind: str
    sessions: int = 0
    plain: Bill = field(default_factory=Bill)
    reduced: Bill = field(default_factory=Bill)
    told: Told = field(default_factory=Told)
    recorded: Bill = field(default_factory=Bill)
    recorded_plain: Bill = field(default_factory=Bill)
    failures: int = 0

    def add(self, outcome: Outcome) -> None:
        """Takes a session in."""
        self.sessions += 1
        self.plain.add(outcome.plain)
        self.reduced.add(outcome.reduced)
        self.told.add(outcome.told)
        self.recorded.add(outcome.recorded)
        self.recorded_plain.add(outcome.recorded_plain)
        self.failures += len(outcome.failures)

    @property
    def input_saved(self) -> float:
        """The share of input dollars that is not paid."""
        return _saved(self.plain.input_usd, self.reduced.input_usd)

    @property
    def all_saved(self) -> float:
        """The share of all dollars that is not paid, the answers included."""
        return _saved(self.plain.usd, self.reduced.usd)

    @property
    def sent_saved(self) -> float:
        """The share of prompt tokens that is not sent."""
        return _saved(self.plain.sent_tokens, self.reduced.sent_tokens)

    @property
    def recorded_saved(self) -> float | None:
        """The share of input dollars that the client's own marks have saved, by its log; None when
        that does not tell.
        """
        if not self.recorded.requests:
            return None
        return _saved(self.recorded_plain.input_usd, self.recorded.input_usd)

    def as_json(self) -> JSONObject:
        """Everything as numbers; shares from 0 to 1, negative when the gateway was dearer."""
        return {
            "name": self.name,
            "kind": self.kind,
            "sessions": self.sessions,
            "requests": self.plain.requests,
            "failures": self.failures,
            "plain": _bill(self.plain),
            "gateway": _bill(self.reduced),
            "input_saved": self.input_saved,
            "all_saved": self.all_saved,
            "sent_saved": self.sent_saved,
            "recorded_saved": self.recorded_saved,
            "characters": self.told.characters,
            "hidden": self.told.hidden,
            "declared": self.told.declared,
            "bad_references": self.told.bad_references,
        }


class Mean(Struct, frozen=True):
    """The mean of the kinds' shares, in which a kind with few dollars counts as much as another."""

    input_saved: float
    all_saved: float
    sent_saved: float


class Summary(Struct, frozen=True):
    """All figures of a replay."""

    sessions: list[Figures]
    kinds: list[Figures]
    total: Figures
    mean: Mean

    @property
    def is_clean(self) -> bool:
        """True when every request was billed, nothing was hidden and every reference resolved."""
        told = self.total.told
        return not (self.total.failures or told.hidden or told.bad_references)

    def as_json(self) -> JSONObject:
        """Everything as numbers."""
        return {
            "sessions": [each.as_json() for each in self.sessions],
            "kinds": [each.as_json() for each in self.kinds],
            "total": self.total.as_json(),
            "mean_of_kinds": {
                "input_saved": self.mean.input_saved,
                "all_saved": self.mean.all_saved,
                "sent_saved": self.mean.sent_saved,
            },
        }


def summarize(outcomes: Sequence[Outcome]) -> Summary:
    """The figures of `outcomes`; sessions of which nothing could be billed count as failures."""
    sessions, total = [], Figures("total", "")
    kinds: dict[str, Figures] = {}
    for outcome in outcomes:
        own = Figures(outcome.id, outcome.kind)
        for figures in (own, kinds.setdefault(outcome.kind, _of_kind(outcome.kind)), total):
            figures.add(outcome)
        sessions.append(own)
    ordered = [kinds[name] for name in sorted(kinds)]
    billed = [each for each in ordered if each.plain.requests]
    return Summary(sessions, ordered, total, _mean(billed))


def _of_kind(kind: str) -> Figures:
    return Figures(kind, kind)


def _mean(kinds: Sequence[Figures]) -> Mean:
    count = max(1, len(kinds))
    return Mean(
        sum(each.input_saved for each in kinds) / count,
        sum(each.all_saved for each in kinds) / count,
        sum(each.sent_saved for each in kinds) / count,
    )


def _saved(plain: float, reduced: float) -> float:
    return 1 - reduced / plain if plain else 0.0


def _bill(bill: Bill) -> JSONObject:
    return {
        "input_tokens": bill.input_tokens,
        "cache_read_tokens": bill.cache_read_tokens,
        "cache_write_5m_tokens": bill.cache_write_5m_tokens,
        "cache_write_1h_tokens": bill.cache_write_1h_tokens,
        "output_tokens": bill.output_tokens,
        "sent_tokens": bill.sent_tokens,
        "input_usd": bill.input_usd,
        "usd": bill.usd,
    }
