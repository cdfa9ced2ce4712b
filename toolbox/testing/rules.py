"""The rules for every component. Each is a function, whose name and docstring are those of the rule."""

from __future__ import annotations

import inspect
import itertools
import json
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from toolbox.config import CONFIG_OF_KIND
from toolbox.errors import ConformanceError
from toolbox.resolve import resolve
from toolbox.restorer import Restorer
from toolbox.testing.locality import alignment, bands, positions, receptive_field, tiles
from toolbox.testing.measure import compare_tensors
from toolbox.testing.nesting import parts
from toolbox.testing.process import process_state
from toolbox.testing.subject import Subject
from toolbox.testing.tracing import export, onnx
from toolbox.weights.file import load, save

UNCHANGED = 1e-12  # tolerance in float64 for another order of additions


@dataclass(frozen=True)
class Rule:
    """A rule: a function that raises for a subject that breaks it, with its name and sentence."""

    check: Callable[[Any], None]

    @property
    def name(self) -> str:
        return self.check.__name__.strip("_").replace("_", "-")

    @property
    def sentence(self) -> str:
        return str(self.check.__doc__)


def record(subject: Subject) -> None:
    """The record has a name that can be typed, a summary of one line without a period, a paper, and an https URL."""
    info = subject.info
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", info.name):
        raise ConformanceError(f"got the name {info.name!r}, expected lower-case words joined by dashes")
    if not info.summary or "\n" in info.summary or info.summary.endswith("."):
        raise ConformanceError(f"got the summary {info.summary!r}, expected one line without a period")
    if not info.paper:
        raise ConformanceError("got no paper, expected who published it, or 'none: ' and why not")
    check_url(info.url)


def check_url(url: str) -> None:
    """Refuse a URL that a page cannot link to; an empty URL is fine."""
    if url and not re.fullmatch(r"https://[\w.-]+(/\S*)?", url):
        raise ConformanceError(f"got the url {url!r}, expected one that begins with https://, or none")


def docstring(subject: Subject) -> None:
    """The docstrings state the shapes, and the source if there is a paper; the config has a docstring too."""
    info = subject.info
    text = inspect.getdoc(info.factory) or ""
    forward = inspect.getdoc(getattr(info.factory, "forward", None)) or ""
    if "→" not in forward + text and "->" not in forward + text:
        raise ConformanceError("the docstrings say no shapes; expected '(B, C, H, W) → ...'")
    if not info.paper.startswith("none") and "Source:" not in text:
        raise ConformanceError("the docstring names no source; expected 'Source: ' and the paper")
    if not info.config.__dict__.get("__doc__"):
        raise ConformanceError(f"{info.config.__name__} has no docstring; expected one")


def defaults(subject: Subject) -> None:
    """The component builds from its defaults, and a setting without a default has a description."""
    info = subject.info
    required = {name: field for name, field in info.config.model_fields.items() if field.is_required()}
    for name, field in required.items():
        is_component = any("OfKind" in type(mark).__name__ for mark in field.metadata)
        if not (field.description or is_component or "Literal" in str(field.annotation)):
            raise ConformanceError(f"the setting {name!r} has neither a default nor a description")
    if not required:
        with torch.device("meta"):
            Restorer(Subject(info, {}, subject.registries).spec)


def example(subject: Subject) -> None:
    """The example settings build the component; without example settings the defaults do."""
    with torch.device("meta"):
        Restorer(Subject(subject.info, subject.info.example, subject.registries).spec)


def _json(subject: Subject) -> None:
    """The spec as JSON, read back, is an equal spec and builds tensors of the same names and shapes."""
    spec = subject.spec
    again = resolve(json.loads(spec.to_json()), registries=subject.registries)
    if again != spec:
        raise ConformanceError(f"got {again.to_json()} back, expected {spec.to_json()}")
    with torch.device("meta"):
        shapes, expected = (
            {name: tensor.shape for name, tensor in Restorer(each).state_dict().items()} for each in (again, spec)
        )
    if shapes != expected:
        raise ConformanceError("the same settings build other tensors")


def schema(subject: Subject) -> None:
    """The settings have a JSON Schema with a type for each, so that an editor can complete them."""
    from toolbox.schema import component_schema

    properties = json.loads(json.dumps(component_schema(subject.info)))["properties"]
    for name, property_ in properties.items():
        if not {"type", "anyOf", "oneOf", "allOf", "enum", "const", "$ref"} & property_.keys():
            raise ConformanceError(f"the setting {name!r} may be anything, expected an annotation that says its type")
    config = subject.component.config
    if unknown := set(config.model_dump(mode="json")) - set(properties):
        raise ConformanceError(f"the schema has nothing for {', '.join(sorted(unknown))}")


