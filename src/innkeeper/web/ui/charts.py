"""The geometry of charts; `templates/charts.html` draws it. No data leaves the page's own SVG."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10

from innkeeper.web.ui.formatting import compact

WIDE = 470
"""Width of a chart in half a page, in its own units; narrow screens get NARROW."""
NARROW = 330
HEIGHT = 190
LEFT, RIGHT, TOP, BOTTOM = 40, 6, 8, 22


@dataclass(frozen=True, slots=True)
class Tick:
    """A label on an axis and where it stands."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One rectangle, and what it says on hover."""

    x: float
    y: float
    width: float
    height: float
    series: int
    text: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart of one size."""

    name: str
    width: int
    height: int
    rows: list[Tick]
    columns: list[Tick]
    lines: list[str]
    areas: list[str]
    bars: list[Bar]

    @property
    def right(self) -> int:
        return self.width - RIGHT

    @property
    def floor(self) -> int:
        return self.height - BOTTOM

    @property
    def left(self) -> int:
        return LEFT


Series = Sequence[tuple[str, Sequence[float]]]


def lines(labels: Sequence[str], series: Series, width: int = WIDE) -> list[Drawing]:
    """A line a series, wide and narrow."""
    return [_lines(name, size, labels, series) for name, size in _sizes(width)]


def bars(labels: Sequence[str], series: Series, width: int = WIDE) -> list[Drawing]:
    """Stacked bars, one a label, wide and narrow."""
    return [_bars(name, size, labels, series) for name, size in _sizes(width)]


def spark(values: Sequence[float], width: int = 96, height: int = 26) -> str:
    """The points of a small line without axes."""
    top = max(values, default=0) or 1
    step = (width - 4) / max(1, len(values) - 1)
    return " ".join(
        f"{2 + i * step:.1f},{height - 2 - value / top * (height - 4):.1f}"
        for i, value in enumerate(values)
    )


def ceiling(top: float) -> tuple[float, float]:
    """A round number at or above `top`, and the distance of grid lines below it."""
    if top <= 0:
        return 1.0, 1.0
    magnitude = 10 ** floor(log10(top))
    for step in (0.25, 0.5, 1.0, 2.0):
        count = -(-top // (magnitude * step))
        if count <= 4:
            # Counts have no halves.
            size = max(1.0, magnitude * step) if top >= 1 else magnitude * step
            return float(-(-top // size) * size), float(size)
    return magnitude * 10.0, magnitude * 2.5


def _sizes(width: int) -> list[tuple[str, tuple[int, int]]]:
    return [("chart-wide", (width, HEIGHT)), ("chart-narrow", (NARROW, HEIGHT))]


def _rows(size: tuple[int, int], top: float, step: float) -> list[Tick]:
    height = size[1] - TOP - BOTTOM
    count = round(top / step)
    return [
        Tick(TOP + height * (1 - i / count), compact(i * step) if i else "0")
        for i in range(count + 1)
    ]


def _columns(size: tuple[int, int], labels: Sequence[str], *, middle: bool) -> list[Tick]:
    room = size[0] - LEFT - RIGHT
    most = max(1, room // 88)
    every = max(1, -(-len(labels) // most))
    slots = len(labels) if middle else max(1, len(labels) - 1)
    step = room / max(1, slots)
    return [
        Tick(LEFT + step * (i + (0.5 if middle else 0)), label)
        for i, label in enumerate(labels)
        if i % every == 0
    ]


def _lines(name: str, size: tuple[int, int], labels: Sequence[str], series: Series) -> Drawing:
    width, height = size
    top, step = ceiling(max((max(values, default=0) for _, values in series), default=0))
    room, rise = width - LEFT - RIGHT, height - TOP - BOTTOM
    apart = room / max(1, len(labels) - 1)
    drawn, areas = [], []
    for _, values in series:
        points = [
            f"{LEFT + i * apart:.1f},{TOP + rise * (1 - value / top):.1f}"
            for i, value in enumerate(values)
        ]
        drawn.append(" ".join(points))
        end = LEFT + (len(values) - 1) * apart
        areas.append(f"{LEFT},{TOP + rise} {' '.join(points)} {end:.1f},{TOP + rise}")
    columns = _columns(size, labels, middle=False)
    return Drawing(name, width, height, _rows(size, top, step), columns, drawn, areas, [])


def _bars(name: str, size: tuple[int, int], labels: Sequence[str], series: Series) -> Drawing:
    width, height = size
    sums = [sum(values[i] for _, values in series) for i in range(len(labels))]
    top, step = ceiling(max(sums, default=0))
    slot = (width - LEFT - RIGHT) / max(1, len(labels))
    rise = height - TOP - BOTTOM
    found = []
    for i, label in enumerate(labels):
        floor_at = float(TOP + rise)
        for number, (what, values) in enumerate(series, 1):
            tall = rise * values[i] / top
            floor_at -= tall
            if tall > 0:
                x = LEFT + slot * i + slot * 0.14
                text = f"{label}: {values[i]:,.0f} {what}"
                found.append(Bar(x, floor_at, slot * 0.72, tall, number, text))
    columns = _columns(size, labels, middle=True)
    return Drawing(name, width, height, _rows(size, top, step), columns, [], [], found)
