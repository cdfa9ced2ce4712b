"""The core's own components, registered through the same hook as every plugin's."""

from __future__ import annotations

from collections.abc import Iterable

from toolbox import catalog
from toolbox.decoders.bicubic import BICUBIC
from toolbox.decoders.conv import CONV
from toolbox.decoders.features import FEATURES
from toolbox.decoders.mixed_states import MIXED_STATES
from toolbox.decoders.nearest_conv import NEAREST_CONV
from toolbox.decoders.pixel_shuffle import PIXEL_SHUFFLE
from toolbox.decoders.pixel_shuffle_direct import PIXEL_SHUFFLE_DIRECT
from toolbox.decoders.residual_conv import RESIDUAL_CONV
from toolbox.degradations.camera_noise import CAMERA_NOISE
from toolbox.degradations.correlated_noise import CORRELATED_NOISE
from toolbox.degradations.eight_bits import EIGHT_BITS
from toolbox.degradations.jpeg import JPEG
from toolbox.degradations.noise import GAUSSIAN_NOISE
from toolbox.degradations.one_of import ONE_OF
from toolbox.degradations.reduction import BICUBIC_REDUCTION
from toolbox.encoders.chain import CHAIN
from toolbox.encoders.convolutions import CONVOLUTIONS
from toolbox.encoders.edsr import EDSR_ENCODER
from toolbox.encoders.identity import IDENTITY
from toolbox.encoders.nonlocal_only import NONLOCAL_ONLY
from toolbox.encoders.parallel import PARALLEL
from toolbox.encoders.pixel_unshuffle import PIXEL_UNSHUFFLE
from toolbox.encoders.rdn import RDN_ENCODER
from toolbox.encoders.residual import RESIDUAL
from toolbox.encoders.timm_pyramid import TIMM_PYRAMID
from toolbox.encoders.with_nonlocal import WITH_NONLOCAL
from toolbox.hookspecs import hookimpl
from toolbox.losses.distill import DISTILL
from toolbox.losses.frequency import FREQUENCY
from toolbox.losses.pixelwise import CHARBONNIER, L1, MSE
from toolbox.losses.ssim import SSIM
from toolbox.nonlocal_blocks.nl_means import NL_MEANS
from toolbox.nonlocal_blocks.soft_block_matching import SOFT_BLOCK_MATCHING
from toolbox.nonlocal_blocks.wang import WANG_NONLOCAL
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
from toolbox.recurrent.encoder_transition import ENCODER_TRANSITION
from toolbox.recurrent.recurrent import RECURRENT
from toolbox.weights.formats.edsr import EDSR_FORMAT
from toolbox.weights.formats.one_scale import ONE_SCALE_FORMAT
from toolbox.weights.formats.rdn import RDN_FORMAT


@hookimpl
def toolbox_components() -> Iterable[ComponentInfo]:
    """Every component of the core."""
    return [
        BICUBIC,
        CHAIN,
        CONV,
        CONVOLUTIONS,
        EDSR_ENCODER,
        ENCODER_TRANSITION,
        FEATURES,
        IDENTITY,
        MIXED_STATES,
        NEAREST_CONV,
        NL_MEANS,
        NONLOCAL_ONLY,
        PARALLEL,
        PIXEL_SHUFFLE,
        PIXEL_SHUFFLE_DIRECT,
        PIXEL_UNSHUFFLE,
        RDN_ENCODER,
        RECURRENT,
        RESIDUAL,
        RESIDUAL_CONV,
        SOFT_BLOCK_MATCHING,
        TIMM_PYRAMID,
        WANG_NONLOCAL,
        WITH_NONLOCAL,
    ]


@hookimpl
def toolbox_architectures() -> Iterable[ArchitectureInfo]:
    """Every architecture that needs only components of the core."""
    return catalog.shipped("toolbox")


@hookimpl
def toolbox_converters() -> Iterable[ConverterInfo]:
    """Published checkpoints of the core's own networks, and networks that were exported for spandrel."""
    return [EDSR_FORMAT, ONE_SCALE_FORMAT, RDN_FORMAT]


@hookimpl
def toolbox_protocols() -> Iterable[ProtocolInfo]:
    """The usual protocols of denoising and super-resolution."""
    from toolbox.evaluation.protocols import PROTOCOLS

    return PROTOCOLS


@hookimpl
def toolbox_degradations() -> Iterable[DegradationInfo]:
    """The degradations of the papers, and those that come from cameras and from saving a picture."""
    return [BICUBIC_REDUCTION, CAMERA_NOISE, CORRELATED_NOISE, EIGHT_BITS, GAUSSIAN_NOISE, JPEG, ONE_OF]


@hookimpl
def toolbox_metrics() -> Iterable[MetricInfo]:
    """The usual metrics."""
    from toolbox.evaluation.metrics import METRICS

    return METRICS


@hookimpl
def toolbox_losses() -> Iterable[LossInfo]:
    """Losses of pixels, frequencies and structure, and learning from another network."""
    return [CHARBONNIER, DISTILL, FREQUENCY, L1, MSE, SSIM]


@hookimpl
def toolbox_datasets() -> Iterable[DatasetInfo]:
    """Pictures and pairs in folders and archives."""
    from toolbox.datasets.folders import PAIRS, PICTURES
    from toolbox.datasets.hub import HUGGING_FACE
    from toolbox.datasets.shards import WEBDATASET

    return [HUGGING_FACE, PAIRS, PICTURES, WEBDATASET]
