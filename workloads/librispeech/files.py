"""Finds the utterances of a prepared set, with their samples and tokens."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pacebench.errors import DataError
from pacebench.spec import DataRequest
from workloads.librispeech.sets import SpeechSet
from workloads.librispeech.subset import NO_TRANSCRIPT, SubsetFiles
from workloads.librispeech.tokens import TOKENIZER_FILE


@dataclass(frozen=True, kw_only=True, slots=True)
class Clips:
    """The utterances of a split: N of them, in files of samples."""

    files: Sequence[SubsetFiles]
    file_N: NDArray[np.int64]
    """Which file holds an utterance's samples."""
    first_N: NDArray[np.int64]
    n_samples_N: NDArray[np.int64]
    ids: NDArray[np.uint16]
    """The tokens of all utterances."""
    first_id_N: NDArray[np.int64]
    n_ids_N: NDArray[np.int64]

    def at(self, indices: NDArray[np.int64] | NDArray[np.bool_]) -> Clips:
        """Give the utterances at these places."""
        return replace(
            self,
            file_N=self.file_N[indices],
            first_N=self.first_N[indices],
            n_samples_N=self.n_samples_N[indices],
            first_id_N=self.first_id_N[indices],
            n_ids_N=self.n_ids_N[indices],
        )


def find_sizes(speech: SpeechSet, request: DataRequest) -> dict[str, int]:
    """Give the sizes of the splits; raises DataError."""
    found = {split: len(clips.first_N) for split, clips in find_clips(speech, request).items()}
    return found | {"eval_train": min(found["train"], speech.n_eval_train)}


def find_clips(speech: SpeechSet, request: DataRequest) -> dict[str, Clips]:
    """Give the utterances of `train`, `validation` and `test`; raises DataError.

    With `allow_partial` fewer utterances and subsets will do, as long as no split is empty.
    """
    folder = find_folder(speech, request)
    found = {}
    for split, names in speech.subsets.items():
        parts = [_read_subset(speech, folder, name, request) for name in names]
        clips = _join([part for part in parts if part is not None])
        if clips is None or not len(clips.first_N):
            raise DataError(f"{speech.name}: {folder} has no utterance of {split}; {speech.help}")
        found[split] = clips
    return found


def find_folder(speech: SpeechSet, request: DataRequest) -> Path:
    """Give the folder that holds a prepared set; raises DataError."""
    if request.data_dir is None:
        raise DataError(
            f"{speech.name} needs --data-dir DIR, with its files in DIR/{speech.folder}; "
            f"{speech.help}"
        )
    for folder in (request.data_dir / speech.folder, request.data_dir):
        if (folder / TOKENIZER_FILE).is_file():
            return folder
    raise DataError(
        f"{speech.name}: no {TOKENIZER_FILE} in {request.data_dir / speech.folder}; {speech.help}"
    )


def _read_subset(speech: SpeechSet, folder: Path, name: str, request: DataRequest) -> Clips | None:
    """Give the utterances of a subset; None if it is not there and need not be."""
    files = SubsetFiles(folder, name)
    if not files.manifest.is_file():
        if files.journal.is_file():
            raise DataError(
                f"{speech.name}: {files.audio} is not whole: 'pacebench data prepare' was "
                "interrupted there; give the same command again"
            )
        if request.allow_partial:
            return None
        raise DataError(
            f"{speech.name}: no {files.manifest} (--allow-partial-data does without); {speech.help}"
        )
    _, utterances = files.read_manifest()
    n_spoken = sum(u.left_out != NO_TRANSCRIPT for u in utterances)
    if n_spoken != speech.n_raw[name] and not request.allow_partial:
        raise DataError(
            f"{speech.name}: {files.manifest} has {n_spoken:,} utterances of the "
            f"{speech.n_raw[name]:,} published (--allow-partial-data takes them, for a score that "
            f"is not a full one); {speech.help}"
        )
    kept = [u for u in utterances if not u.left_out]
    ids, lengths_N = _read_tokens(files.tokens, len(kept))
    clips = Clips(
        files=[files],
        file_N=np.zeros(len(kept), np.int64),
        first_N=np.array([u.first for u in kept], np.int64),
        n_samples_N=np.array([u.n_samples for u in kept], np.int64),
        ids=ids,
        first_id_N=np.cumsum(lengths_N) - lengths_N,
        n_ids_N=lengths_N,
    )
    return clips.at(lengths_N <= speech.max_tokens)


def _read_tokens(path: Path, n_utterances: int) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
    """Give all tokens of a subset, and how many each utterance has; raises DataError."""
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            ids, lengths_N = arrays["ids"], arrays["lengths"].astype(np.int64)
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} cannot be read ({error}); prepare again") from error
    if len(lengths_N) != n_utterances or lengths_N.sum() != len(ids):
        raise DataError(f"{path} does not belong to the manifest beside it; prepare again")
    return ids, lengths_N


def _join(parts: Sequence[Clips]) -> Clips | None:
    """Give the utterances of several subsets, one after the other."""
    if not parts:
        return None
    before = np.cumsum([0, *(len(part.ids) for part in parts)])
    return Clips(
        files=[files for part in parts for files in part.files],
        file_N=np.concatenate([np.full(len(p.first_N), i) for i, p in enumerate(parts)]),
        first_N=np.concatenate([p.first_N for p in parts]),
        n_samples_N=np.concatenate([p.n_samples_N for p in parts]),
        ids=np.concatenate([p.ids for p in parts]),
        first_id_N=np.concatenate(
            [p.first_id_N + n for p, n in zip(parts, before[:-1], strict=True)]
        ),
        n_ids_N=np.concatenate([p.n_ids_N for p in parts]),
    )
