"""A small LibriSpeech in its raw layout: archives or a tree, with noise for speech."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from pacebench.spec import Batch, DataRequest
from workloads.librispeech.data import open_sources
from workloads.librispeech.prepare import prepare_set
from workloads.librispeech.sets import LIBRISPEECH

TEXTS = {
    "train-clean-100": {
        "103-1240-0000": "THE CAT SAT",
        "103-1240-0001": "THE DOG DIDN'T SIT",
        "1034-121-0002": "A CAT AND A DOG SAT",
    },
    "train-clean-360": {"20-1-0000": "THE TIDE"},
    "train-other-500": {"25-1-0000": "THAT HAND", "3-1-0000": "THE END"},
    "dev-clean": {"40-1-0000": "A TIN CAN"},
    "dev-other": {"41-1-0000": "IT HAD AN END"},
    "test-clean": {"50-1-0000": "THE DIN", "50-2-0000": "AN ANT"},
}
TINY = replace(
    LIBRISPEECH,
    n_raw={subset: len(texts) for subset, texts in TEXTS.items()},
    sizes={"train": 6, "validation": 2, "test": 2},
    n_eval_train=4,
    n_pieces=24,
    max_characters=20,
    max_samples=4_000,
    max_tokens=21,
)
TRAIN_NAMES = [  # subset by subset, speakers and chapters in the order of their numbers
    *("103-1240-0000", "103-1240-0001", "1034-121-0002"),
    "20-1-0000",
    *("3-1-0000", "25-1-0000"),
]


class Killed(BaseException):
    """Stands for the end of a process."""


def quiet(what: str, done: int, total: int) -> None:
    """Report nothing."""


def samples_of(name: str) -> NDArray[np.int16]:
    """Give the samples of an utterance: noise of a length of its own, the loudest values in it."""
    rng = np.random.default_rng([int(part) for part in name.split("-")])
    samples = rng.integers(-32768, 32768, int(rng.integers(1_000, 4_000))).astype(np.int16)
    samples[:2] = -32768, 32767
    return samples


def flac_of(samples: NDArray[np.int16], rate: int = 16_000, subtype: str = "PCM_16") -> bytes:
    """Encode samples [N] or [N, channels]."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="FLAC", subtype=subtype)
    return file.getvalue()


def files_of(subset: str) -> dict[str, bytes]:
    """Give the raw files of a subset by their paths."""
    files: dict[str, bytes] = {}
    for name, text in TEXTS[subset].items():
        speaker, chapter, _ = name.split("-")
        folder = f"LibriSpeech/{subset}/{speaker}/{chapter}"
        files[f"{folder}/{name}.flac"] = flac_of(samples_of(name))
        transcripts = f"{folder}/{speaker}-{chapter}.trans.txt"
        files[transcripts] = files.get(transcripts, b"") + f"{name} {text}\n".encode()
    return files


def archive_of(files: dict[str, bytes]) -> bytes:
    """Pack files, the last first: nothing is said about their order."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz", compresslevel=1) as tar:
        for path, content in {"LibriSpeech/README.TXT": b"hello", **files}.items():
            info = tarfile.TarInfo(path)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return target.getvalue()


def write_tree(folder: Path) -> Path:
    """Write all subsets unpacked."""
    for subset in TEXTS:
        for path, content in files_of(subset).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
    return folder


def write_archives(folder: Path) -> Path:
    """Write all subsets as archives, their members in reverse order."""
    folder.mkdir()
    for subset in TEXTS:
        files = dict(reversed(files_of(subset).items()))
        (folder / f"{subset}.tar.gz").write_bytes(archive_of(files))
    return folder


def prepared(raw: Path, data: Path) -> Path:
    """Prepare the small set."""
    prepare_set(TINY, raw, data, quiet)
    return data


def all_of(data: Path, split: str, *, n_threads: int = 1) -> Batch:
    """Read a whole split."""
    request = DataRequest(data_dir=data, allow_partial=True, n_threads=n_threads)
    source = open_sources(TINY, request)[split]
    return source.read(np.arange(source.size), np.zeros(source.size, np.uint64))


def lengths_of(paddings: NDArray[np.float32]) -> list[int]:
    """Count what is no padding, after checking that padding comes last."""
    assert (np.diff(paddings, axis=1) >= 0).all()
    return [int(n) for n in (1 - paddings).sum(1)]
