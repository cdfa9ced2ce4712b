"""``toolbox noise``: the noise that a network removes from a picture.

Typer turns this function into the command. It imports heavy modules inside, so that --help stays fast.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def noise(
    picture: Annotated[Path, typer.Argument(metavar="PICTURE", help="A noisy picture.")],
    model: Annotated[str, typer.Option("--model", "-m", metavar="MODEL", help="A name or a weights file.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="OUT", help="A picture of the noise, around middle gray.")
    ] = None,
) -> None:
    """Tell how much noise a network takes out of a picture, and show it."""
    import numpy as np
    from PIL import Image

    import toolbox

    with Image.open(picture) as opened:
        noisy = np.asarray(opened.convert("L"), dtype=np.float32) / 255
    difference = noisy - toolbox.restore(noisy, model=model)
    typer.echo(f"{picture}: the noise that {model} takes out has σ = {255 * difference.std():.1f} of 255")
    if output is not None:
        Image.fromarray((255 * (0.5 + difference)).clip(0, 255).astype(np.uint8)).save(output)
        typer.echo(f"wrote {output}")
