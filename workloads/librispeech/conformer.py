"""The Conformers of librispeech_conformer and its variants: configurations and names.

Sources: AlgoPerf v0.6, librispeech_conformer (`jax`); Gulati et al. 2020 (arXiv:2005.08100).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pacebench.errors import PacebenchError
from workloads.librispeech.shapes import BATCH_NORM_DECAY, n_positions_of
from workloads.librispeech.spec_augment import SpecAugment

QUERY_FACTOR = 1.442695041
"""1 / softplus(0): a query scale that starts at 0 multiplies by 1. AlgoPerf v0.6, `QueryScaler`."""
FEED_FORWARD_SHARE = 0.5
"""What is added of a feed-forward module's output (Gulati et al. 2020, section 2.4)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """The model; the defaults are AlgoPerf's (v0.6, librispeech_conformer)."""

    width: int = 512
    n_blocks: int = 4
    n_heads: int = 8
    feed_forward_expansion: int = 4
    kernel_size: int = 5
    """Positions that the depthwise convolution sees; odd."""
    strides: tuple[int, int] = (2, 2)
    """Of the two convolutions before the blocks, along time and mel bins alike."""
    vocabulary_size: int = 1024
    """Classes, the blank 0 included."""
    n_samples: int = 320_000
    """The longest waveform: 20 s."""
    activation: str = "swish"
    position_scale: float = 1.0
    """Multiplies the sines and cosines of the positions."""
    attention_temperature: float = 1.0
    """Multiplies what the attention gives (not its logits)."""
    has_post_norm: bool = True
    """Whether a block ends in a layer norm."""
    batch_norm_decay: float = BATCH_NORM_DECAY
    """What the running averages keep of themselves at each step."""
    dropout_rate: float = 0.1
    """The rate where a call names none."""
    spec_augment: SpecAugment | None = field(default_factory=SpecAugment)

    def __post_init__(self) -> None:
        """Raise PacebenchError where heads or the kernel do not come out even."""
        if self.width % self.n_heads:
            raise PacebenchError(f"{self.n_heads} heads do not share a width of {self.width}")
        if self.width % 2 or self.width < 4:
            raise PacebenchError(f"the positions need an even width from 4, not {self.width}")
        if self.kernel_size % 2 == 0:
            raise PacebenchError(f"the kernel size must be odd, not {self.kernel_size}")

    @property
    def n_positions(self) -> int:
        """Positions that the longest waveform has logits for."""
        return n_positions_of(self.n_samples, self.strides)


FULL = Config()
ATTENTION_TEMPERATURE = replace(FULL, attention_temperature=1.6)
LAYERNORM = replace(FULL, has_post_norm=False)
GELU = replace(FULL, activation="gelu")
# Ours: the same code on 1.5 s of speech with few words, for one CPU core.
MINI = Config(
    width=64,
    n_blocks=2,
    n_heads=4,
    vocabulary_size=64,
    n_samples=24_000,
    # At first, what differs between two positions is 0.05 of speech and 0.2 of sines: with a scale
    # of 1, some seeds write nothing for a hundred steps, others for three hundred.
    position_scale=0.1,
    batch_norm_decay=0.9,  # a few hundred steps are too few for 0.999
    spec_augment=SpecAugment(n_time_stripes=1, n_frequency_stripes=1, widest_frequency_bins=4),
)

# AlgoPerf v0.6, both frameworks, by the name of the workload.
N_PARAMETERS = {
    "librispeech_conformer": 32_321_792,
    "librispeech_conformer_attention_temperature": 32_321_792,
    "librispeech_conformer_layernorm": 32_317_696,
    "librispeech_conformer_gelu": 32_321_792,
}
OUTPUT_PARAMETERS = {
    "torch": ("lin.weight", "lin.bias"),
    "jax": ("Dense_0/kernel", "Dense_0/bias"),
}


def layout_of(config: Config) -> dict[str, str]:
    """Give the layout of a model.

    Flax keeps the heads of an attention apart and torch does not, so whoever carries weights by it
    hands the shapes of the arriving model to `pacebench.backends.carry` too.
    """
    layout = {f"subsample.conv{i + 1}": f"Subsample_0/Conv2dSubsampling_{i}" for i in range(2)}
    layout["subsample.linear"] = "Subsample_0/Dense_0"
    for i in range(config.n_blocks):
        layout |= _block(f"conformers.{i}", f"ConformerBlock_{i}", config)
    return layout | {"ln": "LayerNorm_0", "lin": "Dense_0"}


def _block(block: str, path: str, config: Config) -> dict[str, str]:
    layout = {}
    for i in range(2):
        module, at = f"{block}.ff{i + 1}", f"{path}/FeedForwardModule_{i}"
        layout |= {f"{module}.ln": f"{at}/LayerNorm_0"}
        layout |= {f"{module}.linear{k + 1}": f"{at}/Dense_{k}" for k in range(2)}
    attention = f"{path}/MultiHeadedSelfAttention_0"
    layout[f"{block}.mhsa.ln"] = f"{attention}/LayerNorm_0"
    heads, at = f"{block}.mhsa.self_attention", f"{attention}/MultiHeadDotProductAttention_0"
    layout |= {f"{heads}.{role}": f"{at}/{role}" for role in ("query", "key", "value", "out")}
    layout[f"{heads}.qs.scale"] = f"{at}/QueryScaler_0/scale"
    conv, at = f"{block}.conv", f"{path}/ConvolutionBlock_0"
    layout |= {f"{conv}.lin{i + 1}": f"{at}/Dense_{i}" for i in range(3)}
    layout |= {f"{conv}.ln": f"{at}/LayerNorm_0", f"{conv}.conv1": f"{at}/Conv_0"}
    layout[f"{conv}.bn"] = f"{at}/BatchNorm_0"
    if config.has_post_norm:
        layout[f"{block}.ln"] = f"{path}/LayerNorm_0"
    return layout
