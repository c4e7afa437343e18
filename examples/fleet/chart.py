#!/usr/bin/env python3
"""Draws the fleet's own output: shared ids, overwritten gauges and a month's time series over the size of the fleet.

    cargo run --release --example fleet --features testing -- --seed 1 --csv fleet.csv
    python3 examples/fleet/chart.py fleet.csv examples/fleet/chart.svg
"""

import csv
import math
import sys
from collections import namedtuple
from xml.sax.saxutils import escape

SOURCES = ["random", "hashed", "leased"]

LEFT = 44
PANEL = 176
GAP = 50
TOP = 70
HEIGHT = 190
BOTTOM = 66
RADIUS = 3.4

STYLE = """
text { font: 12px system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif; fill: #7d8590 }
.title { font-weight: 600 }
.small { font-size: 10.5px }
.grid { stroke: #7d8590; stroke-opacity: .22 }
.formula { fill: none; stroke: #8b949e; stroke-width: 1.5; stroke-opacity: .7 }
.random { fill: #8b949e }
.hashed { fill: none; stroke: #1f83d6; stroke-width: 1.6 }
.leased { fill: #e8590c; stroke: #e8590c; stroke-width: 2 }
.line { fill: none }
.names { fill: none; stroke: #8b949e; stroke-width: 1.5; stroke-dasharray: 5 4 }
text.leased { stroke: none; font-weight: 700 }
@media (prefers-color-scheme: dark) {
  text { fill: #9198a1 }
  .hashed { stroke: #4da3ff }
  .leased { fill: #ff8a3d; stroke: #ff8a3d }
  .line { fill: none }
}
@media (prefers-color-scheme: light) {
  text:not(.leased) { fill: #57606a }
}
"""

Panel = namedtuple("Panel", "title value formula low high ticks log")


def short(number):
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:g} {unit}"
    return f"{number:g}"


def read(path):
    """The rows of each source, by the number of tasks."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    by_source = {source: [row for row in rows if row["source"] == source] for source in SOURCES}
    if not all(by_source.values()):
        sys.exit(f"{path}: rows of {', '.join(source for source in SOURCES if not by_source[source])} are missing")
    return by_source


def panels(by_source):
    """Shares are shown in percent, series on a logarithmic scale from the least to the most."""
    percent = [0, 25, 50, 75, 100]
    rows = [row for rows in by_source.values() for row in rows]
    low = math.floor(math.log10(min(float(row["series"]) for row in rows)))
    high = math.ceil(math.log10(max(float(row["series_of_names"]) for row in rows)))
    decades = [10.0**exponent for exponent in range(low, high + 1)]
    return [
        Panel("odds that any two share", "any", "any_formula", 0, 100, percent, False),
        Panel("tasks that share their id", "sharing", "sharing_formula", 0, 100, percent, False),
        Panel("gauges overwritten", "lost", "lost_formula", 0, 100, percent, False),
        Panel("series minted in 30 days", "series", "series_formula", decades[0], decades[-1], decades, True),
    ]


class Scale:
    """From a fleet's size and a value to a place."""

    def __init__(self, panel, left, sizes):
        self.panel, self.left = panel, left
        self.first, self.last = math.log10(min(sizes)), math.log10(max(sizes))

    def x(self, tasks):
        return self.left + PANEL * (math.log10(tasks) - self.first) / (self.last - self.first)

    def y(self, value):
        places = [math.log10(v) if self.panel.log else v for v in (value, self.panel.low, self.panel.high)]
        return TOP + HEIGHT * (1 - (places[0] - places[1]) / (places[2] - places[1]))

    def points(self, rows, column):
        factor = 1 if self.panel.log else 100
        return [(self.x(float(row["tasks"])), self.y(factor * float(row[column]))) for row in rows]


def axes(scale, sizes):
    left, right, bottom = scale.left, scale.left + PANEL, TOP + HEIGHT
    title = escape(scale.panel.title)
    yield f'<text class="title" x="{left + PANEL / 2:.1f}" y="{TOP - 14}" text-anchor="middle">{title}</text>'
    for tick in scale.panel.ticks:
        text = short(tick) if scale.panel.log else f"{tick} %"
        yield f'<line class="grid" x1="{left}" y1="{scale.y(tick):.1f}" x2="{right}" y2="{scale.y(tick):.1f}"/>'
        yield f'<text class="small" x="{left - 6}" y="{scale.y(tick) + 3.6:.1f}" text-anchor="end">{text}</text>'
    for exponent in range(math.ceil(math.log10(min(sizes))), math.floor(math.log10(max(sizes))) + 1):
        x = scale.x(10**exponent)
        yield f'<line class="grid" x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{bottom}"/>'
        yield f'<text class="small" x="{x:.1f}" y="{bottom + 15}" text-anchor="middle">{short(10**exponent)}</text>'
    yield f'<text class="small" x="{left + PANEL / 2:.1f}" y="{bottom + 31}" text-anchor="middle">tasks by day</text>'


def line(points, sort):
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline class="{sort} line" points="{path}"/>'


def mark(source, x, y):
    if source == "hashed":
        return f'<circle class="hashed" cx="{x:.1f}" cy="{y:.1f}" r="{RADIUS + 1.6:.1f}"/>'
    radius = RADIUS - 1 if source == "leased" else RADIUS
    return f'<circle class="{source}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"/>'


def curves(scale, by_source):
    panel = scale.panel
    yield line(scale.points(by_source["random"], panel.formula), "formula")
    if panel.log:
        yield line(scale.points(by_source["random"], "series_of_names"), "names")
    yield line(scale.points(by_source["leased"], panel.value), "leased")
    for source in SOURCES:
        for x, y in scale.points(by_source[source], panel.value):
            yield mark(source, x, y)


def key():
    x = 8
    for source in SOURCES:
        if source == "leased":
            yield line([(x, 14), (x + 14, 14)], "leased")
        yield mark(source, x + 7, 14)
        yield f'<text class="{"leased" if source == "leased" else ""}" x="{x + 20}" y="18">{source}</text>'
        x += 86
    for sort, text, width in (
        ("formula", "the arithmetic of TaskIdPool, for draws", 300),
        ("names", "a tag with the pod's name instead", 0),
    ):
        yield line([(x, 14), (x + 22, 14)], sort)
        yield f'<text x="{x + 28}" y="18">{escape(text)}</text>'
        x += width


def draw(by_source):
    sizes = [float(row["tasks"]) for row in by_source["random"]]
    shown = panels(by_source)
    width, height = LEFT + len(shown) * (PANEL + GAP) - GAP + 16, TOP + HEIGHT + BOTTOM
    pool = by_source["random"][0]["pool"]
    series = round(float(by_source["random"][0]["series"]) / float(by_source["random"][0]["buckets"]))
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f' role="img" aria-label="Shared task ids, overwritten gauges and series minted, by the size of the fleet">'
    )
    yield f"<style>{STYLE}</style>"
    yield from key()
    for index, panel in enumerate(shown):
        scale = Scale(panel, LEFT + index * (PANEL + GAP), sizes)
        yield from axes(scale, sizes)
        yield from curves(scale, by_source)
    yield (
        f'<text class="small" x="8" y="{height - 10}">Simulated: a pool of {pool} ids, {series} series a task, '
        "two deploys a day with a tenth ahead, half of the tasks at night, 0.1 crashes a task a day.</text>"
    )
    yield "</svg>"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    by_source = read(sys.argv[1])
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write("\n".join(draw(by_source)) + "\n")


if __name__ == "__main__":
    main()
