"""What the language models are trained on: the published data set, and the generated one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from workloads.lm.grammar import N_TOKENS

Split = Literal["train", "validation"]
SPLITS: tuple[Split, ...] = ("train", "validation")
END_OF_TEXT = "<|endoftext|>"


@dataclass(frozen=True, kw_only=True, slots=True)
class Corpus:
    """A data set as training reads it."""

    name: str
    folder: str
    """Below --data-dir."""
    context: int
    """Tokens of an input; a window holds one more."""
    n_vocab: int
    sizes: Mapping[Split, int]
    """Windows of every split; there is no test split."""
    n_eval_train: int
    """Training windows on which training's metric is measured, where there are so many."""
    merges_sha256: str | None
    """Of the published vocabulary's merges; None takes any."""
    help: str
    """What to do if it is not there."""

    @property
    def window(self) -> int:
        """Tokens of a window: windows lie one behind the other and share none."""
        return self.context + 1


FINEWEB_EDU = Corpus(
    name="finewebedu_lm",
    folder="finewebedu_lm",
    context=1024,
    n_vocab=50_257,
    # AlgoPerf v1.0, finewebedu_lm: num_train_examples, num_validation_examples and
    # num_eval_train_examples.
    sizes={"train": 8_749_870, "validation": 100_000},
    n_eval_train=10_000,
    # OpenAI's GPT-2: vocab.bpe, Hugging Face's merges.txt; the sum is stated in tiktoken's source
    # (tiktoken_ext/openai_public.py).
    merges_sha256="1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
    help="workloads/lm/README.md says how to get it",
)
MINI = Corpus(
    name="finewebedu_lm_mini",
    folder="finewebedu_lm_mini",
    context=64,
    n_vocab=N_TOKENS,
    sizes={"train": 10_000, "validation": 400},
    n_eval_train=400,
    merges_sha256=None,
    help="pacebench data mini finewebedu_lm_mini --data-dir DIR writes it",
)
