"""SpecAugment: both frameworks against plain loops, and how its numbers are drawn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.workloads.both import EVAL, TRAIN
from tests.workloads.speech_both import (
    TINY_CONFORMER,
    TINY_DEEPSPEECH,
    family_of,
    on_torch,
    random_state,
    speech,
    torch_model,
)
from workloads.librispeech import conformer, deepspeech, spec_augment_flax, spec_augment_torch
from workloads.librispeech.layers_torch import Features
from workloads.librispeech.spec_augment import SpecAugment

N_CASES, N_FRAMES, N_MELS = 200, 120, 80
HIDING = SpecAugment(n_time_stripes=3, widest_time_share=0.3, n_frequency_stripes=2)


def cases() -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Give features without a 0, paddings (one example is nothing else), and uniform numbers."""
    generator = np.random.default_rng(0)
    features_BFM = generator.uniform(1, 2, (N_CASES, N_FRAMES, N_MELS)).astype(np.float32)
    lengths_B = generator.integers(1, N_FRAMES + 1, N_CASES)
    lengths_B[:2] = 0, N_FRAMES
    paddings_BF = (np.arange(N_FRAMES) >= lengths_B[:, None]).astype(np.float32)
    numbers = generator.uniform(size=(N_CASES, HIDING.n_numbers)).astype(np.float32)
    numbers[2], numbers[3] = 0, np.nextafter(np.float32(1), np.float32(0))  # the ends of [0, 1)
    return features_BFM, paddings_BF, numbers


def plainly(features_FM: NDArray[Any], n_frames: int, numbers: NDArray[Any]) -> NDArray[Any]:
    """facts_speech_dev.md, section 2.2, mask after mask; numbers: sizes, starts, sizes, starts."""
    masked = features_FM.copy()
    size_u, start_v, size_u2, start_v2 = np.split(numbers, [3, 6, 8])
    widest = np.float32(0.3) * np.float32(n_frames)
    for u, v in zip(size_u, start_v, strict=True):
        size = min(int(u * widest), max(int(widest), 1))
        start = int(v * np.float32(n_frames - size + 1))
        masked[start : start + size] = 0
    for u, v in zip(size_u2, start_v2, strict=True):
        size = min(int(u * np.float32(27)), 80)
        start = int(v * np.float32(80 - size + 1))
        masked[:, start : start + size] = 0
    return masked


def in_torch(*arrays: NDArray[Any]) -> NDArray[Any]:
    """Hide stripes in torch."""
    return spec_augment_torch.with_stripes(*map(torch.from_numpy, arrays), HIDING).numpy()


def in_jax(*arrays: NDArray[Any]) -> NDArray[Any]:
    """Hide stripes in jax."""
    hide = jax.jit(spec_augment_flax.with_stripes, static_argnums=3)
    return np.asarray(hide(*arrays, HIDING))


@pytest.mark.parametrize("hide", [in_torch, in_jax])
def test_stripes_are_those_of_the_plain_loops_in_200_cases(hide: Any) -> None:
    features_BFM, paddings_BF, numbers = cases()
    lengths_B = (1 - paddings_BF).sum(1).astype(int)
    found = hide(features_BFM, paddings_BF, numbers)
    for row in range(N_CASES):
        wanted = plainly(features_BFM[row], lengths_B[row], numbers[row])
        assert np.array_equal(found[row], wanted), row
    assert 0.1 < np.mean(found == 0) < 0.7


def test_the_published_sizes() -> None:
    """facts_speech_dev.md, section 2.2."""
    for config in (conformer.FULL, deepspeech.FULL):
        assert config.spec_augment == SpecAugment(
            n_time_stripes=10,
            widest_time_share=0.05,
            n_frequency_stripes=2,
            widest_frequency_bins=27,
        )
    more = deepspeech.NORM_AND_SPEC_AUG.spec_augment
    assert more == replace(SpecAugment(), n_time_stripes=15, n_frequency_stripes=4)


