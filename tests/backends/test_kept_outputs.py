"""What evaluation brings from the device."""

from __future__ import annotations

import numpy as np
import torch

from pacebench.backends.base import kept_outputs
from pacebench.spec import EvalOutputs

LOGITS_BTC = np.array([[[0.0, 3.0, 1.0], [5.0, 4.0, 4.5]]], np.float32)
PADDINGS_BT = np.array([[0.0, 1.0]], np.float32)


def test_classes_are_brought_instead_of_logits() -> None:
    classes = kept_outputs(torch.from_numpy(LOGITS_BTC), EvalOutputs.ARGMAX)
    assert classes.tolist() == [[1, 0]]


def test_of_a_pair_the_second_is_brought_as_it_is() -> None:
    classes, paddings = kept_outputs((LOGITS_BTC, PADDINGS_BT), EvalOutputs.ARGMAX)
    assert classes.tolist() == [[1, 0]]
    assert paddings is PADDINGS_BT


def test_nothing_or_all_is_brought() -> None:
    assert kept_outputs(LOGITS_BTC, EvalOutputs.NOTHING) is None
    assert kept_outputs(LOGITS_BTC, EvalOutputs.ALL) is LOGITS_BTC
