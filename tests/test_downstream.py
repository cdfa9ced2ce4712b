"""A restorer in other people's code is a plain module: copied, pickled, moved, exported, compiled."""

from __future__ import annotations

import copy
import pickle
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.fx import GraphModule

import toolbox
from tests.parts import architecture, restorer_of
from toolbox.errors import SpecError
from toolbox.resolve import resolve
from toolbox.restorer import Restorer

WINDOW = {"kind": "window", "size": 3}


def nlrn(**nonlocal_block: Any) -> dict[str, Any]:
    block = {"name": "soft-block-matching", "neighborhood": WINDOW, "embedding_channels": 2, **nonlocal_block}
    transition = {"name": "nonlocal-residual", "channels": 4, "nonlocal": block}
    return {"name": "recurrent", "steps": 2, "transition": transition}


def wang() -> dict[str, Any]:
    block = {"name": "wang-nonlocal", "inner_channels": 2}
    return {"name": "edsr", "channels": 4, "blocks": 1, "nonlocal_after": [0], "nonlocal": block}


# A small setting of each family.
FAMILIES: dict[str, dict[str, Any]] = {
    "nlrn": architecture(nlrn(), "residual-conv", channels=1, global_skip="bicubic"),
    "nlrn-block-matching": architecture(
        nlrn(neighborhood={"kind": "top-k", "size": 3, "k": 4}, propagation="none"), "residual-conv", channels=1
    ),
    "nlrn-whole": architecture(nlrn(neighborhood={"kind": "whole"}), "residual-conv", channels=1),
    "nlrn-lite": architecture(
        {"name": "pixel-unshuffle", "factor": 2, "encoder": nlrn()}, "residual-conv", channels=1, global_skip="bicubic"
    ),
    "nlrn-sr": architecture(
        "identity", {"name": "refine-luma", "encoder": nlrn(propagation="none"), "decoder": "residual-conv"}
    ),
    "nlrn-diinn": architecture(nlrn(), "dual-interactive"),
    "nl-means": architecture(
        {"name": "nonlocal", "nonlocal": {"name": "nl-means", "neighborhood": WINDOW, "patch": 3}}, "features"
    ),
    "wang": architecture(wang(), "pixel-shuffle"),
    "edsr": architecture("edsr", "pixel-shuffle", normalization={"mean": [0.4, 0.5, 0.6]}),
    "rdn": architecture("rdn", "pixel-shuffle"),
    "bicubic": architecture("identity", "bicubic"),
    "diinn-lite": architecture("edsr", "dual-interactive", global_skip="bicubic"),
    "diinn-3x3": architecture(
        "edsr", {"name": "dual-interactive", "hidden": [5, 6], "output_kernel": 3, "initial_synthesis": True}
    ),
    "liif": architecture("edsr", "local-ensemble"),
    "metasr": architecture("rdn", "meta-upscale"),
    "lte": architecture("edsr", "local-texture", global_skip="bilinear"),
    "lm-liif": architecture("edsr", "modulated-ensemble"),
    "lm-lte": architecture("edsr", "modulated-texture", global_skip="bilinear"),
    "lm-ciaosr": architecture("edsr", "modulated-attention"),
    "srno": architecture("edsr", "neural-operator"),
    "ciaosr": architecture("edsr", "implicit-attention", global_skip="bilinear"),
    "thera": architecture("edsr", "heat-field", global_skip="nearest"),
    "swinir": architecture("swinir", "pixel-shuffle-direct"),
    "swinir-real": architecture("swinir", "nearest-conv"),
    "swinir-liif": architecture("swinir", "local-ensemble"),
    "rcan": architecture("rcan", "pixel-shuffle", normalization={"mean": [0.4, 0.5, 0.6], "std": 0.5}),
    "nafnet": architecture("nafnet", "conv", global_skip="bilinear"),
    "nafnet-local": architecture(
        {"name": "nafnet", "channels": 4, "encoder_blocks": [1], "decoder_blocks": [1], "local": [4, 6]}, "conv"
    ),
    "nafnet-sr": architecture("naf", "pixel-shuffle-direct", global_skip="bilinear"),
    "naf-liif": architecture("naf", "local-ensemble"),
    "csnln": architecture("edsr", {"name": "self-exemplars", "steps": 2}),
}
ANY_SIZE = [name for name, spec in FAMILIES.items() if resolve(spec).decoder.config.sizes() == "any"]
SHIPPED = ("nlrn-lite", "nlrn-lite-blind", "diinn-lite")


def given(network: Restorer, batch: int = 1, height: int = 5, width: int = 10) -> tuple[Tensor, dict[str, float]]:
    """An image for the network and the scale to ask of it, if it takes one; sizes with more than one tile."""
    image = torch.rand(batch, network.channels, height, width).to(network.mean)
    return image, ({"scale": 1.5} if network.sizes == "any" else {})


@pytest.fixture(params=[*FAMILIES, *(f"shipped {name}" for name in SHIPPED)])
def network(request: pytest.FixtureRequest) -> Restorer:
    """Each family in float64 with drawn weights, and each network that ships."""
    name: str = request.param
    return toolbox.load(name.split()[1]) if " " in name else restorer_of(FAMILIES[name])


@pytest.fixture(autouse=True)
def _without_gradients() -> Any:
    with torch.no_grad():
        yield


def test_it_is_copied_and_pickled(network: Restorer) -> None:
    image, asked = given(network)
    expected = network(image, **asked)
    network.training_record = {"steps": 3}
    for same in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):  # noqa: S301  # our own bytes
        assert torch.equal(same(image, **asked), expected)
        assert same.spec == network.spec
        assert same.training_record == {"steps": 3}
        assert not same.training
        assert not {p.data_ptr() for p in same.parameters()} & {p.data_ptr() for p in network.parameters()}


