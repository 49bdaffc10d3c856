"""Generated data for the MINI workloads: FLAC files with transcripts, then prepared as real ones.

The files are laid out as LibriSpeech's, go through the code of `workloads.librispeech.prepare`, and
are deleted; what training reads stays.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from pacebench.errors import DataError
from pacebench.preparing import disk_errors
from pacebench.spec import DataRequest, Report
from workloads.librispeech import spoken
from workloads.librispeech.files import find_sizes
from workloads.librispeech.prepare import NAME, prepare_set
from workloads.librispeech.raw import TREE
from workloads.librispeech.sets import N_SPOKEN, SAMPLE_RATE, SPOKEN

N_PER_SPEAKER = 10
"""Utterances; training, validation and test have no speaker in common."""


def write_mini(data_dir: Path, report: Report) -> None:
    """Write the generated set below `data_dir`/librispeech_mini, the same every time.

    Raises DataError. A set that is there and whole is kept.
    """
    if _is_there(data_dir):
        return
    folder = data_dir / SPOKEN.folder
    with disk_errors(NAME):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".flac-") as raw_dir:
            write_tree(Path(raw_dir), report)
            prepare_set(SPOKEN, Path(raw_dir), data_dir, report)


def _is_there(data_dir: Path) -> bool:
    try:
        find_sizes(SPOKEN, DataRequest(data_dir=data_dir))
    except DataError:  # nothing, a part, or what an earlier version wrote
        return False
    return True


def write_tree(raw_dir: Path, report: Report) -> None:
    """Write `raw_dir`/LibriSpeech/<subset>/<speaker>/<chapter>/ with FLAC files and transcripts."""
    words = spoken.vocabulary()
    total = sum(N_SPOKEN.values())
    speaker = done = 0
    for subset, n_utterances in N_SPOKEN.items():
        for start in range(0, n_utterances, N_PER_SPEAKER):
            speaker += 1
            folder = raw_dir / TREE / subset / str(speaker) / "1"
            folder.mkdir(parents=True)
            n = min(N_PER_SPEAKER, n_utterances - start)
            _write_chapter(folder, speaker, n, words)
            done += n
            report(f"speaking {subset}", done, total)


def _write_chapter(folder: Path, speaker: int, n_utterances: int, words: list[str]) -> None:
    """Write what one speaker says."""
    import soundfile

    rng = np.random.default_rng(speaker)
    who = spoken.voice(rng)
    lines = []
    for i in range(n_utterances):
        name, text = f"{speaker}-1-{i:04d}", spoken.sentence(words, rng)
        samples_N = spoken.speak(text, who, rng)
        soundfile.write(folder / f"{name}.flac", samples_N, SAMPLE_RATE, subtype="PCM_16")
        lines.append(f"{name} {text}\n")
    (folder / f"{speaker}-1.trans.txt").write_text("".join(lines))
