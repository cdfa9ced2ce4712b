"""Galerkin attention: without a softmax, so that keys and values reduce to one small matrix per head."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPSILON = 1e-5  # added to the standard deviation of keys and values

Affine = tuple[Tensor, Tensor]  # weight and bias of a linear layer


class GalerkinLayer(nn.Module):
    """x + outer(GELU(inner(x + attention(x)))) at each position, (N, width) → (N, width).

    In each head, a query q becomes q · M. M is the average of keyᵀ · value over all positions, both normalized over the
    head's channels. Given M, the layer is a function of its own position alone. The part before the GELU is linear in
    x, so it is one matrix for the whole picture, the ``operator``.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.inner, self.outer = nn.Linear(width, width), nn.Linear(width, width)
        shape = 2, heads, width // heads  # of keys, and of values
        self.scale, self.shift = nn.Parameter(torch.ones(shape)), nn.Parameter(torch.zeros(shape))

    def keys_and_values(self) -> Affine:
        """The linear layer x → keys and values, (2 · width), with a mean of zero over each head."""
        weight = torch.cat((self.key.weight, self.value.weight)).unflatten(0, (2 * self.heads, -1))
        bias = torch.cat((self.key.bias, self.value.bias)).unflatten(0, (2 * self.heads, -1))
        return (weight - weight.mean(1, keepdim=True)).flatten(0, 1), (bias - bias.mean(1, keepdim=True)).flatten()

    def products(self, keys_and_values: Tensor) -> Tensor:
        """Σ keyᵀ · value over some positions, (..., N, 2 · width) → (..., heads, d, d)."""
        both = keys_and_values.unflatten(-1, (2, self.heads, -1))
        deviation = (both.square().sum(-1, keepdim=True) / (both.shape[-1] - 1)).sqrt()
        keys, values = (both / (deviation + EPSILON) * self.scale + self.shift).unbind(-3)
        return keys.movedim(-3, -1) @ values.transpose(-3, -2)

    def operator(self, average: Tensor) -> Affine:
        """inner(x + query(x) · average), where ``average`` is M, (..., heads, d, d), as one linear layer."""
        transposed = average.mT  # M multiplies from the right
        weight = (transposed @ self.query.weight.unflatten(0, (self.heads, -1))).flatten(-3, -2)
        bias = (transposed @ self.query.bias.view(self.heads, -1, 1)).flatten(-3)
        weight = weight + torch.eye(weight.shape[-1], dtype=weight.dtype, device=weight.device)
        return self.inner.weight @ weight, F.linear(bias, self.inner.weight, self.inner.bias)

    def forward(self, x: Tensor, transformed: Tensor) -> Tensor:
        """(..., width) twice, x and the operator's result for it → (..., width)."""
        result: Tensor = self.outer(F.gelu(transformed))
        return result + x
