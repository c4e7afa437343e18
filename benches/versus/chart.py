#!/usr/bin/env python3
"""Draws the benchmark's own output, ours beside the peers on a logarithmic scale: nanoseconds per operation, and bytes
per context.

    cargo run --release --manifest-path benches/versus/Cargo.toml -- --csv versus.csv
    python3 benches/versus/chart.py versus.csv benches/chart.svg benches/memory.svg
"""

import csv
import math
import sys
from collections import namedtuple
from xml.sax.saxutils import escape

Chart = namedtuple("Chart", "section title about panels note threads")

CHARTS = [
    Chart(
        "call-site",
        "ns per operation, logarithmic: less is better",
        "Nanoseconds per operation of",
        {
            "gauge": "gauge.set",
            "counter": "counter.increment",
            "timing": "timing.record",
            "gauge-by-name": "gauge by name",
        },
        "pull: kept in memory until scraped, nothing is sent. By name: two tags known at run time only. "
        "Bare atomics: a relaxed store, a fetch_add.",
        threads=True,
    ),
    Chart(
        "memory",
        "bytes per context, logarithmic: less is better",
        "Bytes per context of",
        {
            "gauge": "gauge",
            "counter": "counter",
            "1": "timing, 1 value",
            "wide": "timing, 1,000 values",
        },
        "Resident after a flush, with one tag. cadence keeps no contexts: its figures are those of its queue.",
        threads=False,
    ),
]
FLOOR = "bare atomics"

NAMES = 240
PANEL = 152
GAP = 26
TOP = 62
ROW = 23
BOTTOM = 44
RADIUS = 4.2

STYLE = """
text { font: 12px system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif; fill: #7d8590 }
.title { font-weight: 600 }
.small { font-size: 10.5px }
.value { font-size: 10.5px }
.grid { stroke: #7d8590; stroke-opacity: .22 }
.dot { fill: #8b949e; stroke: #8b949e }
.ring { fill: none; stroke: #8b949e; stroke-width: 1.5 }
.link { stroke: #8b949e; stroke-width: 1.5; stroke-opacity: .6 }
.floor .dot, .floor .ring, .floor .link { opacity: .55 }
.floor text { font-style: italic }
.ours text { fill: #e8590c; font-weight: 700 }
.ours .dot { fill: #e8590c; stroke: #e8590c }
.ours .ring, .ours .link { stroke: #e8590c; stroke-width: 2.2; stroke-opacity: 1 }
.band { fill: #e8590c; fill-opacity: .09 }
@media (prefers-color-scheme: dark) {
  text { fill: #9198a1 }
  .ours text { fill: #ff8a3d }
  .ours .dot { fill: #ff8a3d; stroke: #ff8a3d }
  .ours .ring, .ours .link { stroke: #ff8a3d }
}
@media (prefers-color-scheme: light) {
  text { fill: #57606a }
}
"""

# The figures by operation and number of threads.
Contestant = namedtuple("Contestant", "name sort figures")


def read(path, chart):
    """The contestants that have any of a chart's panels, in the file's order of sorts: ours, bridge, push, pull, floor."""
    contestants = {}
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            # A bare store finds nothing by name.
            if row["section"] != chart.section or (row["sort"], row["operation"]) == ("floor", "gauge-by-name"):
                continue
            contestant = contestants.setdefault(row["contestant"], Contestant(row["contestant"], row["sort"], {}))
            contestant.figures[row["operation"], int(row["threads"])] = float(row["median"])
    order = ["ours", "bridge", "push", "pull", "floor"]
    shown = [c for c in contestants.values() if any((panel, 1) in c.figures for panel in chart.panels)]
    return sorted(shown, key=lambda c: (order.index(c.sort), typical(c, chart)))


def typical(contestant, chart):
    """What the rows are sorted by: the mean of the logarithms, which no panel dominates."""
    figures = [math.log(contestant.figures[panel, 1]) for panel in chart.panels if (panel, 1) in contestant.figures]
    return sum(figures) / len(figures)


def number(figure):
    digits = 2 if figure < 0.995 else 1 if figure < 9.95 else 0
    return f"{figure:,.{digits}f}"


def decade(figure):
    """A power of ten in little room."""
    thousands, letter = (1e6, "M") if figure >= 1e6 else (1e3, "k") if figure >= 1e3 else (1, "")
    return f"{figure / thousands:g}{letter}"


def label(contestant):
    name = FLOOR if contestant.sort == "floor" else contestant.name.replace("/", " over " if contestant.sort == "bridge" else ", ")
    return f"{name} (pull)" if contestant.sort == "pull" else name


