"""The figures as a chart: for each kind of client, what remains of the plain price.

Plain SVG without scripts or fonts of its own, for light and dark pages. PNG is made of it by resvg.
"""

import html
from pathlib import Path

from gateway.savings.figures import Figures, Summary
from gateway.savings.session import SessionError
from gateway.savings.table import dollars, share
from gateway.structs import Struct

_WIDTH = 820
_MARGIN = 32
_LABELS = 172  # the column left of the bars
_AMOUNTS = 150  # the one right of them
_TOP = 162
_ROW = 56
_BAR = 18
_GAP = 14  # above the total
_AXIS = 64
_STEPS = 4  # the axis is labelled every quarter of the plain price
_MOST_LABEL_CHARS = 20
_PNG_ZOOM = 2.0
_FONT_FOLDERS = (
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "~/.fonts",
    "~/.local/share/fonts",
    "/System/Library/Fonts",
)

_STYLE = """
text { font-family: 'Segoe UI', 'Helvetica Neue', Helvetica, Arial, 'DejaVu Sans', sans-serif; }
.page { fill: #ffffff; }
.title { fill: #14202b; font-size: 22px; font-weight: 600; }
.lead, .label, .saved { fill: #14202b; }
.lead { font-size: 14px; }
.label { font-size: 14px; font-weight: 600; }
.saved { font-size: 17px; font-weight: 600; }
.note, .tick { fill: #5b6b78; font-size: 12px; }
.plain { fill: #d5dde3; }
.gateway { fill: #0f7b6c; }
.dearer { fill: #b3412e; }
.grid { stroke: #e6ebef; stroke-width: 1; }
.rule { stroke: #aab6bf; stroke-width: 1; }
@media (prefers-color-scheme: dark) {
  .page { fill: #12181d; }
  .title, .lead, .label, .saved { fill: #eaf0f4; }
  .note, .tick { fill: #9fb0bc; }
  .plain { fill: #38444d; }
  .gateway { fill: #3ecfb5; }
  .dearer { fill: #f08a74; }
  .grid { stroke: #232c33; }
  .rule { stroke: #5b6b78; }
}
"""


class _Scale(Struct, frozen=True):
    """From a share of the plain price to a place on the page."""

    most: float

    @property
    def left(self) -> float:
        return _MARGIN + _LABELS

    @property
    def width(self) -> float:
        return _WIDTH - 2 * _MARGIN - _LABELS - _AMOUNTS

    def x(self, part: float) -> float:
        return self.left + self.width * part / self.most


def draw_svg(summary: Summary, model: str) -> str:
    """The chart as an SVG document."""
    rows = [*summary.kinds, summary.total]
    scale = _Scale(max(1.0, *(1 - row.input_saved for row in rows)))
    bottom = _TOP + len(rows) * _ROW + _GAP
    height = bottom + _AXIS
    head = _head(summary, model)
    elements = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}" role="img" aria-labelledby="title desc">',
        f'<title id="title">{_escaped(head[0])}</title>',
        f'<desc id="desc">{_escaped(_told(rows))}</desc>',
        f"<style>{_STYLE}</style>",
        f'<rect class="page" width="{_WIDTH}" height="{height}"/>',
        _text(_MARGIN, 48, "title", head[0]),
        _text(_MARGIN, 74, "lead", head[1]),
        _text(_MARGIN, 95, "lead", head[2]),
        *_legend(),
        *_grid(scale, bottom),
    ]
    for number, row in enumerate(rows):
        top = _TOP + number * _ROW + (_GAP if row is summary.total else 0)
        elements += _bars(row, top, scale, label="all sessions" if row is summary.total else "")
    between = _TOP + len(summary.kinds) * _ROW + _GAP // 2
    elements.append(_line(_MARGIN, between, _WIDTH - _MARGIN, between, "rule"))
    return "\n".join([*elements, "</svg>", ""])


def draw_png(svg: str) -> bytes:
    """The chart as a PNG image. Raises SessionError where that cannot be made."""
    try:
        import resvg_py  # noqa: PLC0415 - an extra, for those who want this format
    except ImportError as error:
        raise SessionError(
            "a .png needs the package resvg-py (the extra `stack` has it); .svg needs nothing"
        ) from error
    if not _has_fonts():
        raise SessionError("a .png needs a font and this machine has none; .svg needs nothing")
    return bytes(resvg_py.svg_to_bytes(svg_string=svg, zoom=_PNG_ZOOM))


