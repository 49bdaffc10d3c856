"""A transformer of wmt in both frameworks with the same weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import jax
import numpy as np
import torch
from numpy.typing import NDArray

from pacebench.backends import losses_jax, losses_torch
from pacebench.backends.carry import to_flax, to_torch
from pacebench.spec import Loss, Mode
from tests.workloads.both import EVAL, by_path
from workloads.wmt import transformer_flax, transformer_torch
from workloads.wmt.transformer import (
    ATTENTION_TEMP,
    FULL,
    GLU_TANH,
    POST_LN,
    Config,
    layout_of,
)

Arrays = Mapping[str, NDArray[Any]]

# Float32 sums in other orders; relative to the largest value, as for AlgoPerf's golden values.
TOLERANCE = 1e-4
FULL_VARIANTS = {
    "wmt": FULL,
    "wmt_post_ln": POST_LN,
    "wmt_attention_temp": ATTENTION_TEMP,
    "wmt_glu_tanh": GLU_TANH,
}
# No two of its widths are equal, so that nothing fits by accident.
TINY = Config(n_vocab=19, width=12, n_heads=3, mlp_width=10, n_layers=1, max_length=16)
TINY_VARIANTS = {
    "base": TINY,
    "post_ln": replace(TINY, is_post_layer_norm=True),
    "attention_temp": replace(TINY, attention_temperature=4.0),
    "glu_tanh": replace(TINY, is_glu=True, activation="tanh"),
}
ALL = replace(
    TINY, is_post_layer_norm=True, attention_temperature=4.0, is_glu=True, activation="tanh"
)


def rows(config: Config, n_rows: int, n_inputs: int, n_targets: int) -> dict[str, Any]:
    """Give rows of one random sentence, all but the first filled up with padding."""
    generator = np.random.default_rng(n_rows)
    batch: dict[str, Any] = {}
    for name, length in (("inputs", n_inputs), ("targets", n_targets)):
        tokens = generator.integers(1, config.n_vocab, (n_rows, length)).astype(np.int32)
        for i in range(1, n_rows):
            tokens[i, length - i :] = 0
        batch[name] = tokens
    return batch | {"weights": (batch["targets"] > 0).astype(np.float32)}


def packed_rows(config: Config) -> dict[str, Any]:
    """Give two packed rows of 9 and 8 tokens: two and three sentences, with an <unk> inside one."""
    lengths = {"inputs": ([4, 3], [2, 3, 4]), "targets": ([5, 3], [1, 2, 4])}
    sizes = {"inputs": 9, "targets": 8}
    generator = np.random.default_rng(3)
    batch: dict[str, Any] = {}
    for name, of_rows in lengths.items():
        tokens, places, sentences = (np.zeros((2, sizes[name]), np.int32) for _ in range(3))
        for i, of_row in enumerate(of_rows):
            start = 0
            for number, length in enumerate(of_row, 1):
                part = slice(start, start + length)
                tokens[i, part] = generator.integers(1, config.n_vocab, length)
                places[i, part], sentences[i, part] = np.arange(length), number
                start += length
        tokens[0, 2] = 0  # <unk> is padding's number: no sentence, no weight
        sentences[0, 2] = 0
        batch[name] = tokens
        batch |= {f"{name}_position": places, f"{name}_segmentation": sentences}
    return batch | {"weights": (batch["targets"] > 0).astype(np.float32)}


@cache
def flax_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Give the shapes of flax's parameters by path, in jax's order; nothing is computed."""
    model = transformer_flax.build(config)
    tokens = jax.ShapeDtypeStruct((1, 4), np.int32)
    found = jax.eval_shape(
        lambda t: model.init(jax.random.PRNGKey(0), {"inputs": t, "targets": t}, EVAL), tokens
    )
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf.shape
        for path, leaf in jax.tree.leaves_with_path(found["params"])
    }


@cache
def torch_shapes(config: Config) -> dict[str, tuple[int, ...]]:
    """Give the shapes of torch's parameters by name, in its order; nothing is computed."""
    with torch.device("meta"):
        model = transformer_torch.build(config)
    return {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}


def random_state(config: Config, seed: int = 1) -> dict[str, NDArray[np.float32]]:
    """Give torch parameters without a zero or a one in them, so that every tensor matters."""
    generator = np.random.default_rng(seed)
    state = {}
    for name, shape in torch_shapes(config).items():
        noise = generator.standard_normal(shape, np.float32)
        is_scale = name.endswith("weight") and noise.ndim == 1
        is_small = noise.ndim == 1 or "embedding" in name
        scale = np.float32(0.5 if is_small else 1 / np.sqrt(noise[0].size))
        state[name] = np.float32(is_scale) + scale * noise
    return state


