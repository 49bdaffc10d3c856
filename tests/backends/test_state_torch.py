"""State of torch submissions as trees of plain values, and back."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
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


class Average:
    """Saves all that it has, as AlgoPerf's averaging submissions do."""

    def __init__(self) -> None:
        self.queue: deque[list[torch.Tensor]] = deque(maxlen=2)
        self.mean = np.zeros(2)

    def state_dict(self) -> dict[str, Any]:
        """Give every field."""
        return dict(vars(self))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take every field up."""
        vars(self).update(state_dict)


def test_an_objects_fields_come_back_as_what_they_were() -> None:
    average = Average()
    average.queue.append([torch.tensor([1.0])])
    average.mean[0] = 3.0
    back = restored(Average(), tree_of(average, "state"))
    assert back.queue == deque([[torch.tensor([1.0])]])
    assert back.queue.maxlen == 2
    assert isinstance(back.mean, np.ndarray)
    assert back.mean.tolist() == [3.0, 0.0]
