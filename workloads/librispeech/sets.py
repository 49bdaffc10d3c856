"""The two sets of utterances: LibriSpeech as AlgoPerf uses it, and the generated one of MINI."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

SAMPLE_RATE = 16_000
"""Of LibriSpeech (Panayotov et al. 2015), samples per second."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SpeechSet:
    """A data set as it is published, and what is kept of it."""

    name: str
    folder: str
    """Below --data-dir."""
    subsets: Mapping[str, tuple[str, ...]]
    """Of each split, in the order in which they are joined."""
    n_raw: Mapping[str, int]
    """Utterances of each subset before any is left out."""
    sizes: Mapping[str, int]
    """Utterances of each split that are kept."""
    n_eval_train: int
    """Training utterances on which training's metric is measured, where there are so many."""
    n_pieces: int
    """Of the tokenizer: tokens 0 to n_pieces - 1."""
    tokenizer_subset: str
    """The subset on whose transcripts the tokenizer is trained."""
    max_characters: int
    """Utterances with a longer transcript are left out."""
    max_samples: int
    """Longer utterances are left out; all are padded to this length."""
    max_tokens: int
    """Targets, with the token that ends them, are padded to this length."""
    help: str
    """What to do if it is not there."""

    @property
    def all_subsets(self) -> tuple[str, ...]:
        """Every subset, in the order of the splits."""
        return tuple(name for names in self.subsets.values() for name in names)


# AlgoPerf v0.6, librispeech_conformer: splits, numbers of utterances, limits and tokenizer.
LIBRISPEECH = SpeechSet(
    name="librispeech",
    folder="librispeech",
    subsets={
        "train": ("train-clean-100", "train-clean-360", "train-other-500"),
        "validation": ("dev-clean", "dev-other"),
        "test": ("test-clean",),
    },
    n_raw={
        "train-clean-100": 28_539,
        "train-clean-360": 104_014,
        "train-other-500": 148_688,
        "dev-clean": 2_703,
        "dev-other": 2_864,
        "test-clean": 2_620,
    },
    sizes={"train": 263_840, "validation": 5_348, "test": 2_472},
    # As many as fill the batches of 256 (and of 128) of the validation set.
    n_eval_train=5_376,
    n_pieces=1_024,
    tokenizer_subset="train-clean-100",
    max_characters=256,
    max_samples=20 * SAMPLE_RATE,
    max_tokens=256,
    help="workloads/librispeech/README.md says how to get it",
)

N_SPOKEN = {"train-clean-100": 1_600, "dev-clean": 200, "test-clean": 200}
"""Utterances that `workloads.librispeech.mini` writes, by the subset they stand for."""
# Ours: short utterances in a language of few letters.
SPOKEN = SpeechSet(
    name="librispeech_mini",
    folder="librispeech_mini",
    subsets={
        "train": ("train-clean-100",),
        "validation": ("dev-clean",),
        "test": ("test-clean",),
    },
    n_raw=N_SPOKEN,
    sizes={
        "train": N_SPOKEN["train-clean-100"],
        "validation": N_SPOKEN["dev-clean"],
        "test": N_SPOKEN["test-clean"],
    },
    n_eval_train=200,
    n_pieces=24,
    tokenizer_subset="train-clean-100",
    max_characters=32,
    max_samples=24_000,
    max_tokens=24,
    help="pacebench data mini librispeech_conformer_mini --data-dir DIR writes it",
)
