"""Generated data for wmt_mini: sentence pairs in the raw files of WMT, prepared as the real ones.

Nothing is copied from a real text.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pacebench.spec import Report
from workloads.wmt.corpus import MINI, SPLITS, Corpus
from workloads.wmt.mini_language import Sentence, draw_sentence, make_lexicon
from workloads.wmt.prepare import prepare

RAW_FOLDER = "raw"
SEED = 17


def write_mini(data_dir: Path, report: Report) -> None:
    """Write `data_dir`/wmt_mini, the same every time: the raw text, and the tokens made of it."""
    raw = data_dir / MINI.folder / RAW_FOLDER
    write_raw(raw)
    prepare(MINI, raw, data_dir, report)


def write_raw(raw: Path, corpus: Corpus = MINI) -> None:
    """Write the raw text in WMT's layout; files that are there and right stay."""
    for split, drawn in draw_splits(corpus).items():
        (part,) = corpus.parts[split]
        texts = [s.first() for s in drawn], [s.second() for s in drawn]
        for member, lines in zip(part.members, texts, strict=True):
            content = _sgml(lines) if member.endswith(".sgm") else "\n".join([*lines, ""])
            path = raw / member
            if not path.is_file() or path.read_text(encoding="utf-8") != content:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content, encoding="utf-8")


def draw_splits(corpus: Corpus = MINI) -> dict[str, list[Sentence]]:
    """Give the sentences of every split; no two are the same."""
    rng = np.random.default_rng(SEED)
    lexicon = make_lexicon(rng)
    seen: set[str] = set()
    splits: dict[str, list[Sentence]] = {}
    for split in reversed(SPLITS):
        sentences = splits[split] = []
        while len(sentences) < corpus.sizes[split]:
            sentence = draw_sentence(lexicon, rng)
            if sentence.first() not in seen:
                seen.add(sentence.first())
                sentences.append(sentence)
    return splits


def _sgml(lines: list[str]) -> str:
    segments = (f'<seg id="{i}">{line}</seg>' for i, line in enumerate(lines, start=1))
    return "\n".join(['<srcset setid="mini" srclang="any">', *segments, "</srcset>", ""])
