"""A bidirectional LSTM layer in torch: AlgoPerf jax's parameters, torch's own fast kernels.

c' = σ(f) c + σ(i) tanh(g), h' = σ(o) tanh(c'), where every gate is W_i x + W_h h + b_h. torch's
kernels have a second bias, W_i's, which is 0 here and no parameter.

Letters: B batch, T positions, D width, H units of a direction, G the four gates' units.
"""

from __future__ import annotations

import torch
from torch import nn

from pacebench.backends.layers_torch import lecun_normal_
from pacebench.backends.linear_torch import Linear
from workloads.librispeech.deepspeech import DIRECTIONS, GATES


class Cell(nn.Module):
    """The parameters of one direction, gate by gate.

    Names are longer than jax's: torch's compiler trips over a module called "if".
    """

    def __init__(self, n_in: int, n_units: int) -> None:
        super().__init__()
        for gate in GATES:
            layer = Linear(n_in, n_units, bias=False)
            lecun_normal_(layer.weight, n_in)
            self.add_module(f"input_{gate}", layer)
        for gate in GATES:
            layer = Linear(n_units, n_units)
            nn.init.orthogonal_(layer.weight)
            nn.init.zeros_(layer.bias)
            self.add_module(f"state_{gate}", layer)

    def weights(self) -> list[torch.Tensor]:
        """Give W_i [G, D], W_h [G, H], b_i [G] and b_h [G], as torch's kernels take them."""
        from_input = [self.get_submodule(f"input_{gate}") for gate in GATES]
        from_state = [self.get_submodule(f"state_{gate}") for gate in GATES]
        bias_G = torch.cat([layer.bias for layer in from_state])
        return [
            torch.cat([layer.weight for layer in from_input]),
            torch.cat([layer.weight for layer in from_state]),
            torch.zeros_like(bias_G),
            bias_G,
        ]


class BidirectionalLstm(nn.Module):
    """One LSTM from the first position on and one from the last that is not padding."""

    def __init__(self, n_in: int, n_units: int) -> None:
        super().__init__()
        self.n_units = n_units
        self.forwards, self.backwards = (Cell(n_in, n_units) for _ in DIRECTIONS)

    def forward(self, x_BTD: torch.Tensor, paddings_BT: torch.Tensor) -> torch.Tensor:
        """Give [B, T, 2H], the forward direction first, 0 at padding."""
        mask_BT1 = (1 - paddings_BT)[..., None]
        turned_BT = turned_positions(paddings_BT)
        ahead_BTH = self._run(x_BTD, self.forwards)
        back_BTH = _at(self._run(_at(x_BTD, turned_BT), self.backwards), turned_BT)
        return torch.cat([ahead_BTH, back_BTH], dim=-1) * mask_BT1

    def _run(self, x_BTD: torch.Tensor, cell: Cell) -> torch.Tensor:
        start = x_BTD.new_zeros(1, len(x_BTD), self.n_units)
        y_BTH, _, _ = torch.lstm(
            x_BTD,
            (start, start),
            cell.weights(),
            has_biases=True,
            num_layers=1,
            dropout=0.0,
            train=self.training,
            bidirectional=False,
            batch_first=True,
        )
        return y_BTH


def turned_positions(paddings_BT: torch.Tensor) -> torch.Tensor:
    """Give where each position goes when an example is turned round and its padding stays last."""
    lengths_B1 = (1 - paddings_BT).sum(1, keepdim=True).long()
    at_1T = torch.arange(paddings_BT.shape[1], device=paddings_BT.device)[None]
    return torch.where(at_1T < lengths_B1, lengths_B1 - 1 - at_1T, at_1T)


def _at(x_BTD: torch.Tensor, positions_BT: torch.Tensor) -> torch.Tensor:
    return x_BTD.gather(1, positions_BT[..., None].expand_as(x_BTD))
