"""Prepares the language models' data: from raw text to streams of tokens in shuffled order.

`workloads.lm.files` says what is written. What it is on the way with lies in <folder>/.prepare and
is deleted at the end: the tokens of all documents in the order of the raw files. An interrupted run
goes on behind the last block of about 32 MiB of text.
"""

from __future__ import annotations

import logging
import os
import shutil
import zlib
from pathlib import Path

from pacebench.errors import DataError
from pacebench.manifests import MANIFEST, first_damaged
from pacebench.preparing import disk_errors, locked
from pacebench.spec import Report
from workloads.lm.blocks import tokenize_all
from workloads.lm.corpus import FINEWEB_EDU, SPLITS, Corpus
from workloads.lm.documents import READERS, text_bytes
from workloads.lm.files import FORMAT, read_manifest
from workloads.lm.tokens import (
    MERGES_FILES,
    VOCABULARY_FILES,
    find_vocabulary,
    open_tokenizer,
    sha256_of,
)
from workloads.lm.writing import write_all

RAW_FILES = (VOCABULARY_FILES[0], MERGES_FILES[0], *(f"*{suffix}" for suffix in READERS))
STATE_FOLDER, IDENTITY_FILE = ".prepare", "identity"
# English text in GPT-2's tokens (4.4 to 4.7 bytes each on the texts tried), on the safe side.
BYTES_PER_TOKEN = 4.0
_ENDS_BYTES = 1 << 20
"""Of a raw file's beginning and end, by which it is known again."""

_log = logging.getLogger(__name__)


def prepare_fineweb_edu(raw_dir: Path, data_dir: Path, report: Report) -> None:
    """Write `data_dir`/finewebedu_lm from the files of FineWeb-Edu; raises DataError."""
    prepare(FINEWEB_EDU, raw_dir, data_dir, report)


def needed_bytes_fineweb_edu(raw_dir: Path, data_dir: Path) -> int:
    """Give about how many bytes `prepare_fineweb_edu` will still write; raises DataError."""
    return needed_bytes(FINEWEB_EDU, raw_dir, data_dir)


def needed_bytes(corpus: Corpus, raw_dir: Path, data_dir: Path) -> int:
    """Give about how many bytes `prepare` will still write; raises DataError."""
    folder = data_dir / corpus.folder
    with disk_errors(corpus.name):
        raw = find_raw(raw_dir)
        if _is_whole(corpus, folder, raw, raw_dir):
            return 0
        _check_raw(corpus, raw, raw_dir)
        # Two bytes a token, in the order of the raw files and again shuffled.
        n_bytes = int(4 * sum(text_bytes(path) for path in raw) / BYTES_PER_TOKEN)
        if _is_begun(folder, _identity(corpus, raw, raw_dir)):
            n_bytes -= sum(path.stat().st_size for path in _own_files(folder))
        return max(0, n_bytes)


def prepare(corpus: Corpus, raw_dir: Path, data_dir: Path, report: Report) -> None:
    """Write a corpus. What is there and whole is kept. Raises DataError."""
    folder = data_dir / corpus.folder
    state = folder / STATE_FOLDER
    with disk_errors(corpus.name):
        raw = find_raw(raw_dir)
        if not _is_whole(corpus, folder, raw, raw_dir, report):
            _check_raw(corpus, raw, raw_dir)
            with locked(state):
                _prepare(corpus, raw, raw_dir, folder, report)
        shutil.rmtree(state, ignore_errors=True)


def _prepare(corpus: Corpus, raw: list[Path], raw_dir: Path, folder: Path, report: Report) -> None:
    state = folder / STATE_FOLDER
    merges_sha256 = sha256_of(find_vocabulary(corpus, raw_dir)[1])
    if corpus.merges_sha256 not in (None, merges_sha256):
        _log.warning(
            "%s: the vocabulary in %s is not GPT-2's; its tokens train only with "
            "--allow-partial-data",
            *(corpus.name, raw_dir),
        )
    tokenizer = open_tokenizer(corpus, raw_dir)
    identity = _identity(corpus, raw, raw_dir)
    _begin(folder, identity)
    total = int(sum(text_bytes(path) for path in raw))
    done = 0

    def tell(what: str, n_bytes: int) -> None:
        nonlocal done
        done += n_bytes
        report(what, done, max(done, total))

    n_threads = len(os.sched_getaffinity(0))
    documents = tokenize_all(raw, state, tokenizer, n_threads, tell)
    if documents.n_empty:
        _log.warning("%s: %s empty documents left out", corpus.name, f"{documents.n_empty:,}")
    total = done + 2 * len(documents.tokens)
    (folder / MANIFEST).unlink(missing_ok=True)
    write_all(corpus, documents, folder, {"raw": identity, "merges_sha256": merges_sha256}, tell)


def find_raw(raw_dir: Path) -> list[Path]:
    """Give the raw files below a folder, in the order of their paths."""
    return sorted(
        p for p in raw_dir.rglob("*") if p.suffix in READERS and p.name not in MERGES_FILES
    )


def _check_raw(corpus: Corpus, raw: list[Path], raw_dir: Path) -> None:
    find_vocabulary(corpus, raw_dir)
    if not raw:
        raise DataError(
            f"{corpus.name}: {raw_dir} holds no {', '.join(READERS)} files; {corpus.help}"
        )


def _is_whole(
    corpus: Corpus, folder: Path, raw: list[Path], raw_dir: Path, report: Report | None = None
) -> bool:
    """Say whether all is there, made of this raw data (or of what is gone).

    With `report` sums are compared too.
    """
    try:
        manifest = read_manifest(folder)
    except DataError:
        return False
    if manifest is None or (raw and manifest["raw"] != _identity(corpus, raw, raw_dir)):
        return False
    damaged = first_damaged(folder, manifest, report)
    if damaged is not None and report is not None:
        damaged.unlink(missing_ok=True)  # it must not be gone on with
    return damaged is None


def _identity(corpus: Corpus, raw: list[Path], raw_dir: Path) -> str:
    """Give a text that changes with raw files, vocabulary or settings."""
    crc = 0
    for path in raw:
        n_bytes = path.stat().st_size
        with path.open("rb") as file:
            ends = file.read(_ENDS_BYTES)
            file.seek(max(0, n_bytes - _ENDS_BYTES))
            ends += file.read(_ENDS_BYTES)
        crc = zlib.crc32(f"{path.relative_to(raw_dir)} {n_bytes} ".encode() + ends, crc)
    sums = " ".join(sha256_of(path) for path in find_vocabulary(corpus, raw_dir))
    return f"{FORMAT} {corpus.n_vocab} {corpus.window} {len(raw)} {crc:08x} {sums}"


def _begin(folder: Path, identity: str) -> None:
    """Start, or go on where an earlier run of the same raw data and settings was interrupted."""
    if not _is_begun(folder, identity):
        for path in _own_files(folder):
            path.unlink()
        (folder / STATE_FOLDER / IDENTITY_FILE).write_text(identity, encoding="utf-8")


def _is_begun(folder: Path, identity: str) -> bool:
    note = folder / STATE_FOLDER / IDENTITY_FILE
    return note.is_file() and note.read_text(encoding="utf-8") == identity


def _own_files(folder: Path) -> list[Path]:
    """Give all that was written before, but for the lock."""
    patterns = [f"{split}-*.npy" for split in SPLITS]
    state = folder / STATE_FOLDER
    found = [path for pattern in patterns for path in folder.glob(pattern)]
    return found + [path for path in state.glob("*") if path.name != "lock"]
