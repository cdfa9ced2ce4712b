"""Everything that an author of plugins imports. The plugin API promises all names of this module.

A plugin is a module named by an entry point in the group ``toolbox``. It marks its functions with
``hookimpl``::

    from toolbox.plugin import ComponentInfo, EncoderConfig, hookimpl

Within one version of the API these names only grow: a new hook, a new field with a default in a record, a new
method with a default in a config class.
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
from toolbox.decoders.coordinates import (
    Positions,
    clipped_cell,
    grid,
    nearest,
    nearest_upward,
    offset,
    pixel_centers,
    stack,
)
from toolbox.decoders.corners import Corner, along, area_weights, center, corners, covering
from toolbox.decoders.implicit import Content, ImplicitDecoder, assembled
from toolbox.decoders.plain import linear, plain_area_weights, plain_centers, plain_corners, sampled
from toolbox.encoders.edsr import EDSRConfig
from toolbox.encoders.folding import ExpandedConv2d, Foldable, Form, folding_conv, in_parts
from toolbox.encoders.receptive_field import Locality, measured_locality
from toolbox.errors import SpecError, WeightsError
from toolbox.hookspecs import API_VERSION, hookimpl
from toolbox.learning import Degraded, Example, LossInput
from toolbox.luma import LUMA, LUMA_OF_BLACK, luma
from toolbox.nonlocal_blocks.attention import Correlation, attend
from toolbox.nonlocal_blocks.cross_scale import CrossScaleAttention, laid_down, shrunk
from toolbox.nonlocal_blocks.neighborhood import Neighborhood, TopK, Whole, Window
from toolbox.nonlocal_blocks.patches import Grid, attend_patches
from toolbox.nonlocal_blocks.plain import cross_scale_attention, plain_laid_down
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
from toolbox.weights.formats.cross_scale import cross_scale_plan
from toolbox.weights.formats.edsr import MEAN_SHIFT, mean_shift, upsampler_plan

__all__ = [
    "API_VERSION",
    "HALF",
    "LUMA",
    "LUMA_OF_BLACK",
    "MEAN_SHIFT",
    "ArchitectureInfo",
    "Checkpoint",
    "ComponentInfo",
    "Config",
    "Content",
    "Conversion",
    "ConverterInfo",
    "Corner",
    "Correlation",
    "CrossScaleAttention",
    "DatasetInfo",
    "DecoderConfig",
    "DecoderSpec",
    "DegradationInfo",
    "Degraded",
    "EDSRConfig",
    "EncoderConfig",
    "EncoderSpec",
    "Example",
    "ExpandedConv2d",
    "Foldable",
    "Form",
    "Grid",
    "ImplicitDecoder",
    "Locality",
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
    "assembled",
    "attend",
    "attend_patches",
    "center",
    "clipped_cell",
    "corners",
    "covering",
    "cross_scale_attention",
    "cross_scale_plan",
    "encoder_plan",
    "fault",
    "folding_conv",
    "grid",
    "hint_needed",
    "hookimpl",
    "in_parts",
    "laid_down",
    "linear",
    "located",
    "luma",
    "mean_shift",
    "measured_locality",
    "nearest",
    "nearest_upward",
    "offset",
    "pixel_centers",
    "plain_area_weights",
    "plain_centers",
    "plain_corners",
    "plain_laid_down",
    "read_catalog",
    "resize",
    "sampled",
    "shipped",
    "shrunk",
    "stack",
    "upsampler_plan",
]
