"""Small raw downloads of wmt in their real layouts, and what a preparation wrote of them."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from workloads.wmt.corpus import MINI, WMT17, Part

N_PAIRS = {"europarl_v7": 40, "commoncrawl": 30, "newscommentary_v12": 20, "rapid_2016": 10}
N_VALIDATION, N_TEST = 6, 5

# As WMT17, for a text of 100 pairs.
TINY = replace(
    WMT17,
    sizes={"train": 100, "validation": N_VALIDATION, "test": N_TEST},
    vocabulary_size=40,
    max_length=40,
    n_eval_train=8,
)
TINY_PARTS = tuple(part for split in TINY.parts.values() for part in split)


def sentence(name: str, i: int, language: int) -> str:
    """Give a sentence that tells where it is from."""
    words = [("haus", "house"), ("grün", "green"), ("geht", "goes"), ("nicht", "not")]
    digits = [words[(i // 4**k) % 4][language] for k in range(4)]
    return " ".join([name[:4], *digits, str(i), "." if language else "!"])


def lines_of(part: Part) -> tuple[list[str], list[str]]:
    """Give the lines of a part's two files."""
    n = {"newstest2013": N_VALIDATION, "newstest2014": N_TEST, **N_PAIRS}[part.name]
    first, second = ([sentence(part.name, i, language) for i in range(n)] for language in (0, 1))
    return first, second


def file_of(member: str, lines: Sequence[str]) -> bytes:
    """Give a file's bytes: plain lines, or segments in SGML."""
    if not member.endswith(".sgm"):
        return "".join(f"{line}\n" for line in lines).encode()
    segments = [f'<seg id="{i}">{line}</seg>\n' for i, line in enumerate(lines, start=1)]
    return ("<srcset>\n<doc>\n<p>\n" + "".join(segments) + "</p>\n</doc>\n</srcset>\n").encode()


def write_archives(folder: Path, changed: Mapping[str, bytes] | None = None) -> Path:
    """Write the five archives, other languages in them too; `changed` are other bytes of files."""
    folder.mkdir(parents=True, exist_ok=True)
    archives: dict[str, dict[str, bytes]] = {}
    for part in TINY_PARTS:
        files = archives.setdefault(part.archive, {"training/other.fr-en.fr": b"bonjour\n"})
        for member, lines in zip(part.members, lines_of(part), strict=True):
            files[member] = (changed or {}).get(member, file_of(member, lines))
    for archive, files in archives.items():
        with tarfile.open(folder / archive, "w:gz") as tar:
            for name, content in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return folder


def write_unpacked(folder: Path) -> Path:
    """Write the files of the archives as they lie once unpacked."""
    for part in TINY_PARTS:
        for member, lines in zip(part.members, lines_of(part), strict=True):
            path = folder / member
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file_of(member, lines))
    return folder


def quiet(what: str, done: int, total: int) -> None:
    """Take reports; they go forward and stay below the total."""
    assert what
    assert 0 <= done <= total


def contents(folder: Path) -> dict[str, bytes]:
    """Give the bytes of all files below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def manifest_of(folder: Path) -> dict[str, Any]:
    """Give a manifest."""
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return manifest


def write_tiny_mini(data_dir: Path, n_train: int = 60) -> None:
    """Write wmt_mini with few sentences, prepared with wmt_mini's settings."""
    from workloads.wmt.mini import write_raw
    from workloads.wmt.prepare import prepare

    corpus = replace(MINI, sizes={"train": n_train, "validation": 12, "test": 8})
    raw = data_dir / corpus.folder / "raw"
    write_raw(raw, corpus)
    prepare(corpus, raw, data_dir, quiet)


def sentences_of(folder: Path, split: str, side: str) -> list[list[int]]:
    """Give the tokens of every sentence of a prepared split, read plainly."""
    tokens = np.load(folder / f"{split}.{side}.npy").tolist()
    column = ("inputs", "targets").index(side)
    sentences = []
    for length in np.load(folder / f"{split}.lengths.npy")[:, column].tolist():
        sentences.append(tokens[:length])
        tokens = tokens[length:]
    assert not tokens
    return sentences
