"""Drawings of the explanations: a tile and the region that its windows share, and the phases of positions."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from generator.figures import svg, text

TILE, WINDOW = 4, 7  # smaller than the real ones, to be visible
REGION = TILE + WINDOW - 1
CELL = 16
COLORS = ("#1976d2", "#d9730d", "#2e8b3d", "#7b4bc4", "#c2185b")


def pages() -> Iterator[tuple[str, str]]:
    """(path, text) of every drawing."""
    yield "explanation/region.svg", _region()
    yield "explanation/phases.svg", _phases()


def _region() -> str:
    """Left: a tile in its region, the windows of two queries, the region of the next tile. Right: the mask."""
    left, top = 14.0, 34.0
    side = REGION * CELL
    margin = WINDOW // 2 * CELL
    parts = [text(left, 20, f"{TILE} × {TILE} queries, their region", "title")]
    parts += [
        _rect(left, top, side, side, "#78828c", 0.08),
        f'<path class="grid" d="{_grid(left, top, REGION, REGION, CELL)}"/>',
        _rect(left + margin, top + margin, TILE * CELL, TILE * CELL, COLORS[0], 0.3),
        _rect(left + 1, top + 1, WINDOW * CELL - 2, WINDOW * CELL - 2, COLORS[1], 0.07, line=2.2),
        _rect(
            left + (TILE - 1) * CELL + 1,
            top + (TILE - 1) * CELL + 1,
            WINDOW * CELL - 2,
            WINDOW * CELL - 2,
            COLORS[2],
            0.07,
            line=2.2,
        ),
    ]
    for corner, color in ((0, COLORS[1]), (TILE - 1, COLORS[2])):
        place = margin + (corner + 0.5) * CELL
        parts.append(f'<circle cx="{left + place:g}" cy="{top + place:g}" r="5" fill="{color}"/>')
    shift = TILE * CELL
    parts.append(
        f'<rect class="arrow dashed" x="{left:g}" y="{top + shift:g}" width="{side:g}" height="{side:g}" rx="2"/>'
    )
    parts.append(text(left, top + side + shift + 18, f"dashed: the region of the next tile, {TILE} rows on", "text"))

    x, step = left + side + 110, 4.0
    parts.append(text(x, 20, f"the mask: {TILE**2} queries × {REGION**2} keys", "title"))
    height, width = TILE**2 * 10, REGION**2 * step
    parts.append(_rect(x, top, width, height, "#78828c", 0.08))
    for query in range(TILE**2):
        row, column = divmod(query, TILE)
        color = {0: COLORS[1], TILE**2 - 1: COLORS[2]}.get(query, COLORS[0])
        for y in range(row, row + WINDOW):
            start = x + (y * REGION + column) * step
            parts.append(_rect(start, top + query * 10 + 1, WINDOW * step, 8, color, 0.55, line=0))
    parts.append(text(x, top + height + 18, "filled: 0, inside the query's window; empty: −∞", "text"))
    description = (
        "A tile of queries in the region that its windows share, with the windows of its first and last query; "
        "beside it the mask, one row for each query, filled where a key is in its window"
    )
    return svg(x + width + 14, top + side + shift + 30, parts, description)


def _phases() -> str:
    """Output pixels over feature pixels along one axis, colored by their place in the feature pixel."""
    parts: list[str] = []
    y = 14.0
    for scale in (Fraction(2), Fraction(3), Fraction(5, 2)):
        inputs, size = 8, 72
        parts.append(text(14, y + 24, f"×{float(scale):g}", "title"))
        parts += [_rect(60 + i * size, y, size, 36, "#78828c", 0.08, line=1) for i in range(inputs)]
        seen: dict[Fraction, str] = {}
        for output in range(int(inputs * scale)):
            center = (output + Fraction(1, 2)) / scale
            place = center % 1
            color = seen.setdefault(place, COLORS[len(seen) % len(COLORS)])
            parts.append(f'<circle cx="{60 + float(center) * size:g}" cy="{y + 18:g}" r="6" fill="{color}"/>')
        parts.append(text(60 + inputs * size + 14, y + 22, f"{len(seen)} phases", "text"))
        y += 52
    description = "Output pixels over feature pixels at scales 2, 3 and 2.5: there are 2, 3 and 5 places within one"
    return svg(60 + 8 * 72 + 110, y, parts, description)


def _rect(x: float, y: float, width: float, height: float, color: str, opacity: float, line: float = 1.4) -> str:
    place = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"'
    stroke = f'stroke="{color}" stroke-width="{line:g}"' if line else 'stroke="none"'
    return f'<rect {place} rx="2" fill="{color}" fill-opacity="{opacity:g}" {stroke}/>'


def _grid(x: float, y: float, columns: int, rows: int, cell: float) -> str:
    down = "".join(f"M{x + i * cell:g} {y:g}v{rows * cell:g}" for i in range(columns + 1))
    return down + "".join(f"M{x:g} {y + i * cell:g}h{columns * cell:g}" for i in range(rows + 1))