def features_in_torch(seed: int, mode: Any) -> NDArray[Any]:
    """Call the features of a model in torch."""
    config = replace(TINY_CONFORMER, spec_augment=HIDING)
    torch.manual_seed(seed)
    return Features(config)(on_torch(speech(config)), mode)[0].numpy()


def test_the_same_seed_hides_the_same_and_another_something_else() -> None:
    whole = features_in_torch(0, EVAL)
    hidden = features_in_torch(0, TRAIN)
    assert np.array_equal(hidden, features_in_torch(0, TRAIN))
    assert not np.array_equal(hidden, features_in_torch(1, TRAIN))
    assert np.all((hidden == whole) | (hidden == 0))
    assert np.mean(hidden == 0) > 0.05
    # Every example has stripes of its own.
    assert not np.array_equal(hidden[0] == 0, hidden[1] == 0)


def test_a_key_hides_the_same_in_jax_and_another_key_something_else() -> None:
    features_BFM, paddings_BF, _ = cases()
    hide = jax.jit(spec_augment_flax.augment, static_argnums=2)
    keys = [jax.random.PRNGKey(seed) for seed in (0, 0, 1)]
    one, same, other = (np.asarray(hide(features_BFM, paddings_BF, HIDING, key)) for key in keys)
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("config", [TINY_CONFORMER, TINY_DEEPSPEECH], ids=["conformer", "deep"])
def test_units_drop_in_the_same_places_in_both_frameworks(
    config: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """facts_speech_dev.md, sections 3.1 and 3.2: what AlgoPerf's jax drops, by shape."""
    mode, batch = replace(TRAIN, dropout_rate=0.3), speech(config)
    b, t, d = 3, 8, config.width
    narrow, wide = (b, t, d), (b, t, 2 * d)
    is_conformer = config is TINY_CONFORMER
    # Input; inside and behind half a feed-forward module, attention, convolution, the other half.
    wanted = [narrow, wide, narrow, narrow, narrow, wide, narrow] if is_conformer else [narrow] * 2
    seen: list[tuple[Any, float]] = []

    def torch_dropout(x: torch.Tensor, rate: float, *, training: bool) -> torch.Tensor:
        assert training
        seen.append((tuple(x.shape), rate))
        return x

    def bernoulli(_key: Any, keep: float, shape: tuple[int, ...]) -> Any:
        seen.append((shape, 1 - keep))
        return np.ones(shape, bool)

    monkeypatch.setattr(torch.nn.functional, "dropout", torch_dropout)
    monkeypatch.setattr(jax.random, "bernoulli", bernoulli)
    torch_model(config, random_state(config))(on_torch(batch), mode)
    assert seen == [(shape, 0.3) for shape in wanted]
    seen.clear()
    model = family_of(config).flax.build(config)
    rngs = {"params": jax.random.PRNGKey(0), "dropout": jax.random.PRNGKey(1)}
    jax.eval_shape(lambda b: model.init(rngs, b, mode), batch)
    assert [shape for shape, _ in seen] == wanted
    assert [rate for _, rate in seen] == pytest.approx([0.3] * len(wanted))


@pytest.mark.parametrize("config", [TINY_CONFORMER, TINY_DEEPSPEECH], ids=["conformer", "deep"])
def test_training_at_rate_0_draws_for_spec_augment_alone(config: Any) -> None:
    batch, mode = on_torch(speech(config)), replace(TRAIN, dropout_rate=0.0)
    models = [
        torch_model(c, random_state(c)) for c in (config, replace(config, spec_augment=HIDING))
    ]
    before = torch.get_rng_state()
    models[0](batch, mode)
    assert torch.equal(before, torch.get_rng_state())
    models[1](batch, mode)
    after = torch.get_rng_state()
    assert not torch.equal(before, after)
    torch.set_rng_state(before)
    torch.rand(3, HIDING.n_numbers)
    assert torch.equal(after, torch.get_rng_state())
