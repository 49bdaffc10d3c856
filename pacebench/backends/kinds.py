"""What a parameter is, told from its name by AlgoPerf's substring rules; no framework is imported.

Source: AlgoPerf v0.6, `algoperf/param_utils.py`. Rules are tried in order and the first that fits
decides, so the odd results are AlgoPerf's own: a dense layer inside a block named "conv" is a
CONV_WEIGHT, and torch's "map.mha.q_proj.weight" is a WEIGHT because "mha" is not on the list.

Where we differ: AlgoPerf raises on a normalisation or attention parameter that it does not know,
we give the closest kind, so that every parameter has one. v0.6 has no rules for the language model;
for it "qkv" counts as "in_proj" in torch, and "attn" and "rmsnorm" count in flax as in torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from pacebench.spec import ParameterKind

_Value = TypeVar("_Value")
# Pairs of (substrings, what the first pair with a substring in the text stands for).
_Rules = Sequence[tuple[tuple[str, ...], _Value]]
# The kind of a layer's bias, and the kind of the rest.
_LayerKinds = tuple[ParameterKind, ParameterKind]

_BATCH_NORM = (ParameterKind.BATCH_NORM_BIAS, ParameterKind.BATCH_NORM_SCALE)
_LAYER_NORM = (ParameterKind.LAYER_NORM_BIAS, ParameterKind.LAYER_NORM_SCALE)
_CONV = (ParameterKind.BIAS, ParameterKind.CONV_WEIGHT)

_TORCH_LAYERS: _Rules[_LayerKinds] = (
    (("bn",), _BATCH_NORM),
    (("norm", "ln"), _LAYER_NORM),
    (("conv",), _CONV),
)
_FLAX_LAYERS: _Rules[_LayerKinds] = (
    (("batchnorm", "bn"), _BATCH_NORM),
    (("layernorm", "ln", "rmsnorm"), _LAYER_NORM),
    (("conv",), _CONV),
)
_TORCH_ATTENTION: _Rules[ParameterKind] = (
    (("in_proj", "qkv"), ParameterKind.ATTENTION_QKV),
    (("kv_proj",), ParameterKind.ATTENTION_KV),  # before "v_proj", which it contains
    (("k_proj", "key"), ParameterKind.ATTENTION_K),
    (("q_proj", "query"), ParameterKind.ATTENTION_Q),
    (("v_proj", "value"), ParameterKind.ATTENTION_V),
)
_FLAX_ATTENTION: _Rules[ParameterKind] = (
    (("key",), ParameterKind.ATTENTION_K),
    (("query",), ParameterKind.ATTENTION_Q),
    (("value",), ParameterKind.ATTENTION_V),
    (("out",), ParameterKind.ATTENTION_OUT),
)


def torch_kind(name: str) -> ParameterKind:
    """The kind of a torch parameter, from its name in `named_parameters()`.

    The whole name counts, as it is written; wrappers' prefixes ("module.", "_orig_mod.") change
    nothing. Source: AlgoPerf v0.6.

    >>> torch_kind("conformers.0.mhsa.self_attention.in_proj.weight").name
    'ATTENTION_QKV'
    """
    is_bias = "bias" in name
    layer = _first_match(_TORCH_LAYERS, name, None)
    if layer is not None:
        return layer[0] if is_bias else layer[1]
    if "embed" in name and "weight" in name:
        return ParameterKind.EMBEDDING
    if "attn" in name or "attention" in name:
        is_out = "out" in name and "weight" in name
        other = ParameterKind.ATTENTION_OUT if is_out else ParameterKind.WEIGHT
        role = _first_match(_TORCH_ATTENTION, name, other)
        return ParameterKind.ATTENTION_BIAS if is_bias else role
    return ParameterKind.BIAS if is_bias else ParameterKind.WEIGHT


def flax_kind(path: str) -> ParameterKind:
    """The kind of a flax parameter, from its path: module names and the leaf, joined by "/".

    The case of letters does not matter. The modules tell the layer, the leaf tells bias from the
    rest; an attention matrix is a leaf named "kernel". Source: AlgoPerf v0.6.

    >>> flax_kind("Transformer/encoderblock_0/MultiHeadDotProductAttention_0/key/kernel").name
    'ATTENTION_K'
    """
    modules, _, leaf = path.lower().rpartition("/")
    is_bias = "bias" in leaf
    layer = _first_match(_FLAX_LAYERS, modules, None)
    if layer is not None:
        return layer[0] if is_bias else layer[1]
    # A dense layer named "embedding" counts too: ogbg's node_embedding/kernel is then what its
    # torch twin node_embedder.weight is.
    if "embedding" in leaf or ("embedding" in modules and leaf == "kernel"):
        return ParameterKind.EMBEDDING
    if "attention" in modules or "attn" in modules:
        rules = _FLAX_ATTENTION if leaf == "kernel" else ()  # a "QueryScaler" has a scale
        role = _first_match(rules, modules, ParameterKind.WEIGHT)
        return ParameterKind.ATTENTION_BIAS if is_bias else role
    return ParameterKind.BIAS if is_bias else ParameterKind.WEIGHT


def _first_match(rules: _Rules[_Value], text: str, default: _Value) -> _Value:
    for substrings, value in rules:
        if any(substring in text for substring in substrings):
            return value
    return default
