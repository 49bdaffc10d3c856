"""The DeepSpeech models of librispeech_deepspeech and its variants: configurations and names.

Sources: AlgoPerf v0.6, librispeech_deepspeech (`jax`); Amodei et al. 2015 (arXiv:1512.02595).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pacebench.errors import PacebenchError
from workloads.librispeech.shapes import BATCH_NORM_DECAY, n_positions_of
from workloads.librispeech.spec_augment import SpecAugment

GATES = ("i", "f", "g", "o")
"""An LSTM's gates: input, forget, candidate (tanh; the others are sigmoids), output."""
DIRECTIONS = ("forwards", "backwards")


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """The model; the defaults are AlgoPerf's (v0.6, librispeech_deepspeech)."""

    width: int = 512
    """Even: the LSTMs have half of it in each direction."""
    n_recurrent_layers: int = 6
    n_feed_forward_layers: int = 3
    strides: tuple[int, int] = (2, 2)
    """Of the two convolutions before the layers, along time and mel bins alike."""
    vocabulary_size: int = 1024
    """Classes, the blank 0 included."""
    n_samples: int = 320_000
    """The longest waveform: 20 s."""
    activation: str = "relu"
    """Of the convolutions and the feed-forward layers."""
    is_residual: bool = True
    is_layer_norm_everywhere: bool = False
    """Whether the layers have layer norm for batch norm, and none stands before the output."""
    batch_norm_decay: float = BATCH_NORM_DECAY
    """What the running averages keep of themselves at each step."""
    dropout_rate: float = 0.1
    """The rate where a call names none."""
    spec_augment: SpecAugment | None = field(default_factory=SpecAugment)

    def __post_init__(self) -> None:
        """Raise PacebenchError where the width does not halve."""
        if self.width % 2:
            raise PacebenchError(f"two directions share the width, so it is even, not {self.width}")

    @property
    def n_positions(self) -> int:
        """Positions that the longest waveform has logits for."""
        return n_positions_of(self.n_samples, self.strides)


FULL = Config()
TANH = replace(FULL, activation="tanh")
NO_RESNET = replace(FULL, is_residual=False)
NORM_AND_SPEC_AUG = replace(
    FULL,
    is_layer_norm_everywhere=True,
    spec_augment=SpecAugment(n_time_stripes=15, n_frequency_stripes=4),
)
# Ours: the same code on 1.5 s of speech with few words, for one CPU core.
MINI = Config(
    width=112,
    n_recurrent_layers=2,
    n_feed_forward_layers=1,
    vocabulary_size=64,
    n_samples=24_000,
    batch_norm_decay=0.9,  # a few hundred steps are too few for 0.999
    spec_augment=SpecAugment(n_time_stripes=2, n_frequency_stripes=1, widest_frequency_bins=10),
)

# AlgoPerf v0.6 in jax, by the name of the workload; its torch has a second bias in every LSTM.
N_PARAMETERS = {
    "librispeech_deepspeech": 18_381_312,
    "librispeech_deepspeech_tanh": 18_381_312,
    "librispeech_deepspeech_no_resnet": 18_381_312,
    "librispeech_deepspeech_norm_and_spec_aug": 18_380_288,
}
OUTPUT_PARAMETERS = {
    "torch": ("lin.weight", "lin.bias"),
    "jax": ("Dense_0/kernel", "Dense_0/bias"),
}


def layout_of(config: Config) -> dict[str, str]:
    """Give the layout of a model."""
    layout = {f"subsample.conv{i + 1}": f"Subsample_0/Conv2dSubsampling_{i}" for i in range(2)}
    layout["subsample.linear"] = "Subsample_0/Dense_0"
    norm = ("ln", "LayerNorm_0") if config.is_layer_norm_everywhere else ("bn", "BatchNorm_0")
    for i in range(config.n_recurrent_layers):
        layer, path = f"lstms.{i}", f"BatchRNN_{i}"
        layout[f"{layer}.{norm[0]}"] = f"{path}/{norm[1]}"
        for k, direction in enumerate(DIRECTIONS):
            cell = f"{path}/LSTM_0/LSTM/LSTMSequenceEncoder_{k}/cell"
            for gate in GATES:
                layout[f"{layer}.lstm.{direction}.input_{gate}"] = f"{cell}/i{gate}"
                layout[f"{layer}.lstm.{direction}.state_{gate}"] = f"{cell}/h{gate}"
    for i in range(config.n_feed_forward_layers):
        layer, path = f"ffns.{i}", f"FeedForwardModule_{i}"
        layout[f"{layer}.{norm[0]}"] = f"{path}/{norm[1]}"
        layout[f"{layer}.lin"] = f"{path}/Dense_0"
    if not config.is_layer_norm_everywhere:
        layout["ln"] = "LayerNorm_0"
    return layout | {"lin": "Dense_0"}
