"""A plugin of Toolbox: a converter for published checkpoints of one convolution."""

from toolbox.plugin import Checkpoint, Config, Conversion, ConverterInfo, hookimpl

TOOLBOX_API = 1


class MinimalHints(Config):
    """No hints: the tensors leave nothing open."""


def recognize(checkpoint: Checkpoint) -> bool:
    """Whether the tensors are those of this format."""
    return checkpoint.tensors.keys() == {"minimal.weight", "minimal.bias"}


def plan(checkpoint: Checkpoint, hints: MinimalHints) -> Conversion:
    """The network of these weights, and the published tensor for each of its own."""
    channels, _, kernel_size, _ = checkpoint.shape("minimal.weight")
    spec = {
        "summary": "converted from one published convolution",
        "channels": channels,
        "encoder": "identity",
        "decoder": {"name": "conv", "kernel_size": kernel_size},
    }
    return Conversion(spec, {f"decoder.conv.{key}": f"minimal.{key}" for key in ("weight", "bias")})


@hookimpl
def toolbox_converters() -> list[ConverterInfo]:
    """``toolbox convert`` can read these formats."""
    return [ConverterInfo("minimal", recognize, plan, MinimalHints, "checkpoints of one convolution")]
