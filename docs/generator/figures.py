"""Pictures of specs as SVG: boxes in boxes, with the input on the left and the output on the right.

The same spec always gives the same picture, and colors follow the reader's light or dark theme.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

CHARACTER = 0.602  # width of a character of the monospaced fonts below, over its size
TITLE, TEXT = 13, 11  # font sizes in px
LINE = 16
PAD = 12
GLYPH = 44  # side of the square for a picture

STYLE = """
svg { font-family: ui-monospace, "SFMono-Regular", Menlo, Consolas, "DejaVu Sans Mono", monospace; color: #24292f }
text { fill: currentColor }
.title { font-size: 13px; font-weight: 600 }
.text { font-size: 11px; opacity: .78 }
.slot { font-size: 11px; opacity: .55; font-style: italic }
.arrow { stroke: currentColor; stroke-width: 1.4; fill: none; opacity: .7 }
.dashed { stroke-dasharray: 4 3 }
.glyph { stroke: currentColor; stroke-width: 1.2; fill: currentColor; fill-opacity: .06 }
.grid { stroke: currentColor; stroke-width: .6; opacity: .35; fill: none }
.paper { fill: #fff }
.box { stroke-width: 1.4; fill-opacity: .08 }
.encoder { stroke: #1976d2; fill: #1976d2 } .recurrent-wrapper { stroke: #7b4bc4; fill: #7b4bc4 }
.transition { stroke: #00897b; fill: #00897b } .nonlocal-block { stroke: #d9730d; fill: #d9730d }
.decoder { stroke: #2e8b3d; fill: #2e8b3d } .other { stroke: #78828c; fill: #78828c }
@media (prefers-color-scheme: dark) { svg { color: #e2e5ea } .paper { fill: #1f222b } .box { fill-opacity: .2 } }
"""


@dataclass(frozen=True)
class Box:
    """A component with its settings, and the components inside it by the key that holds them."""

    kind: str
    title: str
    lines: tuple[str, ...] = ()
    inside: tuple[tuple[str, Box], ...] = ()

    @property
    def width(self) -> float:
        """In px."""
        own = [_width(self.title, TITLE), *(_width(line, TEXT) for line in self.lines)]
        return 2 * PAD + max([*own, *(max(box.width, _width(slot, TEXT)) for slot, box in self.inside)])

    @property
    def height(self) -> float:
        """In px."""
        return 30 + LINE * len(self.lines) + sum(24 + box.height for _, box in self.inside) + (10 if self.inside else 4)

    def draw(self, x: float, y: float, width: float | None = None) -> list[str]:
        """Its SVG elements, with the top left corner at (x, y)."""
        width = width or self.width
        place = f'x="{x:g}" y="{y:g}" width="{width:g}" height="{self.height:g}" rx="6"'
        parts = [
            f'<rect class="paper" {place}/><rect class="box {self.kind}" {place}/>',
            text(x + PAD, y + 20, self.title, "title"),
        ]
        parts += [text(x + PAD, y + 37 + LINE * i, line, "text") for i, line in enumerate(self.lines)]
        y += 30 + LINE * len(self.lines)
        for slot, box in self.inside:
            parts += [text(x + PAD, y + 15, slot, "slot"), *box.draw(x + PAD, y + 24, width - 2 * PAD)]
            y += 24 + box.height
        return parts


def box_of(kind: str, data: Mapping[str, Any], kinds: Mapping[str, str]) -> Box:
    """The box of a component's spec as data; ``kinds`` has the kind of each component by name."""
    lines, inside = [], []
    for key, value in data.items():
        if key == "name" or value is None or value in ([], ()):
            continue
        if isinstance(value, Mapping) and "name" in value:
            inside.append((key, box_of(kinds.get(value["name"], "other"), value, kinds)))
        else:
            lines += _wrapped(f"{key}: {_short(value)}")
    return Box(kind, data["name"], tuple(lines), tuple(inside))


def architecture(
    encoder: Box, decoder: Box, image: str, features: str, output: str, notes: Mapping[str, str], description: str
) -> str:
    """An encoder that feeds a decoder.

    Args:
        encoder: its box.
        decoder: its box.
        image: the shape of the input.
        features: the shape between encoder and decoder.
        output: the shape of the output.
        notes: ``normalization``, below the input, and ``skip``, along a line around both.
        description: the picture in words.
    """
    skip = notes.get("skip")
    top = 44 if skip is not None else 12
    height = max(encoder.height, decoder.height, 120)
    middle = top + height / 2
    into, between, out = (max(_width(each, TEXT) + 28, 64) for each in ("", features, ""))
    left = max(_width(image, TEXT), _width(notes.get("normalization", ""), TEXT), GLYPH)
    right = max(_width(output, TEXT), GLYPH)
    parts: list[str] = []

    x = 12.0
    glyph = x + left / 2
    parts += _picture(glyph, middle, [image, notes.get("normalization", "")])
    x += left
    parts += _arrow(max(glyph + GLYPH / 2, x - 12) + 4, middle, x + into - 28)
    x += into - 24
    parts += encoder.draw(x, middle - encoder.height / 2)
    x += encoder.width
    parts += _arrow(x + 4, middle, x + between - 4)
    parts += _sheets(x + between / 2, middle - 34)
    parts.append(text(x + between / 2, middle + 18, features, "text", anchor="middle"))
    x += between
    parts += decoder.draw(x, middle - decoder.height / 2)
    x += decoder.width
    if skip is not None:
        plus = x + 30
        parts += _arrow(x + 4, middle, plus - 11)
        parts.append(f'<circle class="glyph" cx="{plus:g}" cy="{middle:g}" r="9"/>')
        parts.append(text(plus, middle + 4.5, "+", "title", anchor="middle"))
        path = f"M{glyph:g} {middle - GLYPH / 2 - 4:g}V18H{plus:g}V{middle - 11:g}"
        parts.append(f'<path class="arrow" d="{path}" marker-end="url(#head)"/>')
        parts.append(text((glyph + plus) / 2, 34, skip, "text", anchor="middle"))
        x = plus + 9
    parts += _arrow(x + 4, middle, x + out - 28 + max(0, (right - GLYPH) / 2))
    x += out - 24
    parts += _picture(x + right / 2, middle, [output])
    return svg(x + right + 12, top + height + 12, parts, description)


def component(box: Box, inputs: Sequence[str], outputs: Sequence[str], description: str) -> str:
    """One component with its inputs and outputs."""
    rows = max(len(inputs), len(outputs))
    left = max(_width(each, TEXT) for each in inputs) + 24
    right = max(_width(each, TEXT) for each in outputs) + 24
    height = max(box.height, 36 * rows)
    middle = 12 + height / 2
    parts = box.draw(12 + left + 20, middle - box.height / 2)
    for labels, x, width in ((inputs, 12.0, left), (outputs, 12 + left + 20 + box.width, right + 20)):
        for i, label in enumerate(labels):
            y = middle + 36 * (i - (len(labels) - 1) / 2)
            dashed = " or None" in label
            parts += _arrow(x + 4, y, x + (left + 16 if x == 12 else width - 4), dashed=dashed)
            parts.append(text(x + 6, y - 6, label, "text"))
    return svg(12 + left + 20 + box.width + right + 32, height + 24, parts, description)


def _picture(x: float, y: float, labels: Sequence[str]) -> list[str]:
    """A square with a grid, centered, and labels under it."""
    left, top, step = x - GLYPH / 2, y - GLYPH / 2, GLYPH / 4
    lines = "".join(f"M{left + step * i:g} {top:g}v{GLYPH}M{left:g} {top + step * i:g}h{GLYPH}" for i in (1, 2, 3))
    parts = [
        f'<rect class="glyph" x="{left:g}" y="{top:g}" width="{GLYPH}" height="{GLYPH}" rx="3"/>',
        f'<path class="grid" d="{lines}"/>',
    ]
    shown = [label for label in labels if label]
    parts += [text(x, y + GLYPH / 2 + LINE * (i + 1), label, "text", anchor="middle") for i, label in enumerate(shown)]
    return parts


def _sheets(x: float, y: float) -> list[str]:
    """Three sheets behind each other: features."""
    return [
        f'<rect class="glyph" x="{x - 15 + shift:g}" y="{y - 4 + shift:g}" width="22" height="22" rx="2"/>'
        for shift in (8, 4, 0)
    ]


def _arrow(x: float, y: float, to: float, *, dashed: bool = False) -> list[str]:
    style = "arrow dashed" if dashed else "arrow"
    return [f'<path class="{style}" d="M{x:g} {y:g}H{to:g}" marker-end="url(#head)"/>']


def text(x: float, y: float, words: str, style: str, anchor: str = "start") -> str:
    """Words at (x, y)."""
    where = f'x="{x:g}" y="{y:g}"' + (f' text-anchor="{anchor}"' if anchor != "start" else "")
    return f'<text class="{style}" {where}>{escape(words, quote=False)}</text>'


def svg(width: float, height: float, parts: Sequence[str], description: str) -> str:
    """A whole picture of the parts."""
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="0 0 {width:.0f} {height:.0f}"'
    head = (
        '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="currentColor"/></marker>'
    )
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">',
        f"<title>{escape(description, quote=False)}</title>",
        f"<style>{STYLE}</style>",
        f"<defs>{head}</defs>",
        *parts,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _width(text: str, size: float) -> float:
    return CHARACTER * size * len(text)


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        rest = [f"{key} {_short(each)}" for key, each in value.items() if key != "kind"]
        return ", ".join([value["kind"], *rest] if "kind" in value else rest)
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_short, value))
    return {True: "yes", False: "no"}.get(value, str(value)) if isinstance(value, bool) else str(value)


def _wrapped(line: str, most: int = 34) -> list[str]:
    """A line cut at its commas, so that no box is wider than the page."""
    lines = [""]
    for piece in line.split(" "):
        if lines[-1] and len(lines[-1]) + len(piece) > most:
            lines.append("  ")
        lines[-1] += piece if lines[-1] in ("", "  ") else f" {piece}"
    return lines
