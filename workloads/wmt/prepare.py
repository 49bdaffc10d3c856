"""Prepares wmt: from the raw download to tokens; `workloads.wmt.files` says what is written.

What it is on the way with lies in <folder>/.prepare and is deleted at the end: unpacked text, the
tokenizer, and blocks of tokens. All are written as a whole, so an interrupted run goes on.
"""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from pacebench.errors import DataError
from pacebench.manifests import MANIFEST, first_damaged
from pacebench.preparing import Progress, begin, check_sum, disk_errors, is_sum_due, locked
from pacebench.spec import Report
from workloads.wmt.corpus import ARCHIVES, WMT14_STORED, WMT17, WMT17_STORED, Corpus
from workloads.wmt.files import FORMAT, read_manifest, settings_of
from workloads.wmt.raw import Raw, find_raw
from workloads.wmt.texts import texts_of
from workloads.wmt.tokens import MODEL_FILE, train
from workloads.wmt.writing import STATE_FOLDER, write_all

RAW_FILES = tuple(ARCHIVES)
# Ours: tokens against text, in blocks and again in the end (Multi30k and Europarl: 0.9).
TOKEN_FACTOR = 1.2


def prepare_wmt17(raw_dir: Path, data_dir: Path, report: Report) -> None:
    """Write `data_dir`/wmt from the published files; raises DataError."""
    prepare(WMT17, raw_dir, data_dir, report)


def needed_bytes_wmt17(raw_dir: Path, data_dir: Path) -> int:
    """Give about how many bytes `prepare_wmt17` will still write; raises DataError."""
    return needed_bytes(WMT17, raw_dir, data_dir)


def needed_bytes(corpus: Corpus, raw_dir: Path, data_dir: Path) -> int:
    """Give about how many bytes `prepare` will still write; raises DataError."""
    folder = data_dir / corpus.folder
    with disk_errors(corpus.name):
        raw = find_raw(corpus, raw_dir)
        if _is_whole(corpus, folder, raw):
            return 0
        if raw is None:
            raise DataError(_nothing(corpus, raw_dir))
        packed = sum(raw.unpacked_bytes.values())
        plain = sum(path.stat().st_size for path in raw.paths if path not in raw.unpacked_bytes)
        there = sum(p.stat().st_size for p in (folder / STATE_FOLDER).rglob("*") if p.is_file())
        return max(0, int(packed + (packed + plain) * TOKEN_FACTOR) - there)


def prepare(corpus: Corpus, raw_dir: Path, data_dir: Path, report: Report) -> None:
    """Write the tokens of a corpus. What is there and whole is kept. Raises DataError."""
    folder = data_dir / corpus.folder
    state = folder / STATE_FOLDER
    with disk_errors(corpus.name):
        raw = find_raw(corpus, raw_dir)
        if _is_whole(corpus, folder, raw, report):
            shutil.rmtree(state, ignore_errors=True)  # a run was interrupted behind its last step
            return
        if raw is None:
            raise DataError(_nothing(corpus, raw_dir))
        with locked(state):
            _prepare(corpus, raw, folder, report)
        shutil.rmtree(state)


def _prepare(corpus: Corpus, raw: Raw, folder: Path, report: Report) -> None:
    state = folder / STATE_FOLDER
    begin(state, _identity(corpus, raw))
    due = [path for path in raw.paths if is_sum_due(path, ARCHIVES.get(path.name), state)]
    progress = Progress(
        report=report,
        total_bytes=sum(path.stat().st_size for path in [*due, *raw.paths])
        + 2 * sum(raw.unpacked_bytes.get(path, path.stat().st_size) for path in raw.paths),
    )
    for path in due:
        check_sum(path, ARCHIVES[path.name], state, partial(progress.tell, f"checking {path.name}"))
        progress.done_bytes += path.stat().st_size
    texts = texts_of(raw, state, progress)
    progress.total_bytes = progress.done_bytes + sum(t.n_bytes for t in texts.values())
    model = state / MODEL_FILE
    if not model.is_file():
        progress.tell("training the tokenizer", 0)
        train(
            texts["train"],
            model,
            n_pieces=corpus.vocabulary_size,
            n_text_bytes=corpus.tokenizer_text_bytes,
        )
    (folder / MANIFEST).unlink(missing_ok=True)
    write_all(corpus, texts, folder, {"raw": _identity(corpus, raw)}, progress)


def _is_whole(corpus: Corpus, folder: Path, raw: Raw | None, report: Report | None = None) -> bool:
    """Say whether all is there, made of this raw data (or of what is gone) with these settings.

    With `report` sums are compared too.
    """
    try:
        manifest = read_manifest(folder)
    except DataError:
        return False
    if manifest is None or manifest["settings"] != settings_of(corpus):
        return False
    if raw is not None and manifest["raw"] != _identity(corpus, raw):
        return False
    return first_damaged(folder, manifest, report) is None


def _identity(corpus: Corpus, raw: Raw) -> str:
    return f"{FORMAT} {settings_of(corpus)} {raw.fingerprint}"


def _nothing(corpus: Corpus, raw_dir: Path) -> str:
    return (
        f"{corpus.name}: {raw_dir} holds none of {', '.join(RAW_FILES)}, nor files unpacked from "
        "them, nor train*.de and train*.en with val*.de … and test*.de …, nor what TensorFlow "
        f"Datasets stores as {WMT17_STORED} and {WMT14_STORED}; {corpus.help}"
    )
