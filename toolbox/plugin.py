"""All that an author of plugins needs, from one module; what is here, the plugin API promises.

A plugin is a module named by an entry point in the group ``toolbox``, whose functions are marked with
``hookimpl``::

    from toolbox.plugin import ComponentInfo, EncoderConfig, hookimpl

Within one version of the API these names only grow: a hook is added, a record gets a field with a default, a
config class a method with one.
"""

from toolbox.catalog import read_catalog, shipped
from toolbox.config import (
    Config,
    DecoderConfig,
    EncoderConfig,
    LossConfig,
    NonLocalConfig,
    Padding,
    TransitionConfig,
    fault,
    located,
)
from toolbox.conversion import Checkpoint, Conversion, TensorSource, hint_needed
from toolbox.decoders.coordinates import Positions, grid, nearest, offset, pixel_centers, stack
from toolbox.decoders.corners import Corner, along, area_weights, corners
from toolbox.decoders.implicit import Content, ImplicitDecoder
from toolbox.decoders.plain import linear, plain_area_weights, plain_centers, plain_corners, sampled
from toolbox.errors import SpecError, WeightsError
from toolbox.hookspecs import API_VERSION, hookimpl
from toolbox.learning import Degraded, Example, LossInput
from toolbox.luma import LUMA, LUMA_OF_BLACK, luma
from toolbox.nonlocal_blocks.attention import Correlation, attend
from toolbox.nonlocal_blocks.neighborhood import Neighborhood, TopK, Whole, Window
from toolbox.records import (
    ArchitectureInfo,
    ComponentInfo,
    ConverterInfo,
    DatasetInfo,
    DegradationInfo,
    LossInfo,
    MetricInfo,
    ProtocolInfo,
)
from toolbox.recurrent.per_state import PerStateBatchNorm2d
from toolbox.resize import resize
from toolbox.spec import DecoderSpec, EncoderSpec, NonLocalSpec, TransitionSpec
from toolbox.weights.formats.any_encoder import HALF, encoder_plan

__all__ = [
    "API_VERSION",
    "HALF",
    "LUMA",
    "LUMA_OF_BLACK",
    "ArchitectureInfo",
    "Checkpoint",
    "ComponentInfo",
    "Config",
    "Content",
    "Conversion",
    "ConverterInfo",
    "Corner",
    "Correlation",
    "DatasetInfo",
    "DecoderConfig",
    "DecoderSpec",
    "DegradationInfo",
    "Degraded",
    "EncoderConfig",
    "EncoderSpec",
    "Example",
    "ImplicitDecoder",
    "LossConfig",
    "LossInfo",
    "LossInput",
    "MetricInfo",
    "Neighborhood",
    "NonLocalConfig",
    "NonLocalSpec",
    "Padding",
    "PerStateBatchNorm2d",
    "Positions",
    "ProtocolInfo",
    "SpecError",
    "TensorSource",
    "TopK",
    "TransitionConfig",
    "TransitionSpec",
    "WeightsError",
    "Whole",
    "Window",
    "along",
    "area_weights",
    "attend",
    "corners",
    "encoder_plan",
    "fault",
    "grid",
    "hint_needed",
    "hookimpl",
    "linear",
    "located",
    "luma",
    "nearest",
    "offset",
    "pixel_centers",
    "plain_area_weights",
    "plain_centers",
    "plain_corners",
    "read_catalog",
    "resize",
    "sampled",
    "shipped",
    "stack",
]