def strict_config(subject: Subject) -> None:
    """The config is frozen and refuses unknown keys."""
    config = subject.info.config
    for option, expected in CONFIG_OF_KIND[subject.info.kind].model_config.items():
        if option in ("frozen", "extra", "allow_inf_nan") and config.model_config.get(option) != expected:
            raise ConformanceError(
                f"{config.__name__} has {option}={config.model_config.get(option)!r}, expected {expected!r}"
            )


def module(subject: Subject) -> None:
    """The component is a torch.nn.Module that agrees with the promises of its config."""
    part = subject.part(subject.restorer())
    if not isinstance(part, nn.Module):
        raise ConformanceError(f"the factory gives a {type(part).__name__}, expected a torch.nn.Module")
    config: Any = subject.component.config
    promised: dict[str, object] = {"receptive_field": config.receptive_field()}
    if subject.info.kind in ("encoder", "recurrent-wrapper"):
        promised["out_channels"] = config.out_channels(subject.spec.channels)
    for name, expected in promised.items():
        if (got := getattr(part, name, expected)) != expected:
            raise ConformanceError(f"the module's {name} is {got}, its config's {expected}")


def channels(subject: Subject) -> None:
    """The output has the number of channels that the config says, for gray, color and other pictures."""
    for count in (1, 2, 3, 4):
        if (spec := subject.fitting(count)) is not None:
            restored = Restorer(spec).eval()(torch.rand(1, count, 6, 6))
            if restored.shape[1] != spec.decoded_channels:
                raise ConformanceError(
                    f"got {restored.shape[1]} channels out of {count}, expected {spec.decoded_channels}"
                )


def sizes(subject: Subject) -> None:
    """Any picture down to one pixel gives a finite result in every size that the component accepts."""
    restorer = subject.restorer()
    for height, width in ((6, 7), (5, 2), (1, 3), (1, 1)):
        for size in subject.sizes(height, width):
            restored = restorer(subject.image(height, width), size=size)
            if tuple(restored.shape[2:]) != size:
                raise ConformanceError(
                    f"got {tuple(restored.shape[2:])} for a picture of {(height, width)}, expected {size}"
                )
            if not restored.isfinite().all():
                raise ConformanceError(f"got values that are not finite, for a picture of {(height, width)}")


def correlation(subject: Subject) -> None:
    """A non-local block takes (features, correlation or None), returns both, and takes its own result again."""
    if subject.info.kind != "nonlocal-block":
        return
    block, (features, _) = subject.part(subject.restorer()), subject.inputs()
    answer = block(features, None)
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise ConformanceError(f"got a {type(answer).__name__}, expected (features, correlation)")
    again, _ = block(*answer)
    if again.shape != features.shape:
        raise ConformanceError(f"got features of shape {tuple(again.shape)}, expected {tuple(features.shape)}")


def batch(subject: Subject) -> None:
    """Pictures of a batch do not see each other."""
    restorer, images = subject.restorer(), subject.image(batch=3)
    for size in subject.sizes(6, 7)[:1]:
        alone = torch.cat([restorer(image[None], size=size) for image in images])
        compare_tensors(restorer(images, size=size), alone, "pictures of a batch", "the same alone")


def memory_layout(subject: Subject) -> None:
    """The layout of the picture in memory does not matter."""
    restorer, image = subject.restorer(), subject.image(batch=2)
    size = subject.sizes(6, 7)[0]
    expected = restorer(image, size=size)
    strided = torch.empty(2, image.shape[1], 6, 14, dtype=image.dtype)[..., ::2].copy_(image)
    for laid in (image.to(memory_format=torch.channels_last), strided):
        compare_tensors(restorer(laid, size=size), expected, "a picture that is not contiguous", "the same contiguous")


def input_unchanged(subject: Subject) -> None:
    """The input is left unchanged."""
    inputs = subject.inputs()
    before = [value.clone() for value in inputs if isinstance(value, Tensor)]
    with torch.no_grad():
        subject.part(subject.restorer())(*inputs)
    for value, old in zip((value for value in inputs if isinstance(value, Tensor)), before, strict=True):
        if not torch.equal(value, old):
            raise ConformanceError("the features that go in are changed in place")


def dtype(subject: Subject) -> None:
    """The output has the type of the input: float64, float32 or bfloat16."""
    for expected in (torch.float64, torch.float32, torch.bfloat16):
        restored = subject.restorer().to(expected)(subject.image().to(expected), size=subject.sizes(6, 7)[0])
        if restored.dtype != expected:
            raise ConformanceError(f"got {restored.dtype}, expected {expected}")


def device(subject: Subject) -> None:
    """The component works on the device of its input and weights, and makes no tensor elsewhere."""
    restorer, shape, size = subject.restorer().float(), subject.image().shape, subject.sizes(6, 7)[0]
    with FakeTensorMode() as mode:
        tensors = itertools.chain(restorer.named_parameters(), restorer.named_buffers())
        moved = {name: mode.from_tensor(tensor).to("cuda") for name, tensor in tensors}
        image = torch.rand(shape, device="cuda")
        restored = torch.func.functional_call(restorer, moved, (image,), {"size": size})
    if restored.device.type != "cuda":
        raise ConformanceError(f"got a result on {restored.device}, expected it on the input's device")


