"""The decoder-only language models: configurations, names, rotations and the widths of MLPs.

Source: AlgoPerf v1.0, finewebedu_lm (jax), which neither v0.5 nor v0.6 has. Rotary positions: Su et
al. 2021 (arXiv:2104.09864); gated MLPs: Shazeer 2020 (arXiv:2002.05202); normalised queries and
keys: Henry et al. 2020 (arXiv:2010.04245).

Letters: L positions, F rotations of a head (half its width).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pacebench.errors import PacebenchError

# AlgoPerf v1.0, finewebedu_lm: the slowest rotation's wave, over 2π.
ROTATION_BASE = 500_000.0
# AlgoPerf v1.0: below the root of RMS norms, and added to the lengths of queries and keys.
NORM_EPSILON = 1e-6
LENGTH_EPSILON = 1e-6

Precision = Literal["float32", "bfloat16", "bfloat16_but_on_cpu"]
_PRECISIONS = ("float32", "bfloat16", "bfloat16_but_on_cpu")


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """The model; the defaults are AlgoPerf's (v1.0, finewebedu_lm)."""

    n_vocab: int = 50_257
    context: int = 1024
    """Tokens of an input: each is told from those before it in its window."""
    width: int = 1024
    n_heads: int = 8
    mlp_width: int = 4096
    """Hidden units of an MLP, behind its gate."""
    n_layers: int = 12
    initial_stddev: float = 0.02
    """Of the normal initial values of all matrices, but of those that end in the residual stream:
    `residual_stddev`."""
    precision: Precision = "bfloat16_but_on_cpu"
    """What is computed in, parameters staying float32. AlgoPerf computes in bfloat16; a CPU does
    that slower than float32, so there the default is float32. Norms, rotations, lengths of queries
    and keys, and the loss are float32 in any case."""

    def __post_init__(self) -> None:
        """Raise PacebenchError where heads do not come out even, or a name is unknown."""
        if self.width % (2 * self.n_heads):
            raise PacebenchError(
                f"{self.n_heads} heads of an even width do not share a width of {self.width}"
            )
        if self.context < 2:
            raise PacebenchError(f"a context has 2 tokens or more, not {self.context}")
        if self.precision not in _PRECISIONS:
            raise PacebenchError(
                f"precision '{self.precision}' is unknown (known: {', '.join(_PRECISIONS)})"
            )

    @property
    def head_width(self) -> int:
        """Width of one head."""
        return self.width // self.n_heads

    @property
    def residual_stddev(self) -> float:
        """Deviation of the initial values of matrices that end in the residual stream: divided by
        the root of twice the number of layers (AlgoPerf v1.0, finewebedu_lm)."""
        return self.initial_stddev / math.sqrt(2 * self.n_layers)

    @property
    def initial_scale(self) -> float:
        """What a layer's queries are multiplied by at first: log2(L² - L) of a context of L."""
        return math.log2(self.context**2 - self.context)

    def is_bfloat16(self, *, is_cpu: bool) -> bool:
        """Say whether to compute in bfloat16 on a device."""
        return self.precision == "bfloat16" or (
            self.precision == "bfloat16_but_on_cpu" and not is_cpu
        )


FULL = Config()
# Not AlgoPerf's: the size of GPT-2's smallest model (Radford et al. 2019), 12 layers of 12 heads of
# 64. Two thirds of its 3072 hidden units, because a gate adds a third matrix.
GPT2_124M = Config(width=768, n_heads=12, mlp_width=2048)
# Ours: the same code for one CPU core and a small vocabulary.
MINI = Config(
    n_vocab=377,
    context=64,
    width=64,
    n_heads=4,
    mlp_width=128,
    n_layers=2,
    # 0.02 at a width of 1024 is as large for a sum of 1024 as this for 64. With 0.02 the output
    # says nothing for some hundred steps, and how many depends on the seed.
    initial_stddev=0.08,
    precision="float32",
)

# AlgoPerf v1.0, both frameworks; the others by `n_parameters`.
N_PARAMETERS = 252_815_372
# The one embedding is the output layer too.
OUTPUT_PARAMETERS = {"torch": ("embed_tokens.weight",), "jax": ("embed/embedding",)}


def n_parameters(config: Config) -> int:
    """Count the parameters: of the embedding, the layers and the last norm."""
    of_layer = (4 * config.width + 3 * config.mlp_width + 2) * config.width + 1
    return config.n_vocab * config.width + config.n_layers * of_layer + config.width


def layout_of(config: Config) -> dict[str, str]:
    """Give the layout of a model.

    Flax keeps the heads of an attention apart and torch does not, so whoever carries weights by it
    hands the shapes of the arriving model to `pacebench.backends.carry` too.
    """
    layout = {"embed_tokens.weight": "embed/embedding"}
    for i in range(config.n_layers):
        attention = f"blocks_{i}/CausalAttn_0"
        names = {
            "attn.q_proj": f"{attention}/query",
            "attn.k_proj": f"{attention}/key",
            "attn.v_proj": f"{attention}/value",
            "attn.w_out": f"{attention}/attn_out_proj",
            "attn.attn_scale": f"{attention}/attn_scale",
            "attn_norm": f"blocks_{i}/RMSNorm_0",
            "mlp.fc1": f"blocks_{i}/Mlp_0/Dense_0",
            "mlp.fc2": f"blocks_{i}/Mlp_0/Dense_1",
            "mlp_norm": f"blocks_{i}/RMSNorm_1",
        }
        layout |= {f"layers.{i}.{name}": path for name, path in names.items()}
    return layout | {"out_norm": "out_ln"}


def rotations(context: int, head_width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give cosines and sines of all rotations, [L, F] each.

    Neighbouring entries 2i and 2i + 1 of a head turn together, by p 500000^(-2i / E) at position p,
    where E is the head's width.
    """
    exponents_F = np.arange(0, head_width, 2) / head_width
    angles_LF = np.outer(np.arange(context), ROTATION_BASE**-exponents_F)
    return np.cos(angles_LF).astype(np.float32), np.sin(angles_LF).astype(np.float32)