def test_its_state_dict_is_all_there_is_to_it(network: Restorer) -> None:
    image, asked = given(network)
    other = toolbox.build(network.spec).to(network.mean).eval()
    other.load_state_dict(network.state_dict())
    assert torch.equal(other(image, **asked), network(image, **asked))
    assert all(isinstance(module, nn.Module) for module in network.modules())


def test_its_shapes_are_known_without_data(network: Restorer) -> None:
    image, asked = given(network)
    expected = network(image, **asked)
    network.to("meta")
    shape = network(image.to("meta"), **asked)
    assert shape.is_meta
    assert shape.shape == expected.shape
    assert shape.dtype == expected.dtype


# bfloat16 keeps 8 bits, and LM-LTE's frequencies multiply the error of its angles.
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-4), (torch.bfloat16, 0.2)])
def test_it_works_in_the_type_that_it_is_moved_to(network: Restorer, dtype: torch.dtype, tolerance: float) -> None:
    image, asked = given(network)
    expected = network(image, **asked)
    restored = network.to(dtype)(image.to(dtype), **asked)
    assert restored.dtype == dtype
    assert (restored.to(expected) - expected).abs().max() < tolerance * expected.abs().max().clamp(min=1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_it_works_on_the_device_that_it_is_moved_to(network: Restorer) -> None:
    image, asked = given(network)
    expected = network(image, **asked)
    restored = network.cuda()(image.cuda(), **asked)
    assert restored.is_cuda
    assert torch.allclose(restored.cpu(), expected, atol=1e-3)
    assert torch.equal(network.cpu()(image, **asked), expected)


def same_as(program: Any, network: Restorer, image: Tensor, asked: Mapping[str, Any]) -> None:
    """Equal but for rounding; untraced, Meta-SR's decoder takes phases as equal that differ by less than 2⁻²⁰."""
    exact = image.dtype == torch.float64 and network.spec.decoder.name != "meta-upscale"
    tolerance = 1e-10 if exact else 2e-5
    torch.testing.assert_close(program(image, **asked), network(image, **asked), atol=tolerance, rtol=tolerance)


DYNAMIC = {0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC}


def exported(network: Restorer) -> ExportedProgram:
    """The network for any batch, height and width."""
    image, asked = given(network, batch=2)
    return torch.export.export(network, (image,), asked, dynamic_shapes={"image": DYNAMIC, **dict.fromkeys(asked)})


@pytest.mark.parametrize("name", FAMILIES)
def test_it_is_exported_for_any_batch_height_and_width(name: str) -> None:
    network = restorer_of(FAMILIES[name])
    program = exported(network).module()
    for shape in ((1, 5, 11), (3, 20, 7), (2, 16, 24)):
        same_as(program, network, *given(network, *shape))


@pytest.mark.parametrize("name", ANY_SIZE)
def test_the_size_of_the_result_may_be_an_input(name: str) -> None:
    network = restorer_of(FAMILIES[name])
    image, _ = given(network, batch=2)
    shapes = {"image": DYNAMIC, "size": (Dim.DYNAMIC, Dim.DYNAMIC)}
    program = torch.export.export(network, (image,), {"size": (9, 13)}, dynamic_shapes=shapes).module()
    for height, width, size in ((6, 9, (11, 29)), (6, 9, (6, 9)), (17, 9, (4, 5)), (8, 16, (16, 3))):
        same_as(program, network, given(network, 1, height, width)[0], {"size": size})


@pytest.mark.parametrize("name", SHIPPED)
def test_what_ships_is_exported(name: str) -> None:
    network = toolbox.load(name)
    program = exported(network).module()
    for shape in ((2, 5, 10), (1, 17, 8)):
        same_as(program, network, *given(network, *shape))


def test_a_recurrent_network_with_windows_is_a_small_program() -> None:
    program = exported(toolbox.build("nlrn-lite").eval())
    assert sum(node.op == "call_function" for node in program.graph.nodes) <= 300


# Its weights are channels last, which torch.export.save takes for slices of something larger.
@pytest.mark.filterwarnings("ignore:No complete tensor found")
def test_an_exported_program_goes_through_a_file(tmp_path: Path) -> None:
    network = restorer_of(FAMILIES["diinn-lite"])
    image, asked = given(network)
    torch.export.save(torch.export.export(network, (image,), asked), tmp_path / "net.pt2")
    same_as(torch.export.load(tmp_path / "net.pt2").module(), network, image, asked)


@pytest.mark.parametrize("name", FAMILIES)
def test_it_is_compiled_once_for_all_sizes(name: str) -> None:
    network = restorer_of(FAMILIES[name])
    graphs = []

    def keep(graph: GraphModule, _: object) -> Any:
        graphs.append(graph)
        return graph.forward

    torch.compiler.reset()
    compiled = torch.compile(network, backend=keep, fullgraph=True, dynamic=True)
    for shape in ((2, 5, 10), (2, 20, 7), (3, 16, 24)):
        same_as(compiled, network, *given(network, *shape))
    assert len(graphs) == 1


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler, and there is none")
def test_it_is_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    network = restorer_of(FAMILIES["edsr"])
    torch.compiler.reset()
    same_as(torch.compile(network), network, *given(network))


def test_a_wrong_size_is_refused_as_before_it_is_traced() -> None:
    network = restorer_of(FAMILIES["edsr"])
    image, _ = given(network)
    with pytest.raises(SpecError, match="expected scale 2"):
        torch.export.export(network, (image,), {"scale": 3})
