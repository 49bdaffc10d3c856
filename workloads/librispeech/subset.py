"""One subset as training reads it: all samples in one file, and a manifest of the utterances.

<subset>.int16  the samples of one utterance after the other, little-endian, 16 bits
<subset>.tsv    a line that says what it was made of, then one for each utterance of the raw data,
                sorted: name, first sample, samples, why it is left out (or nothing), transcript
While it is written, .prepare/<subset>.journal names the utterances whose samples are on the disk.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pacebench.errors import DataError
from workloads.librispeech.sets import SpeechSet

STATE_FOLDER = ".prepare"
NO_AUDIO, NO_TRANSCRIPT, NO_WORDS = "no audio", "no transcript", "an empty transcript"
TOO_MANY_CHARACTERS, TOO_LONG = "a transcript beyond the limit", "audio beyond the limit"
_SAMPLE_BYTES = 2
_N_FIELDS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Utterance:
    """A line of a manifest."""

    name: str
    first: int
    """Place of its first sample; -1 where none are kept."""
    n_samples: int
    left_out: str
    """Why it is left out; empty if it is not."""
    transcript: str


class SubsetFiles:
    """The files of one subset."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.audio = folder / f"{name}.int16"
        self.manifest = folder / f"{name}.tsv"
        self.tokens = folder / f"{name}.tokens.npz"
        self.journal = folder / STATE_FOLDER / f"{name}.journal"

    def read_manifest(self) -> tuple[str, list[Utterance]]:
        """Give the raw data's fingerprint and the utterances; raises DataError."""
        lines = self.manifest.read_text(encoding="utf-8").split("\n")
        rows = [line.split("\t") for line in lines[1:-1]]
        try:
            if lines[-1] or any(len(row) != _N_FIELDS for row in rows):
                raise ValueError("a line is not whole")
            utterances = [
                Utterance(
                    name=name,
                    first=int(first),
                    n_samples=int(n_samples),
                    left_out=left_out,
                    transcript=transcript,
                )
                for name, first, n_samples, left_out, transcript in rows
            ]
        except ValueError as error:
            raise DataError(
                f"{self.manifest} is damaged ({error}); delete it and prepare again"
            ) from error
        stored = max((u.first + u.n_samples for u in utterances if u.first >= 0), default=0)
        if size_of(self.audio) != stored * _SAMPLE_BYTES:
            raise DataError(
                f"{self.audio} has {max(0, size_of(self.audio)):,} bytes, not the "
                f"{stored * _SAMPLE_BYTES:,} of {self.manifest.name}; prepare again"
            )
        return lines[0], utterances

    def is_whole(self, fingerprint: str | None) -> bool:
        """Whether it was written whole, and of this raw data (None: whatever it was made of)."""
        if not self.manifest.is_file():
            return False
        try:
            made_of, _ = self.read_manifest()
        except DataError:
            return False
        return fingerprint in (None, made_of)

    def memory(self) -> NDArray[np.int16]:
        """Give all samples, mapped from the disk."""
        return np.memmap(self.audio, dtype="<i2", mode="r")


class SubsetWriter:
    """Writes a subset, or goes on where an earlier process was stopped."""

    def __init__(self, files: SubsetFiles, fingerprint: str) -> None:
        self._files = files
        self._fingerprint = fingerprint
        self.places: dict[str, tuple[int, int]] = {}
        """First sample (-1: too long to be kept) and number of samples, by utterance."""
        files.manifest.unlink(missing_ok=True)
        n_kept = self._take_up()
        lines = [f"{fingerprint}\n", *(_journal_line(n, *p) for n, p in self.places.items())]
        replace_file(files.journal, "".join(lines).encode())
        with files.audio.open("ab") as audio:
            audio.truncate(n_kept * _SAMPLE_BYTES)

    def _take_up(self) -> int:
        """Read the journal; gives the number of samples on the disk that it knows of."""
        if not self._files.journal.is_file():
            return 0
        lines = self._files.journal.read_bytes().decode(errors="replace").split("\n")
        n_written, n_kept = size_of(self._files.audio) // _SAMPLE_BYTES, 0
        if lines[0] != self._fingerprint:
            return 0
        for line in lines[1:-1]:  # what a crash cut off or garbled ends what is known
            fields = line.split("\t")
            if len(fields) != 3 or not all(f.lstrip("-").isdecimal() for f in fields[1:]):
                break
            first, n_samples = int(fields[1]), int(fields[2])
            if first >= 0:
                if first != n_kept or first + n_samples > n_written:
                    break
                n_kept = first + n_samples
            self.places[fields[0]] = (first, n_samples)
        return n_kept

    def append(self, clips: Sequence[tuple[str, NDArray[np.int16] | int]]) -> None:
        """Write clips, or note the lengths of those that are too long; then they are known."""
        lines = []
        with self._files.audio.open("ab") as audio:
            for name, samples_N in clips:
                if isinstance(samples_N, int):
                    place = (-1, samples_N)
                else:
                    place = (audio.tell() // _SAMPLE_BYTES, len(samples_N))
                    audio.write(samples_N.astype("<i2").tobytes())
                self.places[name] = place
                lines.append(_journal_line(name, *place))
            audio.flush()
            os.fsync(audio.fileno())  # first the samples, then what says that they are there
        with self._files.journal.open("a", encoding="utf-8") as journal:
            journal.writelines(lines)

    def finish(self, transcripts: Mapping[str, str], limits: SpeechSet) -> list[Utterance]:
        """Write the manifest and give its utterances."""
        names = sorted(
            self.places.keys() | transcripts.keys(), key=lambda n: [int(x) for x in n.split("-")]
        )
        utterances = [
            _utterance(name, self.places.get(name), transcripts.get(name), limits) for name in names
        ]
        replace_file(self._files.manifest, _manifest_text(self._fingerprint, utterances).encode())
        self._files.journal.unlink()
        return utterances


def _utterance(
    name: str, place: tuple[int, int] | None, transcript: str | None, limits: SpeechSet
) -> Utterance:
    """Decide whether an utterance is kept. Source: AlgoPerf v0.6, librispeech_preprocess."""
    first, n_samples = place or (-1, 0)
    left_out = ""
    if place is None:
        left_out = NO_AUDIO
    elif transcript is None:
        left_out = NO_TRANSCRIPT
    elif not transcript:
        left_out = NO_WORDS
    elif len(transcript) > limits.max_characters:
        left_out = TOO_MANY_CHARACTERS
    elif n_samples > limits.max_samples:
        left_out = TOO_LONG
    return Utterance(
        name=name,
        first=first,
        n_samples=n_samples,
        left_out=left_out,
        transcript=transcript or "",
    )


def _manifest_text(fingerprint: str, utterances: Iterable[Utterance]) -> str:
    lines = [fingerprint]
    lines += [
        f"{u.name}\t{u.first}\t{u.n_samples}\t{u.left_out}\t{u.transcript}" for u in utterances
    ]
    return "\n".join(lines) + "\n"


def _journal_line(name: str, first: int, n_samples: int) -> str:
    return f"{name}\t{first}\t{n_samples}\n"


def replace_file(path: Path, content: bytes) -> None:
    """Write a file as a whole: aside, forced to the disk, then renamed."""
    aside = path.with_name(f"{path.name}.aside")
    with aside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def size_of(path: Path) -> int:
    """Give a file's size; -1 if there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1
