"""`coding-gateway savings`: what recorded conversations cost with and without the gateway."""

import argparse
import asyncio
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from gateway import wire
from gateway.catalog.models import Model
from gateway.cli import console
from gateway.config import Settings, load_settings
from gateway.policies import ReductionPolicy
from gateway.projects import reduction_policy
from gateway.protocols.model_fit import FitOptions
from gateway.savings.chart import draw_png, draw_svg
from gateway.savings.figures import Summary, summarize
from gateway.savings.replay import Outcome, Setting, replay
from gateway.savings.session import Session, SessionError
from gateway.savings.sessions import read_all
from gateway.savings.table import render
from gateway.savings.token_counts import find_tokenizer
from gateway.services.from_settings import catalog_of, names_of, reduction_tables
from gateway.structs import replace

_SHOWN_PROBLEMS = 20
_CHARTS = (".svg", ".png")


def run(options: argparse.Namespace) -> int:
    """Replay, or export."""
    if options.action == "export":
        from gateway.cli.savings_export import export  # noqa: PLC0415 - loads SQLAlchemy

        return export(options)
    return _replay(options)


def _replay(options: argparse.Namespace) -> int:
    """Bill the sessions both ways; 1 when a request failed or something was hidden."""
    _check_outputs(options)
    settings = load_settings()
    read = read_all(options.sessions)
    for problem in read.problems[:_SHOWN_PROBLEMS]:
        console.progress(f"left out: {problem}")
    if len(read.problems) > _SHOWN_PROBLEMS:
        console.progress(f"left out: {len(read.problems) - _SHOWN_PROBLEMS} more")
    for note in dict.fromkeys(note for each in read.sessions for note in each.notes):
        console.progress(f"note: {note}")
    setting = _setting(options, settings)
    outcomes = asyncio.run(_replayed(read.sessions, setting, options.limit))
    summary = summarize(outcomes)
    console.result(_report(summary, setting))
    _write_outputs(options, summary, setting)
    return 0 if summary.is_clean else 1


def _check_outputs(options: argparse.Namespace) -> None:
    """A replay of minutes must not end in a file that cannot be written."""
    if options.chart is not None and options.chart.suffix not in _CHARTS:
        raise SessionError(f"{options.chart}: a chart is a .svg or a .png file")
    for path in (options.chart, options.json):
        if path is not None and not path.parent.is_dir():
            raise SessionError(f"{path}: there is no folder {path.parent}")


def _setting(options: argparse.Namespace, settings: Settings) -> Setting:
    catalog = catalog_of(settings)
    names = names_of(settings, catalog)
    model: Model = names.resolve(options.model or names.default.id).model
    if model.price is None:
        raise SessionError(f"nobody has told what {model.id} costs; MODELS_FILE can")
    fit = FitOptions(
        settings.thinking_reserve_tokens, settings.show_reasoning, settings.enable_fast_mode
    )
    tables = reduction_tables(settings)
    return Setting(model, _policy(options, settings), fit, find_tokenizer(), *tables)


def _policy(options: argparse.Namespace, settings: Settings) -> ReductionPolicy:
    """The passes of the settings, with what the command line says over them."""
    policy = reduction_policy(settings)
    texts = policy.texts
    if options.references is not None:
        texts = replace(
            texts, references_chat=options.references, references_agent=options.references
        )
    cache = replace(policy.cache, enabled=policy.cache.enabled and not options.without_cache)
    append_log = policy.append_log or options.append_log
    return replace(policy, texts=texts, cache=cache, append_log=append_log)


async def _replayed(
    sessions: Sequence[Session], setting: Setting, limit: int | None
) -> list[Outcome]:
    outcomes = []
    for number, session in enumerate(sessions, 1):
        line = _ProgressLine(f"[{number}/{len(sessions)}] {session.id}")
        outcome = await replay(session, setting, limit=limit, progress=line.show)
        line.end(outcome)
        outcomes.append(outcome)
    return outcomes


class _ProgressLine:
    """One line on standard error for each session; where a person looks, it counts."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._live = sys.stderr.isatty()

    def show(self, done: int, of: int) -> None:
        """A request is done."""
        if self._live:
            sys.stderr.write(f"\r\x1b[K{self._title}: {done} of {of} requests")
            sys.stderr.flush()

    def end(self, outcome: Outcome) -> None:
        """The session is done."""
        if self._live:
            sys.stderr.write("\r\x1b[K")
        console.progress(f"{self._title}: {outcome.plain.requests} requests")
        for failure in outcome.failures:
            console.progress(f"  {failure}")


def _report(summary: Summary, setting: Setting) -> str:
    width = shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 200
    told = summary.total.told
    lines = [
        render(summary, width),
        "",
        f"Dollars at the list price of {setting.model.id}; tokens are estimates "
        f"({setting.tokenizer.name}). Plain is the same conversation without prompt cache.",
    ]
    if told.hidden or told.bad_references:
        lines.append("Something the client said did not reach the model: please report this.")
    elif told.declared:
        lines.append("What was left out is declared in the text; nothing else is missing.")
    else:
        lines.append("Everything the clients said can be read from what is sent.")
    return "\n".join(lines)


def _write_outputs(options: argparse.Namespace, summary: Summary, setting: Setting) -> None:
    if options.json is not None:
        value = {"model": setting.model.id, "tokenizer": setting.tokenizer.name}
        _write(options.json, wire.dumps({**value, **summary.as_json()}) + b"\n")
    if options.chart is not None:
        svg = draw_svg(summary, setting.model.id)
        _write(options.chart, draw_png(svg) if options.chart.suffix == ".png" else svg.encode())


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise SessionError(f"{path}: cannot be written: {error.strerror}") from error
    console.progress(f"{path} written")
