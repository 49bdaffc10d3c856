"""The language models at full size, by hand: `pytest -m full`. Values of both frameworks agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.workloads.lm_both import flax_logits, random_state, torch_logits, windows
from tests.workloads.pair import assert_close
from workloads.lm.decoder import FULL, GPT2_124M, Config

LENGTH = 48  # of the 1,024: the frameworks' sums are as long, and memory stays below 5 GiB


@pytest.mark.full
@pytest.mark.parametrize("config", [FULL, GPT2_124M], ids=["finewebedu_lm", "gpt2_124m"])
def test_both_frameworks_give_the_same_logits_at_full_size(config: Config) -> None:
    state = random_state(replace(config, precision="float32"))
    batch = windows(config, 1, length=LENGTH)
    found, wanted = torch_logits(config, state, batch), flax_logits(config, state, batch)
    assert_close(found, wanted, "logits")
    error = np.abs(found - wanted).max() / np.abs(wanted).max()
    print(
        f"\n{config.n_layers} layers of {config.width}: largest difference {error:.1e} of largest"
    )
