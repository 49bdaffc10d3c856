"""Carrying weights between the frameworks."""

from __future__ import annotations

import numpy as np
import pytest

from pacebench.backends.carry import to_flax, to_torch
from pacebench.errors import PacebenchError


def counting(*shape: int) -> np.ndarray:
    """Give an array in which every value is another."""
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


LAYOUT = {
    "fc": "Dense_0",
    "block.conv": "Block_0/Conv_0",
    "block.bn": "Block_0/BatchNorm_0",
    "embed.weight": "embed/embedding",
    "scaler.factor": "QueryScaler_0/scale",
    "up.conv": "Up_0/ConvTranspose_0",
}
ARRAYS = {
    "fc.weight": counting(3, 5),
    "fc.bias": counting(3),
    "block.conv.weight": counting(4, 2, 3, 1),
    "block.bn.weight": counting(4),
    "block.bn.bias": -counting(4),
    "block.bn.running_mean": 2 * counting(4),
    "block.bn.running_var": 3 * counting(4),
    "embed.weight": counting(6, 2),
    "scaler.factor": np.float32(7.0).reshape(()),
    "up.conv.weight": counting(3, 2, 4, 5),
}


def test_each_kind_of_tensor_arrives_where_and_as_the_table_says() -> None:
    params, stats = to_flax(ARRAYS, LAYOUT)
    assert params["Dense_0"]["kernel"].shape == (5, 3)
    assert params["Dense_0"]["kernel"][4, 2] == ARRAYS["fc.weight"][2, 4]
    kernel = params["Block_0"]["Conv_0"]["kernel"]
    assert kernel.shape == (3, 1, 2, 4)  # height, width, in, out
    assert kernel[2, 0, 1, 3] == ARRAYS["block.conv.weight"][3, 1, 2, 0]
    norm = params["Block_0"]["BatchNorm_0"]
    assert norm["scale"].tolist() == [0, 1, 2, 3]
    assert norm["bias"].tolist() == [0, -1, -2, -3]
    assert stats["Block_0"]["BatchNorm_0"]["mean"].tolist() == [0, 2, 4, 6]
    assert stats["Block_0"]["BatchNorm_0"]["var"].tolist() == [0, 3, 6, 9]
    assert np.array_equal(params["embed"]["embedding"], ARRAYS["embed.weight"])
    assert params["QueryScaler_0"]["scale"].shape == ()
    kernel = params["Up_0"]["ConvTranspose_0"]["kernel"]
    assert kernel.shape == (4, 5, 3, 2)  # height, width, in, out
    assert kernel[0, 1, 2, 1] == ARRAYS["up.conv.weight"][2, 1, 3, 3]


def test_back_and_forth_gives_the_same_arrays() -> None:
    back = to_torch(*to_flax(ARRAYS, LAYOUT), LAYOUT)
    assert set(back) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert np.array_equal(back[name], array), name
        assert back[name].flags.c_contiguous
        assert not np.shares_memory(back[name], array)


def test_attention_heads_are_split_and_joined_by_shapes() -> None:
    layout = {"attn.q": "query", "attn.out": "out"}
    arrays = {  # 6 features in, 2 heads of 4; out: 2 heads of 4 in, 6 features
        "attn.q.weight": counting(8, 6),
        "attn.q.bias": counting(8),
        "attn.out.weight": counting(6, 8),
    }
    flax_shapes = {"query/kernel": (6, 2, 4), "query/bias": (2, 4), "out/kernel": (2, 4, 6)}
    params, _ = to_flax(arrays, layout, flax_shapes)
    assert params["query"]["kernel"][5, 1, 2] == arrays["attn.q.weight"][1 * 4 + 2, 5]
    assert params["query"]["bias"][1, 2] == arrays["attn.q.bias"][1 * 4 + 2]
    assert params["out"]["kernel"][1, 2, 5] == arrays["attn.out.weight"][5, 1 * 4 + 2]
    back = to_torch(params, {}, layout, {n: a.shape for n, a in arrays.items()})
    assert all(np.array_equal(back[n], a) for n, a in arrays.items())


def test_a_tensor_that_the_layout_does_not_know_is_an_error() -> None:
    with pytest.raises(PacebenchError, match=r"does not say where 'head\.weight' goes"):
        to_flax({"head.weight": counting(2, 2)}, LAYOUT)
    with pytest.raises(PacebenchError, match=r"where 'fc\.weight_ih_l0' goes"):
        to_flax({"fc.weight_ih_l0": counting(2, 2)}, LAYOUT)
    with pytest.raises(PacebenchError, match="where 'Head/kernel' goes"):
        to_torch({"Head": {"kernel": counting(2, 2)}}, {}, LAYOUT)


def test_two_tensors_for_one_place_and_a_shape_that_does_not_fit_are_errors() -> None:
    with pytest.raises(PacebenchError, match="two tensors go to 'Dense_0/kernel'"):
        to_flax(
            {"a.weight": counting(2, 2), "b.weight": counting(2, 2)},
            {"a": "Dense_0", "b": "Dense_0"},
        )
    with pytest.raises(PacebenchError, match=r"'Dense_0/bias' has shape \(3,\)"):
        to_flax({"fc.bias": counting(3)}, LAYOUT, {"Dense_0/bias": (2, 2)})
