"""Generated data for finewebedu_lm_mini: texts of a planted grammar in raw files, then prepared.

The files are of the same kinds as the real ones: JSON lines, and a vocabulary with its merges.
Nothing is copied from a real text.
"""

from __future__ import annotations

import json
from pathlib import Path

from pacebench.spec import Report
from workloads.lm.corpus import END_OF_TEXT, MINI
from workloads.lm.grammar import draw_texts, words
from workloads.lm.prepare import prepare
from workloads.lm.tokens import BYTE_OF_SYMBOL

RAW_FOLDER = "raw"
N_TEXTS = 17_720  # 90% of them hold the 650,000 tokens of the training windows


def write_mini(data_dir: Path, report: Report) -> None:
    """Write `data_dir`/finewebedu_lm_mini, the same every time: text, vocabulary and tokens."""
    raw = data_dir / MINI.folder / RAW_FOLDER
    write_raw(raw, draw_texts(N_TEXTS))
    prepare(MINI, raw, data_dir, report)


def write_raw(raw: Path, texts: list[str]) -> None:
    """Write texts of the grammar's words as raw files; those that are there and right stay."""
    vocabulary, merges = _vocabulary()
    lines = (json.dumps({"id": i, "text": t}) for i, t in enumerate(texts))
    contents = {
        "texts.jsonl": "\n".join([*lines, ""]),
        "vocab.json": json.dumps(vocabulary),
        "merges.txt": "\n".join(["#version: 0.2", *merges, ""]),
    }
    raw.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        path = raw / name
        if not path.is_file() or path.read_text(encoding="utf-8") != content:
            path.write_text(content, encoding="utf-8")


def _vocabulary() -> tuple[dict[str, int], list[str]]:
    """Give the tokens' numbers, and the merges that make each word a token."""
    symbol_of = {byte: symbol for symbol, byte in BYTE_OF_SYMBOL.items()}
    space = symbol_of[ord(" ")]
    spelled = sorted(word for of_class in words() for word in of_class)
    starts = sorted({word[1] for word in spelled})
    merges = [f"{space} {c}" for c in starts] + [f"{space}{w[1]} {w[2]}" for w in spelled]
    tokens = [*BYTE_OF_SYMBOL, *(merge.replace(" ", "") for merge in merges), END_OF_TEXT]
    return {token: number for number, token in enumerate(tokens)}, merges
