"""The speech models: both frameworks against each other, padding, lengths and configurations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from pacebench.errors import PacebenchError
from tests.workloads.both import EVAL, TRAIN
from tests.workloads.pair import assert_close
from tests.workloads.speech_both import (
    TINY_CONFORMER,
    TINY_DEEPSPEECH,
    TINY_VARIANTS,
    call_flax,
    call_torch,
    family_of,
    on_torch,
    random_state,
    speech,
    torch_model,
)
from workloads.librispeech import conformer, deepspeech, layers_flax, layers_torch
from workloads.librispeech.shapes import positions

NOTHING_DROPPED = replace(TRAIN, dropout_rate=0.0)


@pytest.mark.parametrize("config", TINY_VARIANTS.values(), ids=TINY_VARIANTS)
def test_the_models_agree_in_outputs_gradients_and_averages_on_carried_weights(config: Any) -> None:
    state, batch = random_state(config), speech(config)
    in_torch = call_torch(config, state, batch, NOTHING_DROPPED)
    in_flax = call_flax(config, state, batch, NOTHING_DROPPED)
    assert_close(in_torch.logits, in_flax.logits, "logits")
    assert in_torch.loss == pytest.approx(in_flax.loss, rel=1e-5)
    assert set(in_torch.gradients) == set(in_flax.gradients)
    assert set(in_torch.buffers) == set(in_flax.buffers)
    largest = max(np.abs(slope).max() for slope in in_torch.gradients.values())
    for name, slope in in_torch.gradients.items():
        if name.endswith("key.bias"):
            # It adds one number to all scores of a query, which softmax takes off again.
            assert np.abs(slope).max() <= 1e-5 * largest, name
            assert np.abs(in_flax.gradients[name]).max() <= 1e-5 * largest, name
        else:
            assert np.abs(slope).max() > 0, name
            assert_close(slope, in_flax.gradients[name], name)
    for name, average in in_torch.buffers.items():
        assert_close(average, in_flax.buffers[name], name)
        assert np.abs(average - state[name]).max() > 0, name


def test_what_tells_positions_is_scaled() -> None:
    state, batch = random_state(TINY_CONFORMER), speech(TINY_CONFORMER)
    tenth = replace(TINY_CONFORMER, position_scale=0.1)
    for call in (call_torch, call_flax):
        whole = call(TINY_CONFORMER, state, batch, NOTHING_DROPPED).logits
        assert np.abs(call(tenth, state, batch, NOTHING_DROPPED).logits - whole).max() > 0.01
    table_TD = torch_model(tenth, state).positions_TD.numpy()
    np.testing.assert_allclose(table_TD, positions(*table_TD.shape) / 10, rtol=1e-6)
    # AlgoPerf's own adds the sines as they are.
    assert (conformer.FULL.position_scale, conformer.MINI.position_scale) == (1.0, 0.1)


def outputs_of(config: Any, lengths: tuple[int, ...], n_samples: int, mode: Any = EVAL) -> Any:
    """Call torch on utterances of these lengths, padded to `n_samples`."""
    inputs = [np.zeros((len(lengths), n_samples), np.float32) for _ in range(2)]
    inputs[1] += 1
    for row, length in enumerate(lengths):
        inputs[0][row, :length] = speech(config, (5000,), seed=row)["inputs"][0][0, :length]
        inputs[1][row, :length] = 0
    with torch.no_grad():
        logits, paddings = torch_model(config, random_state(config))(
            on_torch({"inputs": tuple(inputs)}), mode
        )
    return logits.numpy(), paddings.numpy()


@pytest.mark.parametrize("mode", [EVAL, NOTHING_DROPPED], ids=["eval", "train"])
@pytest.mark.parametrize("config", TINY_VARIANTS.values(), ids=TINY_VARIANTS)
def test_logits_do_not_depend_on_how_much_padding_follows(config: Any, mode: Any) -> None:
    # 29 and 25 frames: "SAME" begins elsewhere on sequences of even length, as in AlgoPerf.
    logits, paddings = outputs_of(config, (3300, 2000), 5000, mode)
    shorter, shorter_paddings = outputs_of(config, (3300, 2000), 4300, mode)
    n_positions = (1 - paddings).sum(1).astype(int)
    # A frame begins every 160 samples, while one of its samples is heard: 21 and 13 frames; every
    # fourth of them is a position.
    assert n_positions.tolist() == [6, 4]
    assert n_positions.tolist() == (1 - shorter_paddings).sum(1).tolist()
    for row, n in enumerate(n_positions):
        assert_close(logits[row, :n], shorter[row, :n], f"row {row}")


@pytest.mark.parametrize("config", TINY_VARIANTS.values(), ids=TINY_VARIANTS)
def test_an_example_of_padding_alone_disturbs_no_other(config: Any) -> None:
    logits, paddings = outputs_of(config, (5000, 3300, 0), 5000, NOTHING_DROPPED)
    alone, _ = outputs_of(config, (5000, 3300), 5000, NOTHING_DROPPED)
    assert np.isfinite(logits).all()
    assert (1 - paddings).sum(1).tolist() == [8, 6, 0]
    assert_close(logits[0], alone[0], "the longest")
    assert_close(logits[1, :6], alone[1, :6], "the other")


@pytest.mark.parametrize("sides", [(7, 6), (6, 9)])
@pytest.mark.parametrize("n_channels", [1, layers_flax.MANY_CHANNELS])
def test_a_subsampling_convolution_is_the_same_in_both_frameworks(
    n_channels: int, sides: tuple[int, int]
) -> None:
    generator = np.random.default_rng(0)
    x_BFMC = generator.normal(size=(2, *sides, n_channels)).astype(np.float32)
    paddings_BF = (np.arange(sides[0]) >= np.array([[sides[0]], [3]])).astype(np.float32)
    layer = layers_torch.Conv2dSubsampling(n_channels, 4, 2, "tanh")
    layer.bias.data = torch.tensor([0.1, 0.2, 0.3, 0.4])
    found, paddings = layer(
        torch.from_numpy(x_BFMC).permute(0, 3, 1, 2), torch.from_numpy(paddings_BF)
    )
    kernel = layer.weight.detach().permute(2, 3, 1, 0).numpy()
    variables = {"params": {"kernel": kernel, "bias": layer.bias.detach().numpy()}}
    flax_layer = layers_flax.Conv2dSubsampling(4, 2, "tanh")
    wanted, wanted_paddings = flax_layer.apply(variables, x_BFMC, paddings_BF)
    np.testing.assert_allclose(found.detach().permute(0, 2, 3, 1).numpy(), wanted, atol=1e-5)
    assert paddings.tolist() == wanted_paddings.tolist()
    assert not np.asarray(wanted)[1, 2:].any()  # frames 0 and 2 of the second example are left
    assert np.abs(np.asarray(wanted)[1, :2]).min() > 0


def test_an_lstm_is_its_definition_in_both_directions() -> None:
    from workloads.librispeech.lstm_torch import BidirectionalLstm

    torch.manual_seed(0)
    lstm = BidirectionalLstm(3, 2)
    generator = np.random.default_rng(0)
    x_BTD = generator.normal(size=(2, 4, 3)).astype(np.float32)
    paddings_BT = np.array([[0, 0, 0, 0], [0, 0, 0, 1]], np.float32)
    with torch.no_grad():
        for name, parameter in lstm.named_parameters():
            if name.endswith("bias"):
                parameter.copy_(torch.from_numpy(generator.normal(size=2)))
        found = lstm(torch.from_numpy(x_BTD), torch.from_numpy(paddings_BT)).numpy()
    weights = {name: p.detach().numpy().astype(np.float64) for name, p in lstm.named_parameters()}
    for row, length in enumerate((4, 3)):
        ahead = plain_lstm(x_BTD[row, :length], weights, "forwards")
        back = plain_lstm(x_BTD[row, :length][::-1], weights, "backwards")[::-1]
        np.testing.assert_allclose(found[row, :length], np.hstack([ahead, back]), atol=1e-6)
    assert not found[1, 3:].any()


def plain_lstm(x_TD: Any, weights: Any, direction: str) -> Any:
    """facts_speech_dev.md, section 3.3, one gate and one step at a time."""

    def sigmoid(x: Any) -> Any:
        return 1 / (1 + np.exp(-x))

    def gate(name: str, x: Any, h: Any) -> Any:
        from_input = weights[f"{direction}.input_{name}.weight"] @ x
        from_state = weights[f"{direction}.state_{name}.weight"] @ h
        return from_input + from_state + weights[f"{direction}.state_{name}.bias"]

    c, h, states = np.zeros(2), np.zeros(2), []
    for x in x_TD:
        i, f, o = (sigmoid(gate(name, x, h)) for name in "ifo")
        c = f * c + i * np.tanh(gate("g", x, h))
        h = o * np.tanh(c)
        states.append(h)
    return np.array(states)


def test_positions_are_sines_and_cosines_of_256_waves() -> None:
    row = positions(500, 512)[3]
    # facts_speech_dev.md, section 3.1: sin, then cos of t · exp(-i · ln(10000) / 255).
    wanted = [np.sin(3.0), np.sin(3e-4), np.cos(3.0), np.cos(3e-4)]
    np.testing.assert_allclose(row[[0, 255, 256, 511]], wanted, atol=1e-6)
    assert row[1] == pytest.approx(np.sin(3 * np.exp(-np.log(10000) / 255)), abs=1e-6)


def test_the_full_models_have_500_positions_for_20_seconds() -> None:
    assert conformer.FULL.n_positions == deepspeech.FULL.n_positions == 500


@pytest.mark.parametrize("config", [TINY_CONFORMER, TINY_DEEPSPEECH], ids=["conformer", "deep"])
def test_a_waveform_that_is_too_long_is_an_error(config: Any) -> None:
    inputs = tuple(np.zeros((1, config.n_samples + 1), np.float32) for _ in range(2))
    for build, batch in (
        (family_of(config).torch.build, on_torch({"inputs": inputs})),
        (lambda c: lambda b, m: family_of(c).flax.build(c).apply({}, b, m), {"inputs": inputs}),
    ):
        with pytest.raises(PacebenchError, match="waveforms of 5001 samples"):
            build(config)(batch, EVAL)


@pytest.mark.parametrize(
    ("config", "change", "message"),
    [
        (conformer.FULL, {"n_heads": 7}, "7 heads do not share a width of 512"),
        (conformer.FULL, {"width": 9, "n_heads": 3}, "even width from 4, not 9"),
        (conformer.FULL, {"kernel_size": 4}, "must be odd, not 4"),
        (deepspeech.FULL, {"width": 7}, "not 7"),
    ],
)
def test_a_configuration_that_does_not_come_out_even_is_an_error(
    config: Any, change: dict[str, int], message: str
) -> None:
    with pytest.raises(PacebenchError, match=message):
        replace(config, **change)
