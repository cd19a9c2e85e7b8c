"""Small inline SVG charts for the report: lines with bands, axes, and data for the hover."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from stackelberg_games.arrays import FloatArray

WIDTH, HEIGHT = 360, 230
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 8, 34
PALETTE = 8
UNKNOWN = "\u2013"
"""Stands for a number that is not known."""


@dataclass(frozen=True)
class Line:
    """One series of a chart.

    Attributes:
        label: shown by the hover.
        colour: index into the page's palette.
        x, y: ``[P]``.
        low, high: the band, ``[P]``; NaN for none.
    """

    label: str
    colour: int
    x: FloatArray
    y: FloatArray
    low: FloatArray
    high: FloatArray


@dataclass(frozen=True)
class Level:
    """A horizontal reference line; ``style`` is a class of the page's style sheet."""

    label: str
    value: float
    style: str


def line_chart(lines: Sequence[Line], levels: Sequence[Level] = (), *, x_label: str, y_label: str) -> str:
    """An SVG element that the page's script makes answer to the pointer.

    Args:
        lines: the series; those without points are left out.
        levels: reference lines; those that are not finite are left out.
        x_label, y_label: of the axes.
    """
    lines = [line for line in lines if len(line.x)]
    levels = [level for level in levels if np.isfinite(level.value)]
    if not lines:
        return '<p class="none">no data</p>'
    x_ends = _ends(np.concatenate([line.x for line in lines]), 0.0)
    heights = [np.concatenate([line.y, line.low, line.high]) for line in lines]
    y_ends = _ends(np.concatenate([*heights, [level.value for level in levels]]), 0.06)
    x, y = _Scale(*x_ends, LEFT, WIDTH - RIGHT), _Scale(*y_ends, HEIGHT - BOTTOM, TOP)
    parts = [*_axes(x, y, x_label, y_label)]
    for level in levels:
        parts.append(
            f'<line class="level {level.style}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(level.value):.1f}" '
            f'y2="{y(level.value):.1f}"><title>{escape(level.label)}: {number(level.value)}</title></line>'
        )
    for line in lines:
        parts += _series(line, x, y)
    data = {
        "ends": [*x_ends, LEFT, WIDTH - RIGHT],
        "x": x_label,
        "lines": [
            {
                "name": line.label,
                "colour": line.colour,
                **{k: _short(getattr(line, k)) for k in ("x", "y", "low", "high")},
            }
            for line in lines
        ],
        "levels": [{"name": level.label, "y": float(f"{level.value:.6g}")} for level in levels],
    }
    text = escape(json.dumps(data, separators=(",", ":")), quote=True)
    drawn = "".join(parts)
    cursor = f'<line class="cursor" y1="{TOP}" y2="{HEIGHT - BOTTOM}" x1="0" x2="0"/>'
    return f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(y_label)}" data-chart="{text}">{drawn}{cursor}</svg>'


def number(value: float | None, digits: int = 4) -> str:
    """A number as readers like it: significant digits, at most three places, a true minus sign."""
    if value is None or np.isnan(value):
        return UNKNOWN
    size = int(np.floor(np.log10(max(abs(value), 0.1))))
    return _signed(f"{value:,.{min(3, max(0, digits - 1 - size))}f}")


def percent(share: float) -> str:
    """A share in per cent, whole ones, but never 0 or 100 % for what is more or less."""
    near = 0 < share < 0.005 or 0.995 <= share < 1
    return _signed(f"{100 * min(max(share, 0.001), 0.999):.1f}" if near else f"{100 * share:.0f}") + " %"


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers between two ends, about ``count`` of them."""
    raw = (high - low) / count
    power = 10.0 ** np.floor(np.log10(raw))
    step = power * min((m for m in (1, 2, 2.5, 5, 10) if m * power >= raw), default=10)
    first = np.ceil(low / step - 1e-9)
    return [float(k * step) for k in np.arange(first, np.floor(high / step + 1e-9) + 1)]


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: Any) -> Any:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def _ends(values: FloatArray, margin: float) -> tuple[float, float]:
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if high - low < 1e-9 * max(1.0, abs(high)):
        pad = 0.5 * max(abs(high), 1.0)
        return low - pad, high + pad
    return low - margin * (high - low), high + margin * (high - low)


def _axes(x: _Scale, y: _Scale, x_label: str, y_label: str) -> list[str]:
    parts = []
    for tick in ticks(y.low, y.high):
        at = f"{y(tick):.1f}"
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>')
        parts.append(f'<text x="{LEFT - 5}" y="{at}" dy=".32em" text-anchor="end">{_tick(tick)}</text>')
    for tick in ticks(x.low, x.high):
        parts.append(f'<text x="{x(tick):.1f}" y="{HEIGHT - BOTTOM + 13}" text-anchor="middle">{_tick(tick)}</text>')
    base = HEIGHT - BOTTOM
    parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{base}" y2="{base}"/>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text class="name" x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{escape(x_label)}</text>')
    turned = f'transform="translate(9 {(TOP + base) / 2}) rotate(-90)"'
    parts.append(f'<text class="name" {turned} text-anchor="middle">{escape(y_label)}</text>')
    return parts


def _series(line: Line, x: _Scale, y: _Scale) -> list[str]:
    style = f"s{line.colour % PALETTE}" + (f" d{line.colour // PALETTE % 3}" if line.colour >= PALETTE else "")
    points = [f"{a:.1f},{b:.1f}" for a, b in zip(x(line.x), y(line.y), strict=True)]
    parts = []
    if np.isfinite(line.low).all() and np.isfinite(line.high).all():
        upper = [f"{a:.1f},{b:.1f}" for a, b in zip(x(line.x), y(line.high), strict=True)]
        lower = [f"{a:.1f},{b:.1f}" for a, b in zip(x(line.x), y(line.low), strict=True)]
        parts.append(f'<polygon class="band {style}" points="{" ".join(upper + lower[::-1])}"/>')
    parts.append(f'<polyline class="line {style}" points="{" ".join(points)}"/>')
    return parts


def _tick(value: float) -> str:
    if abs(value) >= 1e6:
        return _signed(f"{value / 1e6:g}M")
    return _signed(f"{value / 1e3:g}k" if abs(value) >= 1e4 else f"{value:g}")


def _signed(text: str) -> str:
    """A true minus sign, and none before zero."""
    return text.replace("-", "\u2212") if text.strip("-0.,") else text.lstrip("-")


def _short(values: FloatArray) -> list[float | None]:
    return [float(f"{v:.5g}") if np.isfinite(v) else None for v in values]
