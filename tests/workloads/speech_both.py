"""The speech models in both frameworks with the same weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import jax
import numpy as np
import torch
from numpy.typing import NDArray

from pacebench.backends import losses_jax, losses_torch
from pacebench.backends.carry import to_flax, to_torch
from pacebench.spec import Loss, Mode
from tests.workloads.both import EVAL, Outcome, by_path
from workloads.librispeech import (
    conformer,
    conformer_flax,
    conformer_torch,
    deepspeech,
    deepspeech_flax,
    deepspeech_torch,
)

Arrays = Mapping[str, NDArray[Any]]

CONFORMERS = {
    "librispeech_conformer": conformer.FULL,
    "librispeech_conformer_attention_temperature": conformer.ATTENTION_TEMPERATURE,
    "librispeech_conformer_layernorm": conformer.LAYERNORM,
    "librispeech_conformer_gelu": conformer.GELU,
}
DEEPSPEECHES = {
    "librispeech_deepspeech": deepspeech.FULL,
    "librispeech_deepspeech_tanh": deepspeech.TANH,
    "librispeech_deepspeech_no_resnet": deepspeech.NO_RESNET,
    "librispeech_deepspeech_norm_and_spec_aug": deepspeech.NORM_AND_SPEC_AUG,
}
FULL_VARIANTS = CONFORMERS | DEEPSPEECHES
N_SAMPLES = 5000
"""29 frames and 8 positions, odd and even lengths on the way."""
_TINY = {"n_samples": N_SAMPLES, "vocabulary_size": 7, "spec_augment": None}
TINY_CONFORMER = replace(
    conformer.FULL, width=12, n_blocks=1, n_heads=3, feed_forward_expansion=2, **_TINY
)
TINY_DEEPSPEECH = replace(
    deepspeech.FULL, width=12, n_recurrent_layers=1, n_feed_forward_layers=1, **_TINY
)
TINY_VARIANTS: dict[str, Any] = {
    "conformer": TINY_CONFORMER,
    "conformer_variants": replace(
        TINY_CONFORMER, attention_temperature=1.6, has_post_norm=False, activation="gelu"
    ),
    "conformer_positions": replace(TINY_CONFORMER, position_scale=0.1),
    "deepspeech": TINY_DEEPSPEECH,
    "deepspeech_variants": replace(
        TINY_DEEPSPEECH, activation="tanh", is_residual=False, is_layer_norm_everywhere=True
    ),
}


@dataclass(frozen=True)
class Family:
    """A model's modules."""

    torch: Any
    flax: Any
    layout_of: Any


def family_of(config: Any) -> Family:
    """Give the modules that belong to a configuration."""
    if isinstance(config, conformer.Config):
        return Family(conformer_torch, conformer_flax, conformer.layout_of)
    return Family(deepspeech_torch, deepspeech_flax, deepspeech.layout_of)


def speech(config: Any, lengths: tuple[int, ...] = (5000, 3300, 2000), seed: int = 0) -> Any:
    """Give a batch of noise: utterances of these lengths with two tokens each, padded."""
    generator = np.random.default_rng(seed)
    n_samples = max(lengths)
    paddings_BS = (np.arange(n_samples) >= np.array(lengths)[:, None]).astype(np.float32)
    loudness = 10.0 ** generator.uniform(-3, -1, (len(lengths), 1))
    waveform_BS = (loudness * generator.normal(size=(len(lengths), n_samples))).astype(np.float32)
    tokens_BL = generator.integers(1, config.vocabulary_size, (len(lengths), 3), np.int32)
    token_paddings_BL = np.tile(np.float32([0, 0, 1]), (len(lengths), 1))
    return {
        "inputs": (waveform_BS * (1 - paddings_BS), paddings_BS),
        "targets": (tokens_BL, token_paddings_BL),
    }


def on_torch(batch: Any) -> Any:
    """Turn a batch's arrays into tensors."""
    return jax.tree.map(torch.from_numpy, batch)


@cache
def flax_shapes(config: Any) -> dict[str, tuple[int, ...]]:
    """Give the shapes of flax's variables by path, in jax's order; nothing is computed."""
    model = family_of(config).flax.build(config)
    shape = jax.ShapeDtypeStruct((1, config.n_samples), np.float32)
    found = jax.eval_shape(
        lambda b: model.init(jax.random.PRNGKey(0), b, EVAL), {"inputs": (shape, shape)}
    )
    trees = (found["params"], found.get("batch_stats", {}))
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf.shape
        for tree in trees
        for path, leaf in jax.tree.leaves_with_path(tree)
    }


