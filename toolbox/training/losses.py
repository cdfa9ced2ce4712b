"""The loss of a recipe: a weighted sum of losses."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from toolbox.blame import blamed, broken
from toolbox.choice import Choice
from toolbox.learning import LossInput


class WeightedLosses(nn.Module):
    """The weighted sum of losses, each of which may have parameters of its own.

    Args:
        choices: the losses of a recipe.
        restorer: the trained network.

    Raises:
        SpecError: a loss does not fit the network.
        PluginError: a loss cannot be made.
    """

    def __init__(self, choices: Sequence[Choice], restorer: nn.Module | None) -> None:
        super().__init__()
        self.choices = choices
        self.losses = []
        self.trained = nn.ModuleDict()
        for number, choice in enumerate(choices):
            with blamed(f"loss {choice.info.name!r}", choice.info.provider):
                loss = choice.info.factory(choice.config, restorer)
            self.losses.append(loss)
            if isinstance(loss, nn.Module):
                self.trained[str(number)] = loss

    def forward(self, given: LossInput) -> Tensor:
        """A restored batch → one number."""
        total = given.restored.new_zeros(())
        for choice, loss in zip(self.choices, self.losses, strict=True):
            what, provider = f"loss {choice.info.name!r}", choice.info.provider
            with blamed(what, provider):
                value = loss(given)
            if not isinstance(value, Tensor) or value.ndim or not value.is_floating_point():
                got = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
                raise broken(what, provider, got, "a tensor with one number")
            total = total + choice.weight * value
        return total

    def kept(self) -> dict[str, Tensor]:
        """The state that changes as the losses learn: their trained weights and buffers."""
        own = {name for name, parameter in self.named_parameters() if not parameter.requires_grad}
        return {name: tensor for name, tensor in self.state_dict().items() if name not in own}