def _has_fonts() -> bool:
    """Without any, text would be left out without a word."""
    folders = (Path(folder).expanduser() for folder in _FONT_FOLDERS)
    return any(
        next(folder.rglob(pattern), None) is not None
        for folder in folders
        for pattern in ("*.[ot]tf", "*.ttc")
    )


def _head(summary: Summary, model: str) -> tuple[str, str, str]:
    total = summary.total
    title = f"{share(total.input_saved)} % of input dollars saved"
    if total.input_saved < 0:
        title = f"{share(-total.input_saved)} % more input dollars"
    recorded = _counted(total.sessions, "recorded session")
    return (
        title,
        f"{recorded}, {_counted(total.plain.requests, 'request')}, at the prices of {model}",
        f"Answers included: {share(total.all_saved)} %. "
        f"Mean of the kinds of client: {share(summary.mean.input_saved)} % of input.",
    )


def _counted(count: int, name: str) -> str:
    return f"{count:,} {name}{'' if count == 1 else 's'}"


def _told(rows: list[Figures]) -> str:
    return "; ".join(
        f"{row.name}: {dollars(row.plain.input_usd)} dollars plain, "
        f"{dollars(row.reduced.input_usd)} with the gateway, {share(row.input_saved)} % saved"
        for row in rows
    )


def _legend() -> list[str]:
    y = 122
    return [
        _rect(_MARGIN, y, 12, 12, "plain"),
        _text(_MARGIN + 19, y + 11, "note", "without the gateway"),
        _rect(_MARGIN + 160, y, 12, 12, "gateway"),
        _text(_MARGIN + 179, y + 11, "note", "with the gateway"),
    ]


def _grid(scale: _Scale, bottom: int) -> list[str]:
    elements = []
    for step in range(int(scale.most * _STEPS) + 1):
        x = scale.x(step / _STEPS)
        elements.append(_line(x, _TOP - 8, x, bottom, "grid"))
        elements.append(_text(x, bottom + 20, "tick", f"{100 * step // _STEPS} %", "middle"))
    middle = scale.left + scale.width / 2
    caption = "what is paid for input, as a share of the plain price"
    return [*elements, _text(middle, bottom + 42, "note", caption, "middle")]


def _bars(row: Figures, top: int, scale: _Scale, label: str) -> list[str]:
    paid = 1 - row.input_saved
    kind = "gateway" if paid <= 1 else "dearer"
    y = top + (_ROW - _BAR) / 2
    counts = f"{_counted(row.sessions, 'session')}, {_counted(row.plain.requests, 'request')}"
    sign = "\u2212" if row.input_saved >= 0 else "+"
    right = _WIDTH - _MARGIN
    return [
        _text(_MARGIN, y + 6, "label", _shortened(label or row.name)),
        _text(_MARGIN, y + 23, "note", counts),
        _rect(scale.left, y, scale.x(1) - scale.left, _BAR, "plain"),
        _rect(scale.left, y, max(1.0, scale.x(paid) - scale.left), _BAR, kind),
        _text(right, y + 7, "saved", f"{sign}{share(abs(row.input_saved))} %", "end"),
        _text(
            right,
            y + 24,
            "note",
            f"${dollars(row.plain.input_usd)} \u2192 ${dollars(row.reduced.input_usd)}",
            "end",
        ),
    ]


def _shortened(name: str) -> str:
    return name if len(name) <= _MOST_LABEL_CHARS else name[: _MOST_LABEL_CHARS - 1] + "…"


def _rect(x: float, y: float, width: float, height: float, kind: str) -> str:
    return (
        f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:.1f}" height="{height:g}" rx="3"/>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}"/>'


def _text(x: float, y: float, kind: str, text: str, anchor: str = "start") -> str:
    return (
        f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{_escaped(text)}</text>'
    )


def _escaped(text: str) -> str:
    """Text for XML; control characters have no place there."""
    return html.escape("".join(letter if letter.isprintable() else "?" for letter in text))
