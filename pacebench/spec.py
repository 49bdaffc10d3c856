"""The public nouns: what a workload, a parameter, a model call and a submission's metadata are.

This file imports no framework and reads nothing at import, so that everything may import it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# A batch is a dict of arrays, or of (nested) tuples of arrays; the leading axis is the batch.
# The arrays are numpy's, torch's or jax's, depending on who holds the batch.
Batch = dict[str, Any]
# What a metric keeps between batches: named sums (float64) or whole arrays.
Partial = dict[str, Any]

FRAMEWORKS = ("torch", "jax")
SPLITS = ("train", "validation", "test")


class Loss(StrEnum):
    """The losses of AlgoPerf v0.5/v0.6 (`spec.LossType`)."""

    SOFTMAX_CROSS_ENTROPY = "softmax_cross_entropy"
    SIGMOID_CROSS_ENTROPY = "sigmoid_cross_entropy"
    MEAN_SQUARED_ERROR = "mean_squared_error"
    CTC = "ctc"
    MEAN_ABSOLUTE_ERROR = "mean_absolute_error"


class EvalOutputs(StrEnum):
    """What evaluation brings from the device of a model's outputs (of a tuple: of its first)."""

    ALL = "all"
    ARGMAX = "argmax"
    """The index of the largest value along the last axis: classes or tokens instead of logits."""
    NOTHING = "nothing"
    """None: the metric needs the loss alone."""


class ParameterKind(IntEnum):
    """What a parameter is in its layer; numbers as AlgoPerf v0.6 `spec.ParameterType`."""

    WEIGHT = 0
    BIAS = 1
    CONV_WEIGHT = 2
    BATCH_NORM_SCALE = 3
    BATCH_NORM_BIAS = 4
    LAYER_NORM_SCALE = 5
    LAYER_NORM_BIAS = 6
    EMBEDDING = 7
    ATTENTION_Q = 8
    ATTENTION_K = 9
    ATTENTION_V = 10
    ATTENTION_OUT = 11
    ATTENTION_QKV = 12
    ATTENTION_KV = 13
    ATTENTION_BIAS = 14


@dataclass(frozen=True, kw_only=True, slots=True)
class Mode:
    """How a model is called; the two batch-norm switches are independent of each other."""

    train: bool
    dropout_rate: float | None = None
    """Probability of dropping a unit; None means the model's default, 0 draws nothing."""
    normalize_with: Literal["batch", "running"]
    """Batch norm's statistics: of the global batch, or the running averages."""
    update_running: bool
    """Whether batch norm's running averages take this batch in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Decoding:
    """How a model writes sequences in evaluation, by beam search (`pacebench.beam_search`).

    The defaults are AlgoPerf's (v0.6, wmt, `decode.py`).
    """

    beam_size: int = 4
    length_penalty: float = 0.6
    """Its exponent: the log-probability of n tokens is divided by ((5 + n) / 6) to its power."""
    max_length: int = 256
    """Positions of a sequence, the start token's among them: one more than it may have tokens."""
    start_token: int = 0
    end_token: int = 2
    splits: tuple[str, ...] = SPLITS
    """The splits whose metrics read what was written."""


# advance(parents_BK, tokens_BK) -> (log_p_BKM, tokens_BKM): appends a token (int32) to each of the
# beams `parents_BK` (int32) and gives the log-probabilities (float32) of the M = 2K likeliest next
# tokens (int32) of each beam, best first; M is the vocabulary's size where that is smaller.
Advance = Callable[
    ["NDArray[np.int32]", "NDArray[np.int32]"],
    tuple["NDArray[np.float32]", "NDArray[np.int32]"],
]


@dataclass(frozen=True, kw_only=True, slots=True)
class LossValue:
    """A loss of one batch, as AlgoPerf's `loss_fn` gives it, in the framework's arrays."""

    summed: Any
    """Scalar: the sum over the valid examples (or tokens, or labels)."""
    n_valid_examples: Any
    """Scalar: how many examples (or tokens, or labels) `summed` holds."""
    per_example: Any
    """The losses before summing, masked; leading axis = batch."""


class Source(Protocol):
    """One split of a data set, readable at any index."""

    size: int

    def read(self, indices_B: NDArray[np.int64], seeds_B: NDArray[np.uint64]) -> Batch:
        """Give the examples at `indices_B` as a batch of numpy arrays.

        `seeds_B` holds one seed per example, f(seed, epoch, index); a source that augments draws
        from nothing else (`pacebench.seeds.uniform`), so an example does not depend on its batch.
        """
        ...


class EpochOrder(Protocol):
    """The order in which an epoch goes through a source; an array of indices is one."""

    def __getitem__(self, places: slice, /) -> NDArray[np.int64]:
        """Give the indices of the examples at these places of the epoch, fewer at its end."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class DataRequest:
    """Where the data lies, whether fewer rows than published will do, and how it is read."""

    data_dir: Path | None = None
    allow_partial: bool = False
    n_threads: int = 1
    """Threads that may decode examples side by side; what is read does not depend on it."""


Report = Callable[[str, int, int], None]
"""Told while data is written: what is worked on, how much is done, and how much there is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DataTools:
    """How a workload's data comes to the disk: addresses "module:attr", imported when used.

    All write below `data_dir` what `open_sources` reads there, and raise DataError.
    """

    prepare: str = ""
    """prepare(raw_dir: Path, data_dir: Path, report: Report) -> None, from the raw download;
    what was prepared before is checked and kept, an interrupted run goes on."""
    needed_bytes: str = ""
    """needed_bytes(raw_dir: Path, data_dir: Path) -> int: what `prepare` will still write."""
    raw_files: tuple[str, ...] = ()
    """The names of the raw download, for help and messages."""
    downloads: str = ""
    """A mapping of file names to `pacebench.preparing.Published` with their addresses: the raw
    download, where it is free for all."""
    mini: str = ""
    """mini(data_dir: Path, report: Report) -> None: writes generated data of a MINI workload."""
    mini_version: int = 1
    """Raised whenever other data is generated."""


