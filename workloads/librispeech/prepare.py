"""Prepares LibriSpeech: from archives or their tree to samples, manifests, tokenizer and tokens."""

from __future__ import annotations

import logging
import os
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pacebench.errors import DataError
from pacebench.preparing import Progress, check_sum, disk_errors, is_sum_due, locked
from pacebench.spec import Report
from workloads.librispeech import flac
from workloads.librispeech.checksums import PUBLISHED
from workloads.librispeech.raw import (
    AUDIO_SUFFIX,
    RawSubset,
    archive_name,
    find_raw,
    read_transcripts,
    utterance_of,
    walk,
)
from workloads.librispeech.sets import LIBRISPEECH, SpeechSet
from workloads.librispeech.subset import (
    STATE_FOLDER,
    SubsetFiles,
    SubsetWriter,
    Utterance,
    size_of,
)
from workloads.librispeech.tokenize_set import tokenize_set

NAME = "librispeech"
RAW_FILES = tuple(archive_name(subset) for subset in LIBRISPEECH.all_subsets)
# Samples of 16 bits take about 1.9 times the bytes of LibriSpeech's FLAC files: its 961 hours of
# training (Panayotov et al. 2015) are 111 GB as samples and 60 GB as archives.
DISK_FACTOR = 1.9
_N_PER_WRITE = 128
"""Utterances that are forced to the disk together."""

_Clip = tuple[str, NDArray[np.int16] | int]
_log = logging.getLogger(__name__)


def needed_bytes(raw_dir: Path, data_dir: Path) -> int:
    """Give about how many bytes `prepare` will still write; raises DataError."""
    with disk_errors(NAME):
        folder = data_dir / LIBRISPEECH.folder
        return sum(
            max(0, int(raw.n_bytes * DISK_FACTOR) - max(0, size_of(files.audio)))
            for files, raw in _due(LIBRISPEECH, raw_dir, folder)
        )


def prepare(raw_dir: Path, data_dir: Path, report: Report) -> None:
    """Write `data_dir`/librispeech/<subset>.{int16,tsv,tokens.npz} and spm_model.vocab.

    What is there and whole is kept, so an interrupted run goes on where it was. Raises DataError.
    """
    prepare_set(LIBRISPEECH, raw_dir, data_dir, report)


def prepare_set(speech: SpeechSet, raw_dir: Path, data_dir: Path, report: Report) -> None:
    """Do the work of `prepare` for any set of utterances."""
    folder = data_dir / speech.folder
    notes = folder / STATE_FOLDER
    with disk_errors(NAME), locked(notes):
        due = _due(speech, raw_dir, folder)
        unchecked = [
            raw
            for _, raw in due
            if raw.is_archive and is_sum_due(raw.place, PUBLISHED.get(raw.place.name), notes)
        ]
        progress = Progress(
            report=report,
            total_bytes=sum(raw.n_bytes for raw in [*unchecked, *(r for _, r in due)]),
        )
        for raw in unchecked:
            label = f"checking {raw.place.name}"
            check_sum(
                raw.place,
                PUBLISHED[raw.place.name],
                notes,
                lambda n, label=label: progress.tell(label, n),
            )  # type: ignore[misc]
            progress.done_bytes += raw.n_bytes
        for files, raw in due:
            _write_subset(files, raw, speech, progress)
            progress.done_bytes += raw.n_bytes
        tokenize_set(speech, folder, lambda what: progress.tell(what, 0))


def _due(speech: SpeechSet, raw_dir: Path, folder: Path) -> list[tuple[SubsetFiles, RawSubset]]:
    """Give the subsets still to write; raises DataError if a split would stay empty."""
    due, missing = [], []
    for split, names in speech.subsets.items():
        absent = []
        for name in names:
            files, raw = SubsetFiles(folder, name), find_raw(name, raw_dir)
            if files.is_whole(None if raw is None else raw.fingerprint):
                continue
            if raw is None:
                absent.append(name)
            else:
                due.append((files, raw))
        if len(absent) == len(names) or speech.tokenizer_subset in absent:
            missing.append(f"{' and '.join(map(archive_name, absent))} for {split}")
        elif absent:
            _log.warning("%s: no %s in %s: left out", speech.name, ", ".join(absent), raw_dir)
    if missing:
        raise DataError(
            f"{raw_dir} lacks {'; '.join(missing)} of {speech.name} (LibriSpeech/<subset> unpacked "
            "would do as well)"
        )
    return due


def _write_subset(
    files: SubsetFiles, raw: RawSubset, limits: SpeechSet, progress: Progress
) -> None:
    """Write what is missing of a subset, then its manifest."""
    files.tokens.unlink(missing_ok=True)
    writer = SubsetWriter(files, raw.fingerprint)
    transcripts: dict[str, str] = {}
    n_threads = os.cpu_count() or 1
    with (
        ThreadPoolExecutor(n_threads) as pool,
        closing(_clips(raw, writer, transcripts, limits, progress, pool.submit)) as clips,
    ):
        waiting: list[_Clip] = []
        try:
            for clip in clips:
                waiting.append(clip)
                if len(waiting) == _N_PER_WRITE:
                    writer.append(waiting)
                    waiting = []
        finally:  # what was decoded before an error is kept
            writer.append(waiting)
    _tell_left_out(files.name, writer.finish(transcripts, limits))


def _clips(
    raw: RawSubset,
    writer: SubsetWriter,
    transcripts: dict[str, str],
    limits: SpeechSet,
    progress: Progress,
    submit: Callable[..., Future[_Clip]],
) -> Iterator[_Clip]:
    """Give the decoded clips that are not on the disk, in order; fills `transcripts`."""
    coming: deque[Future[_Clip]] = deque()
    seen: set[str] = set()
    for file in walk(raw):
        progress.tell(raw.name, file.position)
        if not file.name.endswith(AUDIO_SUFFIX):
            transcripts.update(read_transcripts(file))
            continue
        name = utterance_of(file)
        if name in seen:
            raise DataError(f"{file.where}: {name} is there twice")
        seen.add(name)
        if name not in writer.places:
            coming.append(submit(_decoded, name, file.read(), file.where, limits.max_samples))
        while len(coming) >= _N_PER_WRITE or (coming and coming[0].done()):
            yield coming.popleft().result()
    while coming:
        yield coming.popleft().result()


def _decoded(name: str, data: bytes, where: str, max_samples: int) -> _Clip:
    """Give the samples of a file, or only their number if they are too many."""
    samples_N = flac.decode(data, where)
    return name, samples_N if len(samples_N) <= max_samples else len(samples_N)


def _tell_left_out(subset: str, utterances: list[Utterance]) -> None:
    counts = Counter(u.left_out for u in utterances if u.left_out)
    if counts:
        reasons = ", ".join(f"{n:,} with {reason}" for reason, n in sorted(counts.items()))
        _log.warning(
            "%s: %s of %s utterances are left out: %s (%s.tsv names them)",
            *(subset, f"{counts.total():,}", f"{len(utterances):,}", reasons, subset),
        )