@cache
def torch_shapes(config: Any) -> dict[str, tuple[int, ...]]:
    """Give the shapes of torch's parameters and buffers by name; nothing is computed."""
    with torch.device("meta"):
        model = family_of(config).torch.build(config)
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def is_statistic(name: str) -> bool:
    """Whether a name or a path is one of batch norm's running averages."""
    return name.endswith(("running_mean", "running_var", "/mean", "/var"))


def random_state(config: Any, seed: int = 1) -> dict[str, NDArray[np.float32]]:
    """Give a torch state without a zero in it, so that every tensor matters."""
    generator = np.random.default_rng(seed)
    state = {}
    for name, shape in torch_shapes(config).items():
        noise = generator.normal(size=shape)
        scale = 0.2 if noise.ndim == 1 else 1 / np.sqrt(noise[0].size)
        state[name] = (name.endswith("running_var") + scale * noise).astype(np.float32)
    return state


def flax_variables(config: Any, state: Arrays) -> Any:
    """Give flax's variables with torch's state."""
    layout = family_of(config).layout_of(config)
    params, stats = to_flax(state, layout, flax_shapes(config))
    return {"params": params} | ({"batch_stats": stats} if stats else {})


def torch_state(config: Any, params: Any, stats: Any = None) -> dict[str, NDArray[Any]]:
    """Give torch's arrays with the values (or gradients) of flax's trees."""
    return to_torch(params, stats or {}, family_of(config).layout_of(config), torch_shapes(config))


def torch_model(config: Any, state: Arrays) -> torch.nn.Module:
    """Build the torch model with this state."""
    model = family_of(config).torch.build(config)
    model.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in state.items()})
    return model


def call_torch(config: Any, state: Arrays, batch: Any, mode: Mode) -> Outcome:
    """Call and differentiate the torch model."""
    model = torch_model(config, state)
    tensors = on_torch(batch)
    outputs = model(tensors, mode)
    value = losses_torch.compute_loss(Loss.CTC, tensors["targets"], outputs)
    (value.summed / value.n_valid_examples).backward()
    return Outcome(
        logits=outputs[0].detach().numpy(),
        loss=float((value.summed / value.n_valid_examples).detach()),
        gradients={k: v.grad.numpy() for k, v in model.named_parameters()},
        buffers={k: v.numpy() for k, v in model.state_dict().items() if is_statistic(k)},
    )


def call_flax(config: Any, state: Arrays, batch: Any, mode: Mode) -> Outcome:
    """Call and differentiate the flax model on torch's state; it has no key."""
    model = family_of(config).flax.build(config)
    variables = flax_variables(config, state)
    stats = variables.get("batch_stats", {})

    def mean_loss(params: Any) -> Any:
        held = {"params": params} | ({"batch_stats": stats} if stats else {})
        outputs, changed = model.apply(held, batch, mode, mutable=["batch_stats"])
        value = losses_jax.compute_loss(Loss.CTC, batch["targets"], outputs)
        return value.summed / value.n_valid_examples, (outputs[0], changed)

    gradient = jax.jit(jax.value_and_grad(mean_loss, has_aux=True))
    (loss, (logits, changed)), gradients = gradient(variables["params"])
    arrived = torch_state(config, gradients, changed.get("batch_stats"))
    return Outcome(
        logits=np.asarray(logits),
        loss=float(loss),
        gradients={k: v for k, v in arrived.items() if not is_statistic(k)},
        buffers={k: v for k, v in arrived.items() if is_statistic(k)},
    )


def paths_by_name(config: Any) -> dict[str, str]:
    """Give the flax path at which each torch tensor arrives, told by its values."""
    names = list(torch_shapes(config))
    numbered = {n: np.full(s, names.index(n)) for n, s in torch_shapes(config).items()}
    variables = flax_variables(config, numbered)
    arrived = by_path(variables["params"]) | by_path(variables.get("batch_stats", {}))
    return {names[int(array.flat[0])]: path for path, array in arrived.items()}
