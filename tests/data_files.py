"""Small learnable data sets in the real on-disk formats."""

from __future__ import annotations

import dataclasses
import gzip
import pickle
import struct
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from workloads.librispeech import spoken
from workloads.librispeech.prepare import prepare_set
from workloads.librispeech.sets import SPOKEN


def bands(n: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Give `n` grey images [28, 28] of ten classes: class k is a bright band at row 2k + 4."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 10, n)
    images = generator.integers(0, 3, (n, 28, 28))
    for row in (4, 5):
        images[np.arange(n), 2 * labels + row] = generator.integers(100, 256, (n, 28))
    return images.astype(np.uint8), labels


def colours(n: int, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Give `n` images [3, 32, 32] of ten classes: each class is a colour, with noise."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 10, n)
    levels = np.random.default_rng(0).integers(30, 226, (10, 3, 1, 1))
    images = levels[labels] + generator.integers(-20, 20, (n, 3, 32, 32))
    return images.astype(np.uint8), labels


def write_mnist(folder: Path, n_train: int = 600, n_test: int = 100) -> None:
    """Write the four idx files of mnist."""
    for name, n, seed in (("train", n_train, 1), ("t10k", n_test, 2)):
        images, labels = bands(n, seed)
        head = struct.pack(">4i", 2051, n, 28, 28)
        (folder / f"{name}-images-idx3-ubyte.gz").write_bytes(
            gzip.compress(head + images.tobytes())
        )
        head = struct.pack(">2i", 2049, n)
        body = labels.astype(np.uint8).tobytes()
        (folder / f"{name}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(head + body))


def write_cifar(folder: Path, n_train: int = 500, n_test: int = 60) -> None:
    """Write the batch files of CIFAR-10, all training rows in the first."""
    target = folder / "cifar-10-batches-py"
    target.mkdir()
    for name, n, seed in (("data_batch_1", n_train, 1), ("test_batch", n_test, 2)):
        images, labels = colours(n, seed)
        content = {b"data": images.reshape(n, -1), b"labels": [int(x) for x in labels]}
        (target / name).write_bytes(pickle.dumps(content, protocol=2))


def write_images(folder: Path, counts: tuple[int, int, int] = (20, 3, 3)) -> None:
    """Write ten classes of JPEGs in class folders: each class is a colour, with noise.

    `counts` are the images of each class in train, val and test.
    """
    levels = np.random.default_rng(0).integers(30, 226, (10, 1, 1, 3))
    for seed, (split, count) in enumerate(zip(("train", "val", "test"), counts, strict=True)):
        generator = np.random.default_rng(seed)
        for label in range(10):
            target = folder / "imagenet_mini" / split / f"class_{label}"
            target.mkdir(parents=True)
            for i in range(count):
                noise = generator.integers(-20, 20, (64, 64, 3))
                cv2.imwrite(str(target / f"{i:03d}.JPEG"), (levels[label] + noise).astype(np.uint8))


def write_scans(folder: Path, counts: tuple[int, int] = (3, 1), n_slices: int = 6) -> None:
    """Write volumes of bright squares in fastMRI's format: images of 16x16 pixels as k-space.

    `counts` are the volumes of the training and of the validation folder.
    """
    import h5py

    names = ("knee_singlecoil_train", "knee_singlecoil_val")
    for seed, (name, count) in enumerate(zip(names, counts, strict=True)):
        generator = np.random.default_rng(seed)
        target = folder / "fastmri_mini" / name
        target.mkdir(parents=True)
        for i in range(count):
            images = np.full((n_slices, 32, 20), 0.1, np.complex64)
            for image in images:
                top, left = generator.integers(9, 18), generator.integers(3, 12)
                image[top : top + 6, left : left + 6] = 1
            centred = np.fft.ifftshift(images, (1, 2))
            kspace = np.fft.fftshift(np.fft.fft2(centred, norm="ortho"), (1, 2))
            with h5py.File(target / f"file{i}.h5", "w") as file:
                file["kspace"] = kspace.astype(np.complex64)
                file["reconstruction_esc"] = np.abs(images[:, 8:24, 2:18])
                file.attrs["max"] = 1.0


TINY_SPEECH = dataclasses.replace(
    SPOKEN,
    n_raw={"train-clean-100": 48, "dev-clean": 6, "test-clean": 6},
    sizes={"train": 48, "validation": 6, "test": 6},
    n_eval_train=6,
    max_samples=9_000,
    max_tokens=8,
)
"""Utterances of half a second, cut there where they are longer."""


def write_speech(folder: Path, counts: tuple[int, int, int] = (48, 6, 6)) -> None:
    """Write short utterances of MINI's language, one or two words of one voice, and prepare them.

    `counts` are the utterances of training, validation and test.
    """
    import soundfile

    names = ("train-clean-100", "dev-clean", "test-clean")
    who = spoken.Voice(pitch=120.0, throat=1.0, letter_seconds=0.06, noise=0.05)
    generator = np.random.default_rng(0)
    words = spoken.vocabulary()[:4]
    for speaker, (name, count) in enumerate(zip(names, counts, strict=True), start=1):
        chapter = folder / "raw" / "LibriSpeech" / name / str(speaker) / "1"
        chapter.mkdir(parents=True)
        lines = []
        for i in range(count):
            text = words[int(generator.integers(4))]
            samples = spoken.speak(text, who, generator)[: TINY_SPEECH.max_samples]
            soundfile.write(chapter / f"{speaker}-1-{i:04d}.flac", samples, 16_000)
            lines.append(f"{speaker}-1-{i:04d} {text}\n")
        (chapter / f"{speaker}-1.trans.txt").write_text("".join(lines))
    prepare_set(TINY_SPEECH, folder / "raw", folder, lambda what, done, total: None)
