"""The geometry of charts, which `templates/charts.html` draws as SVG within the page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import floor, log10

from innkeeper.web.ui.formatting import compact

WIDE = 470
"""Width of a chart that takes half a page, in units of its SVG; narrow screens get NARROW."""
NARROW = 330
HEIGHT = 190
LEFT, RIGHT, TOP, BOTTOM = 40, 6, 8, 22
_DAY = 86_400


@dataclass(frozen=True, slots=True)
class Tick:
    """A label on an axis and its position."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One rectangle."""

    x: float
    y: float
    width: float
    height: float
    series: int


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


def lines(
    labels: Sequence[str], series: Series, width: int = WIDE, times: Sequence[float] = ()
) -> list[Drawing]:
    """Draw one line for each series, at both sizes.

    `times`: seconds since 1970 of each point, in order; the axis is then one of time. Without them
    points are equally far apart.
    """
    return [_lines(name, size, labels, series, times) for name, size in _sizes(width)]


def bars(labels: Sequence[str], series: Series, width: int = WIDE) -> list[Drawing]:
    """Draw stacked bars, one for each label, at both sizes."""
    return [_bars(name, size, labels, series) for name, size in _sizes(width)]


def spark(values: Sequence[float], width: int = 96, height: int = 26) -> str:
    """Return the points of a small line without axes."""
    top = max(values, default=0) or 1
    step = (width - 4) / max(1, len(values) - 1)
    return " ".join(
        f"{2 + i * step:.1f},{height - 2 - value / top * (height - 4):.1f}"
        for i, value in enumerate(values)
    )


def ceiling(top: float) -> tuple[float, float]:
    """Return a round number at or above `top`, and the distance between grid lines below it."""
    if top <= 0:
        return 1.0, 1.0
    magnitude = 10 ** floor(log10(top))
    for step in (0.25, 0.5, 1.0, 2.0):
        count = -(-top // (magnitude * step))
        if count <= 4:
            # Counts are whole numbers.
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
    width = size[0] - LEFT - RIGHT
    most = max(1, width // 88)
    every = max(1, -(-len(labels) // most))
    slots = len(labels) if middle else max(1, len(labels) - 1)
    step = width / max(1, slots)
    return [
        Tick(LEFT + step * (i + (0.5 if middle else 0)), label)
        for i, label in enumerate(labels)
        if i % every == 0
    ]


def _lines(
    name: str,
    size: tuple[int, int],
    labels: Sequence[str],
    series: Series,
    times: Sequence[float] = (),
) -> Drawing:
    width, height = size
    top, step = ceiling(max((max(values, default=0) for _, values in series), default=0))
    plot_width, plot_height = width - LEFT - RIGHT, height - TOP - BOTTOM
    at = _positions(times or range(len(labels)), plot_width)
    point_lists, areas = [], []
    for _, values in series:
        points = [
            f"{at[i]:.1f},{TOP + plot_height * (1 - value / top):.1f}"
            for i, value in enumerate(values)
        ]
        point_lists.append(" ".join(points))
        end = at[len(values) - 1] if values else LEFT
        areas.append(f"{LEFT},{TOP + plot_height} {' '.join(points)} {end:.1f},{TOP + plot_height}")
    columns = _time_columns(size, times) if times else _columns(size, labels, middle=False)
    return Drawing(name, width, height, _rows(size, top, step), columns, point_lists, areas, [])


def _positions(values: Sequence[float], width: int) -> list[float]:
    """Return where points lie on the horizontal axis."""
    first, last = (values[0], values[-1]) if values else (0, 0)
    return [LEFT + width * (value - first) / ((last - first) or 1) for value in values]


def _time_columns(size: tuple[int, int], times: Sequence[float]) -> list[Tick]:
    """Return equally distant times with labels as exact as the distance between them."""
    width = size[0] - LEFT - RIGHT
    number = max(2, width // 120)
    span = times[-1] - times[0]
    form = "%H:%M:%S" if span < 600 else "%H:%M" if span < _DAY else "%Y-%m-%d"
    if span >= 300 * _DAY:
        form = "%Y-%m"
    ticks: list[Tick] = []
    for index in range(number):
        at = datetime.fromtimestamp(times[0] + span * index / (number - 1), UTC)
        text = at.strftime(form)
        if not ticks or ticks[-1].text != text:
            ticks.append(Tick(LEFT + width * index / (number - 1), text))
    return ticks


def _bars(name: str, size: tuple[int, int], labels: Sequence[str], series: Series) -> Drawing:
    width, height = size
    sums = [sum(values[i] for _, values in series) for i in range(len(labels))]
    top, step = ceiling(max(sums, default=0))
    slot = (width - LEFT - RIGHT) / max(1, len(labels))
    plot_height = height - TOP - BOTTOM
    rectangles = []
    for i in range(len(labels)):
        floor_at = float(TOP + plot_height)
        for number, (_, values) in enumerate(series, 1):
            bar_height = plot_height * values[i] / top
            floor_at -= bar_height
            if bar_height > 0:
                x = LEFT + slot * i + slot * 0.14
                rectangles.append(Bar(x, floor_at, slot * 0.72, bar_height, number))
    columns = _columns(size, labels, middle=True)
    return Drawing(name, width, height, _rows(size, top, step), columns, [], [], rectangles)
