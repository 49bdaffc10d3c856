"""The parallel text of wmt: which published files make which split, and what is made of them.

Sources: AlgoPerf v0.6, wmt (splits, vocabulary, length, tokenizer's text); TensorFlow Datasets
4.9, `wmt17_translate/de-en` and `wmt14_translate/de-en` (files, archives, sizes, SHA-256 sums).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pacebench.preparing import Published

LANGUAGES = ("de", "en")
"""Of the inputs and of the targets."""
SPLITS = ("train", "validation", "test")
WMT17_STORED, WMT14_STORED = "wmt17_translate/de-en/1.0.0", "wmt14_translate/de-en/1.0.0"
STORED = {"train": WMT17_STORED, "validation": WMT14_STORED, "test": WMT14_STORED}
"""The data sets of TensorFlow Datasets that hold the splits, each under its own name."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """Two line-aligned published files."""

    name: str
    """As TensorFlow Datasets calls it; the stored order depends on it."""
    archive: str
    members: tuple[str, str]
    """The German and the English file, in the archive or below the folder it was unpacked in."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Corpus:
    """A data set of sentence pairs, and how it is cut into tokens."""

    name: str
    folder: str
    """Below --data-dir."""
    parts: Mapping[str, tuple[Part, ...]]
    """By split."""
    sizes: Mapping[str, int]
    """Sentence pairs of each split as published; without those of which one side is empty."""
    vocabulary_size: int
    max_length: int
    """Tokens of a sentence, its end included; a pair with a longer one is left out."""
    n_eval_train: int
    """Training pairs on which training's metric is measured, where there are so many."""
    tokenizer_text_bytes: int = 10_000_000
    """The tokenizer is trained on the first pairs that have so many bytes together."""
    help: str
    """What to do if it is not there."""


# Addresses, bytes and SHA-256: TensorFlow Datasets 4.9, url_checksums/wmt17_translate.txt.
ARCHIVES = {
    name: Published(
        n_bytes=n_bytes, algorithm="sha256", digest=digest, url=f"http://{folder}/{name}"
    )
    for name, folder, n_bytes, digest in (
        (
            "training-parallel-europarl-v7.tgz",
            "www.statmt.org/wmt13",
            657_632_379,
            "0224c7c710c8a063dfd893b0cc0830202d61f4c75c17eb8e31836103d27d96e7",
        ),
        (
            "training-parallel-commoncrawl.tgz",
            "www.statmt.org/wmt13",
            918_311_367,
            "c7a74e2ea01ac6c920123108627e35278d4ccb5701e15428ffa34de86fa3a9e5",
        ),
        (
            "training-parallel-nc-v12.tgz",
            "data.statmt.org/wmt17/translation-task",
            168_591_139,
            "2b45f30ef1d550d302fd17dd3a5cbe19134ccc4c2cf50c2dae534aee600101a2",
        ),
        (
            "rapid2016.tgz",
            "data.statmt.org/wmt18/translation-task",
            161_050_516,
            "41557dd5d8f0ed3a6d98bce3b798b1a9d3b68361eb99d902329ddbb943a6b55a",
        ),
        (
            "dev.tgz",
            "data.statmt.org/wmt19/translation-task",
            38_654_961,
            "7a7deccf82ebb05ba508dba5eb21356492224e8f630ec4f992132b029b4b25e7",
        ),
    )
}
EUROPARL, COMMONCRAWL, NEWS_COMMENTARY, RAPID, DEV = ARCHIVES

NEWS_COMMENTARY_PART = Part(
    name="newscommentary_v12",
    archive=NEWS_COMMENTARY,
    members=(
        "training/news-commentary-v12.de-en.de",
        "training/news-commentary-v12.de-en.en",
    ),
)
VALIDATION_PART = Part(
    name="newstest2013",
    archive=DEV,
    members=("dev/newstest2013.de", "dev/newstest2013.en"),
)
TEST_PART = Part(
    name="newstest2014",
    archive=DEV,
    members=("dev/newstest2014-deen-src.de.sgm", "dev/newstest2014-deen-ref.en.sgm"),
)
WMT17 = Corpus(
    name="wmt",
    folder="wmt",
    parts={
        "train": (
            Part(
                name="europarl_v7",
                archive=EUROPARL,
                members=("training/europarl-v7.de-en.de", "training/europarl-v7.de-en.en"),
            ),
            Part(
                name="commoncrawl",
                archive=COMMONCRAWL,
                members=("commoncrawl.de-en.de", "commoncrawl.de-en.en"),
            ),
            NEWS_COMMENTARY_PART,
            Part(
                name="rapid_2016",
                archive=RAPID,
                members=("rapid2016.de-en.de", "rapid2016.de-en.en"),
            ),
        ),
        "validation": (VALIDATION_PART,),
        "test": (TEST_PART,),
    },
    # AlgoPerf v0.6, wmt.
    sizes={"train": 5_906_184, "validation": 3_000, "test": 3_003},
    vocabulary_size=32_000,
    max_length=256,
    # AlgoPerf v0.6: as many as fill the 24 batches of 128 of the validation set.
    n_eval_train=3_072,
    help="workloads/wmt/README.md says how to get it",
)
# Ours: a generated language in the same files, with other sizes.
MINI = Corpus(
    name="wmt_mini",
    folder="wmt_mini",
    parts={
        "train": (NEWS_COMMENTARY_PART,),
        "validation": (VALIDATION_PART,),
        "test": (TEST_PART,),
    },
    sizes={"train": 20_000, "validation": 200, "test": 100},
    vocabulary_size=256,
    max_length=32,
    n_eval_train=100,
    help="pacebench data mini wmt_mini --data-dir DIR writes it",
)
