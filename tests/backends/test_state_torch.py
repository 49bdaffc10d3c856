"""State of torch submissions as trees of plain values, and back."""

from __future__ import annotations

from collections import deque

import torch

from pacebench.backends.state_torch import restored, tree_of


def test_a_queue_comes_back_with_its_length_limit() -> None:
    queue = deque([torch.tensor([1.0]), torch.tensor([2.0])], maxlen=3)
    tree = tree_of({"queue": queue}, "state")
    back = restored({"queue": deque(maxlen=3)}, tree)["queue"]
    assert back.maxlen == 3
    assert [value.tolist() for value in back] == [[1.0], [2.0]]
    back.extend([torch.tensor([3.0]), torch.tensor([4.0])])
    assert [value.tolist() for value in back] == [[2.0], [3.0], [4.0]]
