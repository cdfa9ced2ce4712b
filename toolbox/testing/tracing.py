"""The rule about traces: a component works in a program that has no Python."""

from __future__ import annotations

import warnings

import torch
from torch.export import Dim

from toolbox.images.engine.tiling import alignment_of
from toolbox.testing.measure import compare_tensors
from toolbox.testing.subject import Subject

CLOSE = 1e-5  # a decoder may take positions for equal that are nearly so, and a program may not


def export(subject: Subject) -> None:
    """torch.export takes it for any batch, height and width, and the exported program gives the same."""
    restorer, aligned = subject.restorer(), alignment_of(subject.spec.encoder.config)
    asked = {"scale": 2} if restorer.sizes == "any" else {}
    shapes = {"image": {0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC}, **dict.fromkeys(asked)}
    traced = subject.image(2 * aligned + 6, 3 * aligned + 7, batch=2)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, of its own parts
        program = torch.export.export(restorer, (traced,), asked, dynamic_shapes=shapes, strict=False).module()
        for height, width, batch in ((3 * aligned + 8, 2 * aligned + 3, 1), (4 * aligned, 5 * aligned + 11, 3)):
            image = subject.image(height, width, batch)
            one = f"the program for {batch} pictures of {height}x{width}"
            compare_tensors(program(image, **asked), restorer(image, **asked), one, "the network", CLOSE)
