"""What the five losses mean in both frameworks: AlgoPerf's way of summing, counting and masking.

B batch, C classes, K labels, N values per example, T frames, L target tokens, U the axes of the
units that are summed: whatever `outputs` has before its classes, or is labelled by.

| loss                  | `targets`                              | `outputs`            | unit |
|-----------------------|----------------------------------------|----------------------|------|
| softmax_cross_entropy | classes [U], or distributions [U, C]   | logits [U, C]        | U    |
| sigmoid_cross_entropy | 0, 1 or between, [B] or [B, ..., K]    | logits, same shape   | each |
| mean_squared_error    | [B, ...]                               | same shape           | B    |
| mean_absolute_error   | [B, ...]                               | same shape           | B    |
| ctc                   | (tokens [B, L], paddings [B, L])       | (logits [B, T, C],   | B    |
|                       |                                        | paddings [B, T])     |      |

Targets and masks may be of any number type, or bool; outputs of any float type. All is computed in
float32 and given as float32. Paddings are 1 where there is padding, which comes last; CTC's blank
is class 0.

`mask`: weights of the units. Its shape is that of the unit's leading axes, [B] at the least, and it
is repeated over the other axes; without it every weight is 1. `per_example` (shape: the units) is
weighted, `summed` is its sum, and `n_valid_examples` is the sum of the weights: of examples, tokens
or labels. CTC counts target tokens: Σ weight · tokens. Where a weight is 0 the targets may hold
anything (-1, NaN).

`label_smoothing` a: softmax uses (1-a)·target + a/C; sigmoid uses (1-a)·target + a/K over its K > 1
labels (ogbg's rule) and ignores a with one label (criteo's); the others ignore it.

The regression losses are means over an example's values. CTC is not divided by any length. Where
tokens cannot be aligned, because there is less than a frame per token and per blank between equal
tokens, it is finite, in both frameworks what optax's `ctc_loss` gives: an alignment may break the
rules for 10⁵ each time, so the loss is about 10⁵ and has a gradient.

Source: AlgoPerf v0.6, the workloads' `loss_fn`. We differ: CTC counts 0 tokens in an empty batch
(AlgoPerf at least 1), and masked CTC counts the tokens of the examples that are left (AlgoPerf
counts examples, or fails); CTC of what cannot be aligned is AlgoPerf jax's, its torch gives
infinity; a batch of C integer classes is not taken for distributions; the language model's loss is
not computed in bfloat16.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pacebench.errors import PacebenchError

Arrays = Any  # one array of the framework's, or CTC's pair of arrays: the loss says which


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """The arguments of one loss, in the framework's arrays."""

    targets: Arrays
    outputs: Arrays
    mask: Any
    label_smoothing: Any  # a number; in jax it may be traced


def check_shape(what: str, shape: Sequence[int], allowed: Sequence[int]) -> None:
    """Raise PacebenchError that says what the outputs ask for, if a shape does not fit."""
    if tuple(shape) != tuple(allowed):
        raise PacebenchError(
            f"the loss got {what} of shape {tuple(shape)}; the outputs ask for {tuple(allowed)}"
        )