def flax_params(config: Config, state: Arrays) -> Any:
    """Give flax's tree with torch's weights."""
    return to_flax(state, layout_of(config), flax_shapes(config))[0]


def torch_state(config: Config, params: Any) -> dict[str, NDArray[Any]]:
    """Give torch's arrays with the weights (or gradients) of flax's tree."""
    return to_torch(params, {}, layout_of(config), torch_shapes(config))


def torch_model(config: Config, state: Arrays) -> torch.nn.Module:
    """Build the torch model with these weights."""
    model = transformer_torch.build(config)
    model.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in state.items()})
    return model


def tensors(batch: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Give a batch to torch."""
    return {k: torch.from_numpy(v) for k, v in batch.items()}


def torch_logits(config: Config, state: Arrays, batch: Mapping[str, Any], mode: Mode) -> Any:
    """Call the torch model."""
    with torch.no_grad():
        return torch_model(config, state)(tensors(batch), mode).numpy()


def flax_logits(config: Config, state: Arrays, batch: Mapping[str, Any], mode: Mode) -> Any:
    """Call the flax model; it has no key, so that drawing raises."""
    return np.asarray(flax_call(config, mode)(flax_params(config, state), dict(batch)))


@cache
def flax_call(config: Config, mode: Mode) -> Any:
    """Compile the flax model: call(params, batch) -> logits."""
    model = transformer_flax.build(config)
    return quick_jit(lambda params, batch: model.apply({"params": params}, batch, mode))


def quick_jit(function: Any) -> Any:
    """Compile without optimisation, in half the time."""
    return jax.jit(function, compiler_options={"xla_backend_optimization_level": 0})


def torch_gradients(
    config: Config, state: Arrays, batch: Mapping[str, Any]
) -> tuple[NDArray[Any], Arrays]:
    """Give the logits and the gradients of the summed loss, by torch's names."""
    model, moved = torch_model(config, state), tensors(batch)
    logits = model(moved, EVAL)
    loss = Loss.SOFTMAX_CROSS_ENTROPY
    losses_torch.compute_loss(loss, moved["targets"], logits, moved["weights"]).summed.backward()
    return logits.detach().numpy(), {k: v.grad.numpy() for k, v in model.named_parameters()}


def flax_gradients(
    config: Config, state: Arrays, batch: Mapping[str, Any]
) -> tuple[NDArray[Any], Arrays]:
    """Give the logits and the gradients of the summed loss, by torch's names."""
    model = transformer_flax.build(config)

    def compute_loss(params: Any) -> tuple[jax.Array, jax.Array]:
        logits = model.apply({"params": params}, dict(batch), EVAL)
        targets, weights = batch["targets"], batch["weights"]
        value = losses_jax.compute_loss(Loss.SOFTMAX_CROSS_ENTROPY, targets, logits, weights)
        return value.summed, logits

    gradients, logits = quick_jit(jax.grad(compute_loss, has_aux=True))(flax_params(config, state))
    return np.asarray(logits), torch_state(config, gradients)


def paths_by_name(config: Config) -> dict[str, str]:
    """Give the flax path at which each torch parameter arrives, told by its values."""
    names = list(torch_shapes(config))
    numbered = {n: np.full(s, names.index(n)) for n, s in torch_shapes(config).items()}
    arrived = by_path(flax_params(config, numbered))
    return {names[int(array.flat[0])]: path for path, array in arrived.items()}


def algoperf_torch_name(name: str) -> tuple[str, int, int]:
    """Give AlgoPerf's torch name for one of ours, which of its parts that is, and of how many."""
    name = name.replace("encoder.", "encoder.encoder.", 1).replace("mlp.", "")
    if name.startswith("decoder."):
        name = name.replace("decoder.", "decoder.decoder.", 1)
    if "self_attn" in name and "out_proj" not in name:
        for part, role in enumerate(("q_proj", "k_proj", "v_proj")):
            if role in name:
                return name.replace(role, "in_proj"), part, 3
    name = name.replace("cross_attn", "multihead_attn")
    for part, role in enumerate(("k_proj", "v_proj")):
        if role in name:
            return name.replace(role, "kv_proj"), part, 2
    return name, 0, 1


def assert_close(left: NDArray[Any], right: NDArray[Any], what: str) -> None:
    """Check arrays against each other, relative to the largest value."""
    assert left.shape == right.shape, what
    assert np.abs(left - right).max() <= TOLERANCE * np.abs(right).max(), what
