"""Line charts as SVG, in text: panels one above the other, each with axes, lines, bands and marks.

Everything is in the units of the data; the drawing decides where that is. Nothing in it comes from a clock, so equal
data are equal bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 800, 250
LEFT, RIGHT, TOP, BOTTOM = 64, 20, 42, 44
TITLE = 44
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")
"""Of Okabe and Ito: told apart by nearly everybody."""

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Line:
    """Points from left to right; as steps, each value holds until the next point."""

    label: str
    points: Points
    steps: bool = False


@dataclass(frozen=True, slots=True)
class Band:
    """The range between two values, of the line with the same place. points: x, low, high."""

    points: Sequence[tuple[float, float, float]]


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at x."""

    x: float
    label: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of axes. Both begin at 0. top: the least that the y axis reaches to."""

    title: str
    x: str
    y: str
    lines: tuple[Line, ...]
    bands: tuple[Band, ...] = ()
    marks: tuple[Mark, ...] = ()
    top: float = 0.0

    def extent(self) -> tuple[float, float]:
        """The largest x and y of all that is drawn."""
        xs = [x for line in self.lines for x, _ in line.points] + [mark.x for mark in self.marks]
        ys = [y for line in self.lines for _, y in line.points] + [
            high for band in self.bands for *_, high in band.points
        ]
        return max(xs, default=0.0) or 1.0, max([self.top, *ys]) or 1.0


@dataclass(frozen=True, slots=True)
class Chart:
    """The picture."""

    title: str
    panels: tuple[Panel, ...]

    def svg(self) -> str:
        """The file's text."""
        height = TITLE + HEIGHT * len(self.panels)
        size = f'width="{WIDTH}" height="{height}"'
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">',
            f'<rect {size} fill="white"/>',
            _text(LEFT, 26, self.title, size=16, weight="bold"),
        ]
        for place, panel in enumerate(self.panels):
            parts.append(f'<g transform="translate(0,{TITLE + place * HEIGHT})">')
            parts.extend(_Drawing(panel).parts())
            parts.append("</g>")
        return "\n".join([*parts, "</svg>", ""])


class _Drawing:
    """A panel, and where its data are on the page."""

    def __init__(self, panel: Panel) -> None:
        self.panel = panel
        x_most, y_most = panel.extent()
        self.x_ticks, self.y_ticks = ticks(x_most), ticks(y_most)
        self.x_most, self.y_most = self.x_ticks[-1], self.y_ticks[-1]

    def x(self, value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * value / self.x_most

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / self.y_most

    def parts(self) -> Iterator[str]:
        """From the back to the front."""
        panel = self.panel
        yield _text(LEFT, 14, panel.title, weight="bold")
        yield from self._axes()
        yield from self._marks()
        for band, colour in zip(panel.bands, COLOURS, strict=False):
            there = [(self.x(x), self.y(low)) for x, low, _ in band.points]
            back = [(self.x(x), self.y(high)) for x, _, high in reversed(band.points)]
            yield f'<polygon points="{_pairs([*there, *back])}" fill="{colour}" fill-opacity="0.18"/>'
        for line, colour in zip(panel.lines, COLOURS, strict=False):
            points = _stepped(line.points) if line.steps else line.points
            yield _path([(self.x(x), self.y(y)) for x, y in points], colour, width=2)
        yield from self._legend()

    def _marks(self) -> Iterator[str]:
        """Each label in the highest row where none before it is in its way."""
        rows: list[float] = []
        for mark in sorted(self.panel.marks, key=lambda mark: mark.x):
            place = self.x(mark.x)
            row = next((row for row, end in enumerate(rows) if end <= place), len(rows))
            rows[row : row + 1] = [place + 6.0 * len(mark.label) + 6]
            yield _path([(place, self.y(0)), (place, self.y(self.y_most))], "#999", dashes=True)
            yield _text(place + 3, TOP + 10 + 11 * row, mark.label, size=10, fill="#777")

    def _axes(self) -> Iterator[str]:
        for value in self.y_ticks:
            yield _path([(LEFT, self.y(value)), (WIDTH - RIGHT, self.y(value))], "#ddd")
            yield _text(LEFT - 6, self.y(value) + 4, f"{value:g}", anchor="end", size=11)
        for value in self.x_ticks:
            yield _path([(self.x(value), self.y(0)), (self.x(value), self.y(0) + 4)], "#333")
            yield _text(self.x(value), self.y(0) + 16, f"{value:g}", anchor="middle", size=11)
        yield _path([(LEFT, self.y(0)), (WIDTH - RIGHT, self.y(0))], "#333")
        yield _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, self.panel.x, anchor="middle")
        yield _text(LEFT, 32, self.panel.y, size=11, fill="#555")

    def _legend(self) -> Iterator[str]:
        place = float(WIDTH - RIGHT)
        for line, colour in reversed(list(zip(self.panel.lines, COLOURS, strict=False))):
            place -= 7.0 * len(line.label) + 36
            yield _path([(place, 28), (place + 20, 28)], colour, width=2)
            yield _text(place + 25, 32, line.label, size=11)


def ticks(maximum: float) -> list[float]:
    """From 0 to at least `maximum`, in about five round steps."""
    rough = maximum / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    return [round(place * step, 10) for place in range(math.ceil(maximum / step - 1e-9) + 1)]


def _stepped(points: Points) -> Points:
    corners = [(x, y) for (_, y), (x, _) in pairwise(points)]
    both = [point for pair in zip(points, corners, strict=False) for point in pair]
    return [*both, *points[-1:]]


def _path(points: Points, colour: str, *, width: int = 1, dashes: bool = False) -> str:
    dashed = ' stroke-dasharray="4 3"' if dashes else ""
    return f'<polyline points="{_pairs(points)}" fill="none" stroke="{colour}" stroke-width="{width}"{dashed}/>'


def _pairs(points: Points) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", size: int = 12, weight: str = "normal", fill: str = "#333"
) -> str:
    look = f'text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" fill="{fill}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {look}>{escape(text)}</text>'
