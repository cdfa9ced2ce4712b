"""Programs that load networks with spandrel load those that ``toolbox export --to spandrel`` writes."""

from __future__ import annotations

import warnings
from typing import Any

from toolbox.errors import WeightsError
from toolbox.programs.one_scale import RGB, TEXTS, read_one_scale

NAME = "Toolbox"  # of the architecture among spandrel's


def install(registry: Any = None) -> None:
    """Add Toolbox to the architectures that spandrel's ``ModelLoader`` knows; a second call changes nothing.

    Args:
        registry: the ``spandrel.ArchRegistry`` to add it to; by default the one that loaders use.

    Raises:
        WeightsError: spandrel is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torchvision, about its own old parts
            import spandrel
    except ModuleNotFoundError as error:
        raise WeightsError(
            f"this needs {error.name}, which is not installed; pip install 'toolbox-restoration[spandrel]'"
        ) from None

    class Toolbox(spandrel.Architecture[Any]):  # type: ignore[misc]  # spandrel declares no types
        """Networks of Toolbox, recognized by the tensor that holds their spec."""

        def __init__(self) -> None:
            super().__init__(id=NAME, detect=lambda state: TEXTS in state)

        def load(self, state_dict: dict[str, Any]) -> spandrel.ImageModelDescriptor[Any]:
            model = read_one_scale(state_dict)
            tiles = spandrel.ModelTiling.SUPPORTED
            if model.network.receptive_field is None:
                tiles = spandrel.ModelTiling.DISCOURAGED
            return spandrel.ImageModelDescriptor(
                model,
                state_dict,
                architecture=self,
                purpose="Restoration" if model.scale == 1 else "SR",
                tags=[model.network.spec.encoder.name, model.network.spec.decoder.name],
                supports_half=True,
                supports_bfloat16=True,
                scale=model.scale,
                input_channels=RGB,
                output_channels=RGB,
                tiling=tiles,
            )

    registry = spandrel.MAIN_REGISTRY if registry is None else registry
    # Ours is asked first, because others recognize networks by few names of tensors.
    others = tuple(each.architecture.id for each in registry if each.architecture.id != NAME)
    registry.add(spandrel.ArchSupport.from_architecture(Toolbox(), before=others), ignore_duplicates=True)