def deterministic(subject: Subject) -> None:
    """One seed builds one network, and in eval mode one picture has one result."""
    image, size = subject.image(), subject.sizes(6, 7)[0]
    built = []
    for _ in range(2):
        torch.manual_seed(1)
        built.append(Restorer(subject.spec).double().eval())
    for (name, first), second in zip(built[0].state_dict().items(), built[1].state_dict().values(), strict=True):
        if not torch.equal(first, second):
            raise ConformanceError(f"{name} differs between two networks built from one seed")
    restorer = subject.restorer()
    if not torch.equal(restorer(image, size=size), restorer(image, size=size)):
        raise ConformanceError("the same picture gave two results")


def state_dict(subject: Subject) -> None:
    """The state dict holds everything: another network with the same settings gives the same after loading it."""
    one, other, image, size = subject.restorer(1), subject.restorer(2), subject.image(), subject.sizes(6, 7)[0]
    other.load_state_dict(one.state_dict())
    compare_tensors(other(image, size=size), one(image, size=size), "a network that loaded a state dict", "the first")


def weights_file(subject: Subject) -> None:
    """A saved network is the same after loading it, bit for bit."""
    restorer, image, size = subject.restorer(), subject.image(), subject.sizes(6, 7)[0]
    if not restorer.state_dict():
        return  # a file without a tensor is none
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "network.safetensors")
        save(restorer, path)
        again = load(path, registries=subject.registries)
    if again.spec != restorer.spec:
        raise ConformanceError("the spec that is loaded is another than was saved")
    for name, tensor in restorer.state_dict().items():
        if not torch.equal(again.state_dict()[name], tensor):
            raise ConformanceError(f"{name} that is loaded is another than was saved")
    compare_tensors(
        again(image, size=size), restorer(image, size=size), "the network that was saved and loaded", "the first"
    )


def gradients(subject: Subject) -> None:
    """The component can be trained: the gradient reaches every weight and the picture."""
    restorer, size = subject.restorer(), subject.sizes(6, 7)[0]
    # Far from the range of pictures, so that every PReLU of a few channels has inputs below zero.
    image = (9 * subject.image(batch=2) - 4).requires_grad_()
    if not restorer.train()(image, size=size).isfinite().all():
        raise ConformanceError("got values that are not finite in training mode")
    restored = restorer.eval()(image, size=size)  # because batch norm in training removes the effect of a bias
    if not restored.requires_grad:
        raise ConformanceError("the result has no gradient")
    (restored * torch.rand_like(restored)).sum().backward()
    trainable = ((name, weight) for name, weight in restorer.named_parameters() if weight.requires_grad)
    for name, tensor in (("the picture", image), *trainable):
        if tensor.grad is None or tensor.grad.abs().max() < UNCHANGED:
            raise ConformanceError(f"no gradient reaches {name}")


def global_state(subject: Subject) -> None:
    """The component changes no global state: random states, torch's switches, the environment, the path."""
    image, size = subject.image(), subject.sizes(6, 7)[0]
    before = process_state()
    after_seed = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        restorer = Restorer(subject.spec).double().eval()
        after_seed.append(torch.get_rng_state())
    if torch.equal(*after_seed):
        raise ConformanceError("building it seeds torch's random numbers")
    torch.manual_seed(0)
    state = torch.get_rng_state()
    restorer(image, size=size)
    if not torch.equal(torch.get_rng_state(), state):
        raise ConformanceError("in eval mode it draws from torch's random numbers")
    after = process_state()
    if touched := [name for name in before if before[name] != after[name]]:
        raise ConformanceError(f"it changes {', '.join(touched)}")


def plain(subject: Subject) -> None:
    """The plain version, if there is one, agrees to 1e-5."""
    info = subject.info
    if info.plain is None:
        return
    part, inputs = subject.part(subject.restorer()), [value for value in subject.inputs() if value is not None]
    answers = (part(*inputs), info.plain(part, *inputs))
    fast, slow = (answer[0] if isinstance(answer, tuple) else answer for answer in answers)
    compare_tensors(fast, slow, "the component", "its plain version", 1e-5)


RULES = tuple(
    map(
        Rule,
        (
            record,
            docstring,
            defaults,
            example,
            _json,
            parts,
            schema,
            strict_config,
            module,
            channels,
            sizes,
            correlation,
            receptive_field,
            alignment,
            tiles,
            positions,
            bands,
            batch,
            memory_layout,
            input_unchanged,
            dtype,
            device,
            deterministic,
            state_dict,
            weights_file,
            gradients,
            export,
            onnx,
            global_state,
            plain,
        ),
    )
)