class Scale:
    """From a figure to a place in a panel."""

    def __init__(self, contestants, chart):
        figures = [figure for c in contestants for (panel, _), figure in c.figures.items() if panel in chart.panels]
        self.first = math.floor(math.log10(min(figures)))
        self.last = math.ceil(math.log10(max(figures)))

    def place(self, figure):
        return PANEL * (math.log10(figure) - self.first) / (self.last - self.first)

    def decades(self):
        return [10.0**exponent for exponent in range(self.first, self.last + 1)]


def axis(scale, left, title, bottom):
    yield f'<text class="title" x="{left + PANEL / 2:.1f}" y="42" text-anchor="middle">{escape(title)}</text>'
    for figure in scale.decades():
        x = left + scale.place(figure)
        yield f'<line class="grid" x1="{x:.1f}" y1="{TOP - 8}" x2="{x:.1f}" y2="{bottom}"/>'
        yield f'<text class="small" x="{x:.1f}" y="{bottom + 14}" text-anchor="middle">{decade(figure)}</text>'


def row(contestant, scale, panel, left, y):
    one, two = (contestant.figures.get((panel, threads)) for threads in (1, 2))
    if one is None:
        return
    places = [left + scale.place(figure) for figure in (one, two or one)]
    start, end = min(places), max(places)
    if end - start > 2 * RADIUS:
        yield f'<line class="link" x1="{start + RADIUS:.1f}" y1="{y}" x2="{end - RADIUS:.1f}" y2="{y}"/>'
    if two:
        yield f'<circle class="ring" cx="{places[1]:.1f}" cy="{y}" r="{RADIUS}"/>'
    yield f'<circle class="dot" cx="{places[0]:.1f}" cy="{y}" r="{RADIUS - 1}"/>'
    text = f"{number(one)} / {number(two)}" if two else number(one)
    # Beside the dots, on the side where there is room.
    room = 6.2 * len(text)
    if end + RADIUS + 4 + room < left + PANEL + GAP:
        x, anchor = end + RADIUS + 4, "start"
    else:
        x, anchor = start - RADIUS - 4, "end"
    yield f'<text class="value" x="{x:.1f}" y="{y + 3.7:.1f}" text-anchor="{anchor}">{text}</text>'


def key_of_threads():
    key = NAMES + 2 * (PANEL + GAP)
    yield f'<circle class="dot" cx="{key}" cy="14" r="{RADIUS - 1}"/><text x="{key + 9}" y="18">1 thread</text>'
    yield (
        f'<circle class="ring" cx="{key + 80}" cy="14" r="{RADIUS}"/>'
        f'<text x="{key + 90}" y="18">2 threads on the same metric</text>'
    )


def draw(contestants, chart):
    scale = Scale(contestants, chart)
    width = NAMES + len(chart.panels) * (PANEL + GAP)
    bottom = TOP + ROW * len(contestants)
    height = bottom + BOTTOM
    names = ", ".join(label(c) for c in contestants)
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f' role="img" aria-label="{chart.about} {escape(names)}">'
    )
    yield f"<style>{STYLE}</style>"
    yield f'<text class="title" x="8" y="18">{chart.title}</text>'
    if chart.threads:
        yield from key_of_threads()
    for index, title in enumerate(chart.panels.values()):
        yield from axis(scale, NAMES + index * (PANEL + GAP), title, bottom)
    for index, contestant in enumerate(contestants):
        y = TOP + ROW * index + ROW / 2 - 4
        yield f'<g class="{contestant.sort}">'
        if contestant.sort == "ours":
            yield f'<rect class="band" x="0" y="{y - ROW / 2:.1f}" width="{width}" height="{ROW}" rx="3"/>'
        yield f'<text x="8" y="{y + 4:.1f}">{escape(label(contestant))}</text>'
        for panel, operation in enumerate(chart.panels):
            yield from row(contestant, scale, operation, NAMES + panel * (PANEL + GAP), y)
        yield "</g>"
    yield f'<text class="small" x="8" y="{height - 8}">{chart.note}</text>'
    yield "</svg>"


def main():
    if len(sys.argv) != 2 + len(CHARTS):
        sys.exit(__doc__)
    for chart, path in zip(CHARTS, sys.argv[2:]):
        contestants = read(sys.argv[1], chart)
        if not contestants:
            sys.exit(f"{sys.argv[1]}: no {chart.section} rows")
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(draw(contestants, chart)) + "\n")


if __name__ == "__main__":
    main()
