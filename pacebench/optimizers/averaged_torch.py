"""NadamW that is evaluated at an average of snapshots of its parameters, in torch.

A snapshot is taken every `interval` steps from step `start` on. Training goes on from the trained
parameters: `eval()` puts the average in place, `train()` puts the trained ones back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from pacebench.backends.base import Hyperparameters, Parameter, Run
from pacebench.optimizers.nadamw_torch import NadamW
from pacebench.schedules import at, table


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshots:
    """When snapshots are taken, and how an average is kept of them."""

    start: int
    """The first step after which a snapshot may be taken."""
    interval: int
    keep: Callable[[torch.Tensor | None, torch.Tensor, int], torch.Tensor]
    """keep(kept, parameter, n_snapshots): what is kept after one more snapshot, `n_snapshots` of
    which were taken before (None: this is the first)."""
    average: Callable[[torch.Tensor, int], torch.Tensor]
    """average(kept, n_snapshots): what is evaluated; at least one was taken."""


class AveragedNadamW(NadamW):
    """NadamW with snapshots; its hyperparameters are NadamW's."""

    def __init__(
        self, parameters: Iterable[torch.Tensor], snapshots: Snapshots, **hyperparameters: Any
    ) -> None:
        super().__init__(parameters, **hyperparameters)
        self._snapshots = snapshots
        for group in self.param_groups:
            group |= {"n_snapshots": 0, "is_averaged": False}

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make a step of NadamW, and take a snapshot if one is due."""
        loss = super().step(closure)
        for group in self.param_groups:
            since_start = group["n_steps"] - self._snapshots.start
            if since_start < 0 or since_start % self._snapshots.interval:
                continue
            for p in group["params"]:
                state, n_taken = self.state[p], group["n_snapshots"]
                state["kept"] = self._snapshots.keep(state.get("kept"), p, n_taken)
            group["n_snapshots"] += 1
        return loss

    @torch.no_grad()
    def eval(self) -> None:
        """Put the average in place; without a snapshot the parameters stay as they are."""
        for group in self.param_groups:
            if group["is_averaged"] or not group["n_snapshots"]:
                continue
            for p in group["params"]:
                state = self.state[p]
                state["trained"] = p.clone()
                p.copy_(self._snapshots.average(state["kept"], group["n_snapshots"]))
            group["is_averaged"] = True

    @torch.no_grad()
    def train(self) -> None:
        """Put the trained parameters back."""
        for group in self.param_groups:
            if group["is_averaged"]:
                for p in group["params"]:
                    p.copy_(self.state[p].pop("trained"))
                group["is_averaged"] = False


def make_averaged(
    parameters: Mapping[str, Parameter],
    hparams: Hyperparameters,
    run: Run,
    snapshots: Callable[[int, int], Snapshots],
) -> tuple[AveragedNadamW, torch.optim.lr_scheduler.LambdaLR]:
    """Give the optimizer and its schedule (warmup and cosine decay to the step hint).

    `snapshots(start, interval)` gives the rule, both counted in steps: the parts `start_factor`
    and `interval_factor` of the step hint, and at least 1.
    """
    optimizer = AveragedNadamW(
        [p.value for p in parameters.values()],
        snapshots(
            max(1, round(hparams.start_factor * run.step_hint)),
            max(1, round(hparams.interval_factor * run.step_hint)),
        ),
        lr=hparams.learning_rate,
        betas=(1 - hparams.one_minus_beta1, hparams.beta2),
        weight_decay=hparams.weight_decay,
    )
    factors = table("cosine", run.step_hint, hparams.warmup_factor)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: at(factors, step))
