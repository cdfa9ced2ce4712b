"""Hybrids: NLRN's or EDSR's features through DIINN's decoder."""

from __future__ import annotations

import pytest
import torch

import toolbox
from tests import plain
from toolbox.discovery import installed
from toolbox.resolve import resolve
from toolbox.testing.measure import drawn

HYBRIDS = ("edsr-diinn", "nlrn-diinn", "nlrn-diinn-lite")


def test_nlrn_s_features_are_decoded_by_diinn() -> None:
    block = {"embedding_channels": 2, "neighborhood": {"size": 3}}
    restorer = drawn(
        toolbox.build(
            "nlrn-diinn",
            encoder={"steps": 2, "transition": {"channels": 3, "nonlocal": block}},
            decoder={"hidden": [4, 4]},
        )
    )
    image = torch.rand(1, 3, 4, 5, dtype=torch.float64)
    features = plain.nlrn_features(restorer.encoder, image, steps=2, size=3, propagation="accumulate")
    expected = plain.dual_interactive(restorer.decoder, features, (7, 9))
    torch.testing.assert_close(restorer(image, size=(7, 9)), expected)


def test_edsr_s_features_are_decoded_by_diinn() -> None:
    restorer = drawn(toolbox.build("edsr-diinn", encoder={"channels": 4, "blocks": 1}, decoder={"hidden": [4, 4]}))
    image = torch.rand(1, 3, 4, 5, dtype=torch.float64)
    features = plain.edsr(restorer.encoder, 2 * image - 1, 1.0)
    expected = plain.dual_interactive(restorer.decoder, features, (7, 9)) / 2 + 0.5
    torch.testing.assert_close(restorer(image, size=(7, 9)), expected)


@pytest.mark.parametrize("name", HYBRIDS)
def test_hybrids_take_any_size_and_come_from_their_plugin(name: str) -> None:
    assert resolve(name).decoder.config.sizes() == "any"
    assert installed().architectures[name].provider == "toolbox_hybrids"


def test_the_plugin_adds_names_and_no_component() -> None:
    kinds = installed().components.values()
    assert not [info.name for registry in kinds for info in registry if info.provider == "toolbox_hybrids"]


def test_the_small_nlrn_diinn_is_small() -> None:
    with torch.device("meta"):
        small, full = toolbox.build("nlrn-diinn-lite"), toolbox.build("nlrn-diinn")
    sizes = [sum(p.numel() for p in restorer.parameters()) for restorer in (small, full)]
    assert 4 * sizes[0] < 2**20 < sizes[1]  # bytes: it ships inside its plugin
