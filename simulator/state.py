"""All state of a running simulator, and the settings that can change while it runs."""

import time
from dataclasses import dataclass, field, fields, replace

from simulator.batch_faults import BatchFaults
from simulator.diagnostics import Diagnoses
from simulator.errors import invalid
from simulator.instant_answers import Shelf
from simulator.message_batches import MessageBatches
from simulator.models import Catalogue, load_catalogue
from simulator.prompt_cache import PromptCache
from simulator.recorder import Recorder
from simulator.scripts import ScriptQueue
from simulator.thinking_blocks import Signer
from simulator.tokens import Counter, LengthCounter, TokenizerCounter
from simulator.validation.request import RequestChecks
from simulator.wire import Json


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings; `PUT /_sim/settings` changes those that are not about start-up.

    api_key: the one key accepted; None = any non-empty one. prefix_binding: whether changed
    conversations are refused on models with preserved thinking. strict_window: input plus
    max_tokens beyond the window is a 400, as on models before 4.5. account_per_key: every API key
    is an organization of its own (thinking blocks do not travel); else all keys share one.
    delta_delay_seconds: pace of streams. head_delay_seconds: before every answer. record: whether
    requests are recorded. markers: whether `[[sim:...]]` in prompts is obeyed.

    Message Batches: batch_seconds from creation to the end, batch_cancel_seconds from a cancel to
    the end, batch_expiry_seconds from creation to expiry. batch_first_share: the part of a batch
    that is done at once, so that a cancel or the expiry find some requests done. They hold for
    batches under way too. batch_queue_requests: requests of all unfinished batches of a key.
    batch_results_shuffled: results come in another order each time they are read.
    """

    api_key: str | None = None
    instant: bool = False
    control: bool = True
    signing_secret: str = "simulator"  # noqa: S105 - signs fake thinking; guards nothing
    prefix_binding: bool = True
    strict_window: bool = False
    account_per_key: bool = False
    delta_delay_seconds: float = 0.0
    head_delay_seconds: float = 0.0
    record: bool = True
    markers: bool = True
    batch_seconds: float = 0.0
    batch_cancel_seconds: float = 0.0
    batch_expiry_seconds: float = 86_400.0
    batch_first_share: float = 0.0
    batch_queue_requests: float = 500_000
    batch_results_shuffled: bool = False


CHANGEABLE: dict[str, type] = {
    "prefix_binding": bool,
    "strict_window": bool,
    "account_per_key": bool,
    "delta_delay_seconds": float,
    "head_delay_seconds": float,
    "record": bool,
    "markers": bool,
    "batch_seconds": float,
    "batch_cancel_seconds": float,
    "batch_expiry_seconds": float,
    "batch_first_share": float,
    "batch_queue_requests": float,
    "batch_results_shuffled": bool,
}


def changed(settings: Settings, values: Json) -> Settings:
    """The settings with some changed; raises a 400 for an unknown name or a wrong type."""
    for name, value in values.items():
        kind = CHANGEABLE.get(name)
        if kind is None:
            raise invalid(name, "Extra inputs are not permitted")
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (number if kind is float else isinstance(value, bool)):
            raise invalid(name, f"Input should be a valid {kind.__name__}")
    return replace(settings, **values)


@dataclass(slots=True)
class Counters:
    """Totals since the start or the last reset."""

    requests: int = 0
    streams_open: int = 0
    streams_started: int = 0
    clients_left: int = 0
    errors: int = 0

    def as_json(self) -> Json:
        """The totals by name."""
        return {item.name: getattr(self, item.name) for item in fields(self)}


@dataclass(slots=True)
class State:
    """What a running simulator keeps."""

    settings: Settings
    started_settings: Settings
    catalogue: Catalogue
    checks: RequestChecks
    counter: Counter
    cache: PromptCache
    signer: Signer
    scripts: ScriptQueue = field(default_factory=ScriptQueue)
    recorder: Recorder = field(default_factory=Recorder)
    counters: Counters = field(default_factory=Counters)
    diagnoses: Diagnoses = field(default_factory=Diagnoses)
    shelf: Shelf = field(default_factory=Shelf)
    batches: MessageBatches = field(default_factory=MessageBatches)
    batch_faults: BatchFaults = field(default_factory=BatchFaults)

    def reset(self) -> None:
        """Back to the settings of the start; scripts, records, cache, batches and totals go."""
        self.settings = self.started_settings
        self.scripts.clear()
        self.recorder.clear()
        self.cache.clear()
        self.diagnoses.clear()
        self.batches.clear()
        self.batch_faults.clear()
        open_now = self.counters.streams_open
        self.counters = Counters(streams_open=open_now)


def new_state(settings: Settings) -> State:
    """State for these settings; loads the model table, and the tokenizer unless instant."""
    catalogue = load_catalogue()
    return State(
        settings=settings,
        started_settings=settings,
        catalogue=catalogue,
        checks=RequestChecks(catalogue),
        counter=LengthCounter() if settings.instant else TokenizerCounter(),
        cache=PromptCache(time.monotonic),
        signer=Signer(settings.signing_secret.encode()),
    )
