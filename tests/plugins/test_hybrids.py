"""Hybrids: one paper's features through another's decoder. Each is built, run and taught one step."""

from __future__ import annotations

import pytest
import torch

import toolbox
from tests import plain
from toolbox.discovery import installed
from toolbox.points import decode_at
from toolbox.resolve import resolve
from toolbox.testing.measure import drawn

HYBRIDS = [info.name for info in toolbox.list_architectures() if info.provider == "toolbox_hybrids"]


def restored_size(restorer: toolbox.Restorer, height: int, width: int) -> tuple[int, int]:
    """A size that the hybrid gives: one that is no multiple, where it gives any."""
    return restorer.output_size(height, width, scale=2.5 if restorer.sizes == "any" else None)


@pytest.mark.parametrize("name", HYBRIDS)
def test_a_hybrid_restores_a_picture_in_a_size_that_it_promises(name: str) -> None:
    torch.manual_seed(0)
    restorer = toolbox.build(name).eval()
    size = restored_size(restorer, 10, 12)
    with torch.no_grad():
        restored = restorer(torch.rand(1, restorer.channels, 10, 12), size=size)
    assert restored.shape == (1, restorer.channels, *size)
    assert restored.isfinite().all()


@pytest.mark.parametrize("name", HYBRIDS)
def test_a_step_of_training_moves_every_part_of_a_hybrid(name: str) -> None:
    torch.manual_seed(0)
    restorer = toolbox.build(name).train()
    image = torch.rand(2, restorer.channels, 10, 12)
    features = restorer.encode(restorer.pad(image))
    restored = decode_at(restorer, features, image, restored_size(restorer, 10, 12), None)
    assert len(restored) % len(image) == 0
    restored.square().mean().backward()
    gradients = dict.fromkeys(("encoder", "decoder"), 0.0)
    for parameter_name, parameter in restorer.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name
        gradients[parameter_name.split(".")[0]] += float(parameter.grad.abs().sum())
    assert min(gradients.values()) > 0


def test_there_are_a_dozen_and_more() -> None:
    assert len(HYBRIDS) >= 12
    kinds = {(resolve(name).encoder.to_data()["name"], resolve(name).decoder.name) for name in HYBRIDS}
    assert len(kinds) >= 12


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


@pytest.mark.parametrize("name", ["edsr-diinn", "nlrn-diinn", "nlrn-lm-liif", "span-thera", "feedback-lm-liif"])
def test_hybrids_with_an_implicit_decoder_take_any_size(name: str) -> None:
    assert resolve(name).decoder.config.sizes() == "any"


def test_the_plugin_adds_names_and_no_component() -> None:
    kinds = installed().components.values()
    assert not [info.name for registry in kinds for info in registry if info.provider == "toolbox_hybrids"]


def test_the_small_nlrn_diinn_is_small() -> None:
    with torch.device("meta"):
        small, full = toolbox.build("nlrn-diinn-lite"), toolbox.build("nlrn-diinn")
    sizes = [sum(p.numel() for p in restorer.parameters()) for restorer in (small, full)]
    assert 4 * sizes[0] < 2**20 < sizes[1]  # bytes: it ships inside its plugin
