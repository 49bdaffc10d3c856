"""The speech models at full size against AlgoPerf's own values (`make test-full`)."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pacebench.backends import losses_jax, losses_torch
from pacebench.spec import Loss
from tests.workloads.both import EVAL
from tests.workloads.speech_both import (
    FULL_VARIANTS,
    family_of,
    flax_shapes,
    flax_variables,
    is_statistic,
    on_torch,
    torch_model,
    torch_state,
)
from tests.workloads.test_imagenet_vit_golden import tree_of
from tests.workloads.test_librispeech_features import golden_wave

pytestmark = pytest.mark.full


class Golden(NamedTuple):
    """A row of facts_speech_dev.md, section 3.5."""

    first: tuple[float, ...]
    """logits[0, 0, :4]"""
    last: tuple[float, ...]
    """logits[1, 31, :4]"""
    best: tuple[int, ...]
    """argmax logits[0, :6]"""
    ctc: tuple[float, float]


GOLDEN = {
    "librispeech_conformer": Golden(
        (0.121712, 0.613916, -2.238558, 0.762522),
        (-0.510371, -0.376862, -2.020378, -0.613709),
        (359,) * 6,
        (246.32892, 227.72636),
    ),
    "librispeech_conformer_attention_temperature": Golden(
        (-0.305187, 0.349845, -2.616107, 1.258067),
        (-0.846192, -0.665161, -2.170986, 0.005266),
        (359,) * 6,
        (272.97433, 237.78265),
    ),
    "librispeech_conformer_layernorm": Golden(
        (-0.671267, 1.332124, 0.851632, 0.177904),
        (-0.457571, 1.7635, 0.038175, -1.026221),
        (914, 937, 937, 914, 937, 937),
        (343.1838, 206.95374),
    ),
    "librispeech_conformer_gelu": Golden(
        (0.042536, 1.537114, -2.076504, 1.365506),
        (-0.567506, 0.315884, -2.155766, -0.170689),
        (359,) * 6,
        (266.4393, 228.96017),
    ),
    "librispeech_deepspeech": Golden(
        (-1.22703, -0.425582, -1.018969, 1.099311),
        (-0.374003, -0.968564, -1.282444, 0.851792),
        (593, 837, 837, 837, 174, 837),
        (351.62604, 240.15596),
    ),
    "librispeech_deepspeech_tanh": Golden(
        (-2.161711, -2.266722, -0.1827, 1.267615),
        (-0.818938, -0.683799, -2.245791, 1.218574),
        (24, 893, 348, 535, 535, 175),
        (389.86493, 208.55104),
    ),
    "librispeech_deepspeech_no_resnet": Golden(
        (1.597274, 0.49619, 0.587702, -2.067507),
        (1.620768, 0.197938, 0.453072, -1.83638),
        (529,) * 6,
        (288.4479, 184.38933),
    ),
    "librispeech_deepspeech_norm_and_spec_aug": Golden(
        (0.615387, 1.84908, -3.404061, 0.668831),
        (1.969218, 2.905501, 1.525535, 0.428016),
        (256,) * 6,
        (625.24677, 310.83405),
    ),
}


@cache
def filled(name: str) -> dict[str, NDArray[np.float32]]:
    """Fill the variables by the rule of section 3.5, by flax's paths; gives torch's state."""
    random = np.random.RandomState(0)
    arrays: dict[str, Any] = {}
    stats: dict[str, Any] = {}
    for path, shape in flax_shapes(FULL_VARIANTS[name]).items():
        if is_statistic(path):
            noise = np.random.RandomState(1).randn(*shape)
            stats[path] = (np.abs(noise) * 0.3 + 0.5).astype(np.float32)
        else:
            arrays[path] = (random.randn(*shape) * 0.05).astype(np.float32)
    return torch_state(FULL_VARIANTS[name], tree_of(arrays), tree_of(stats))


def batch() -> Any:
    """Give the golden wave and the labels."""
    tokens_BL = np.array([[5, 7, 7, 9, 2, 0], [100, 3, 2, 0, 0, 0]], np.int32)
    token_paddings_BL = np.array([[0, 0, 0, 0, 0, 1], [0, 0, 0, 1, 1, 1]], np.float32)
    return {"inputs": golden_wave(), "targets": (tokens_BL, token_paddings_BL)}


def in_torch(name: str) -> tuple[Any, ...]:
    """Give logits, paddings and losses of torch."""
    model, tensors = torch_model(FULL_VARIANTS[name], filled(name)), on_torch(batch())
    with torch.no_grad():
        outputs = model(tensors, EVAL)
        value = losses_torch.compute_loss(Loss.CTC, tensors["targets"], outputs)
    return tuple(tensor.numpy() for tensor in (*outputs, value.per_example))


def in_flax(name: str) -> tuple[Any, ...]:
    """Give logits, paddings and losses of flax."""
    model = family_of(FULL_VARIANTS[name]).flax.build(FULL_VARIANTS[name])
    variables = flax_variables(FULL_VARIANTS[name], filled(name))

    def call(variables: Any) -> Any:
        outputs = model.apply(variables, batch(), EVAL)
        value = losses_jax.compute_loss(Loss.CTC, batch()["targets"], outputs)
        return (*outputs, value.per_example)

    return tuple(np.asarray(array) for array in jax.jit(call)(variables))


@pytest.mark.parametrize("call", [in_torch, in_flax])
@pytest.mark.parametrize("name", GOLDEN)
def test_logits_and_losses_are_algoperfs(name: str, call: Any) -> None:
    logits, paddings, losses = call(name)
    wanted = GOLDEN[name]
    assert logits.shape == (2, 50, 1024)
    assert (1 - paddings).sum(1).tolist() == [50, 32]
    found = np.stack([logits[0, 0, :4], logits[1, 31, :4]])
    # shared/spec/README.md: 10⁻⁴ of the largest value.
    largest = max(np.abs(logits[0]).max(), np.abs(logits[1, :32]).max())
    worst = np.abs(found - [wanted.first, wanted.last]).max()
    assert worst <= 1e-4 * largest, worst / largest
    assert logits[0, :6].argmax(-1).tolist() == list(wanted.best)
    np.testing.assert_allclose(losses, wanted.ctc, rtol=1e-4)
