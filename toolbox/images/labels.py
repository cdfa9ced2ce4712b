"""Draw text on a sheet of pictures, fitted to a width."""

from __future__ import annotations

import functools

from PIL import ImageDraw, ImageFont

LINES = 2  # at most, of a label


def draw_label(
    draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, width: int, size: int, color: str = "black"
) -> None:
    """Write text of ``size`` pixels in at most two lines of ``width`` pixels; longer text ends in an ellipsis."""
    draw.multiline_text(at, "\n".join(_fitted(text, width, size)), color, _font(size), spacing=size // 4)


def label_height(text: str, width: int, size: int) -> int:
    """The height that ``draw_label`` needs, in pixels."""
    return len(_fitted(text, width, size)) * (size + size // 4)


def _fitted(text: str, width: int, size: int) -> list[str]:
    """Break text into lines of at most ``width``, between words, or within a word that is longer than a line."""
    lines = [""]
    for word in text.split():
        joined = f"{lines[-1]} {word}".strip()
        if _font(size).getlength(joined) <= width:
            lines[-1] = joined
        elif _font(size).getlength(word) <= width:
            lines.append(word)
        else:
            for letter in f" {word}" if lines[-1] else word:
                if _font(size).getlength(lines[-1] + letter) > width:
                    lines.append("")
                lines[-1] += letter
    if len(lines) > LINES:
        last = lines[LINES - 1]
        while last and _font(size).getlength(f"{last}…") > width:
            last = last[:-1]
        lines = [*lines[: LINES - 1], f"{last}…"]
    return lines


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