class Metric(Protocol):
    """A metric over a split, computed in numpy from the outputs of all its batches.

    Padded examples carry weight 0 in `batch["weights"]` (float32, of the shape of the source's own
    weights; one per example where the source gives none).
    Partials of one split may be merged in any grouping, but always in the data's order.
    """

    def update(self, outputs: Any, loss: LossValue, batch: Batch) -> Partial:
        """Give the partial of one batch; `outputs` (see EvalOutputs), `loss` and `batch` are numpy
        arrays."""
        ...

    def merge(self, left: Partial, right: Partial) -> Partial:
        """Give the partial of two neighbouring parts."""
        ...

    def finish(self, partial: Partial, n_examples: int) -> dict[str, float]:
        """Give the named metrics of a whole split of `n_examples` examples."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Workload:
    """Everything fixed about a training problem, but for targets and budgets (those are rules)."""

    name: str
    description: str
    suites: tuple[str, ...]
    sizes: Mapping[str, int]
    """Published number of examples of `train`, `eval_train`, `validation` and `test` (0: none)."""
    data_folder: str | None
    """The folder below --data-dir that holds the data; None if it needs no data folder."""
    find_sizes: Callable[[DataRequest], dict[str, int]]
    """Checks quickly that the data is there and gives the sizes found; raises DataError."""
    open_sources: Callable[[DataRequest], dict[str, Source]]
    """Opens `train`, `eval_train`, `validation` and, if there is one, `test`; raises DataError."""
    loss: Loss
    metric: Metric
    model_config: Any  # a frozen dataclass of the workload's own, handed to its two models
    torch_model: str
    """Address "module:attr" of build(config) -> torch.nn.Module with forward(batch, mode)."""
    flax_model: str
    """Address "module:attr" of build(config) -> flax.linen.Module called with (batch, mode)."""
    n_parameters: int
    layout: Mapping[str, str]
    """Module names of torch -> module paths of flax; carries weights between the frameworks."""
    output_parameters: Mapping[str, tuple[str, ...]]
    """Names of the output layer's parameters, by framework."""
    batch_size: int
    """The global training batch of the reference, used where a submission names none."""
    eval_batch_size: int
    data_tools: DataTools = field(default_factory=DataTools)
    mix: Callable[[Batch, int], Batch] | None = None
    """A transform of the global batch in training, as mixup: mix(rows, seed), where `rows` are a
    rank's slice of the global batch behind the row before it (the last one before the first),
    and `seed` is one of the global batch; gives the slice's rows. None changes nothing."""
    epoch_order: Callable[[Source, int], EpochOrder] | None = None
    """epoch_order(train, seed): the order of an epoch, of which only slices are asked for, where a
    random order of all examples is not meant, or too long to be held; every example comes once."""
    has_fixed_draws: bool = False
    """Whether an example draws the same numbers in every epoch of a trial, as a scan's mask."""
    is_read_ahead: bool = False
    """Whether batches are made by threads while the model trains: data that must be decoded."""
    eval_outputs: EvalOutputs = EvalOutputs.ALL
    decoding: Decoding | None = None
    """Evaluation writes a sequence for every example and hands the metric `batch["decoded"]`,
    int32 [B, max_length - 1]. The models (in flax: their methods) then offer, as in evaluation,
    start(batch, decoding) -> cache, whose arrays have the batch as their leading axis, and
    advance(cache, parents_BK, tokens_BK, position) -> (logits_BKV, cache) after one more token,
    which may write into the cache given."""
    open_metric: Callable[[DataRequest], Metric] | None = None
    """Gives the metric where it needs files of the data set, as the tokenizer that text was cut
    with; it then stands in for `metric`. Raises DataError."""
    default_dropout_rate: float = 0.0
    algoperf_name: str = ""
    """The AlgoPerf name by which a foreign submission is asked for its batch size."""
    algoperf_batch_divisor: int = 1
    """What it then answers is divided by this: MINI's batches are small."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LearningRateScaling:
    """How the learning rate follows the batch size (`pacebench.batch_scaling`)."""

    rule: str
    """"linear" or "sqrt"."""
    base: int
    """The global batch size for which the learning rates of the space are meant."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Submission:
    """A training algorithm as its metadata describes it; its Python is imported by trials only."""

    name: str
    framework: str
    style: Literal["make", "algorithm", "library", "algoperf"]
    """Level 1, level 2, a library's class, or AlgoPerf's five functions."""
    source: Path | None
    """The folder or file that holds the code; None for a library's class."""
    address: str
    """"module:attr", the module below `source` where there is one."""
    search_space: Any = None  # as JSON or TOML gave it, or as `tuning.space` parsed it
    self_tuning: Mapping[str, Any] | None = None
    """The fixed values it uses under self-tuning; None if it is not a self-tuning submission."""
    batch_sizes: Mapping[str, int] = field(default_factory=dict)
    """Global batch size by workload name; "default" serves the others."""
    learning_rate_scaling: LearningRateScaling | None = None
    authors: tuple[str, ...] = ()
    description: str = ""
    paper: str = ""
    licence: str = ""
    """Of the implementation: ours, or the library's that stands behind it."""


class Finished(Exception):  # noqa: N818 (a signal, not an error)
    """Raised by a submission's step to say that it is done: a last evaluation follows."""
