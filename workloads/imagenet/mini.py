"""Generated images for the MINI workloads: textured shapes as JPEGs in class folders.

Ten classes: five patterns, coarse or fine, that fill a shape drawn at a random place, size, angle
and colour on a background of clutter. The shape tells nothing. Nothing is copied from a real
picture. The files are laid out as ImageNet's
(`workloads.imagenet.data`), so that MINI trains through the same code.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pacebench.spec import Report
from workloads.imagenet.shapes import CLASSES, FOLDER, N_PER_CLASS, N_SIDE

JPEG_QUALITY = 90
SHAPES = ("cross", "disc", "ring", "square", "triangle")
PERIODS = {"fine": (4.0, 5.0), "coarse": (9.0, 11.0)}
"""Pixels from one repetition of a pattern to the next."""
_SUPERSAMPLED = 2
"""Shapes are drawn twice as large, so that their edges are smooth."""

Image = NDArray[np.uint8]


def write_mini(data_dir: Path, report: Report) -> None:
    """Write all images below `data_dir`/imagenet_mini, the same every time; those there stay."""
    jobs = [
        (split, name, i) for split, n in N_PER_CLASS.items() for name in CLASSES for i in range(n)
    ]
    for done, (split, name, i) in enumerate(jobs, start=1):
        path = data_dir / FOLDER / split / name / f"{name}_{i:04d}.JPEG"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            seed = [*N_PER_CLASS].index(split), CLASSES.index(name), i
            image = draw(name, np.random.default_rng(seed))
            options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
            _, data = cv2.imencode(".jpg", image[:, :, ::-1], options)
            aside = path.with_suffix(".part")
            aside.write_bytes(data.tobytes())
            aside.replace(path)
        report(f"{FOLDER}/{split}", done, len(jobs))


def draw(name: str, rng: np.random.Generator) -> Image:
    """Draw one image of a class: [64, 64, 3] uint8, RGB."""
    pattern, scale = name.split("_")
    n = N_SIDE * _SUPERSAMPLED
    image = _background(n, rng)
    mask = _mask(SHAPES[int(rng.integers(len(SHAPES)))], n, rng)
    image[mask] = _texture(pattern, PERIODS[scale], n, rng)[mask]
    small = cv2.resize(image, (N_SIDE, N_SIDE), interpolation=cv2.INTER_AREA)
    noisy = small + rng.normal(0, 8, small.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def _background(n: int, rng: np.random.Generator) -> Image:
    """Draw soft blobs of colour with a few lines over them."""
    coarse = rng.integers(0, 256, (4, 4, 3)).astype(np.uint8)
    image = cv2.resize(coarse, (n, n), interpolation=cv2.INTER_CUBIC)
    for _ in range(4):
        ends = rng.integers(0, n, (2, 2)).tolist()
        cv2.line(image, ends[0], ends[1], _colour(rng), int(rng.integers(1, 4)))
    return image


def _texture(pattern: str, periods: tuple[float, float], n: int, rng: np.random.Generator) -> Image:
    """Fill an image with a pattern of a bright colour and its shade."""
    first = rng.integers(150, 256, 3)
    second = first // 4
    angle = rng.uniform(0, np.pi)
    y, x = (np.mgrid[:n, :n] + rng.uniform(0, n, (2, 1, 1))) * (
        2 * np.pi / (rng.uniform(*periods) * _SUPERSAMPLED)
    )
    along = np.cos(angle) * x + np.sin(angle) * y
    across = np.cos(angle) * y - np.sin(angle) * x
    is_first = {
        "stripes": np.sin(along) > 0,
        "dots": np.sin(along) * np.sin(across) > 0.35,
        "checks": np.sin(along) * np.sin(across) > 0,
        "waves": np.sin(along + 2 * np.sin(across / 2)) > 0,
        "rings": np.sin(np.hypot(along - along.mean(), across - across.mean())) > 0,
    }[pattern]
    return np.where(is_first[:, :, None], first, second).astype(np.uint8)


def _mask(shape: str, n: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw the shape at a random place, size and angle."""
    radius = rng.uniform(0.32, 0.48) * n
    centre = rng.uniform(radius, n - radius, 2)
    turned = rng.uniform(0, 2 * np.pi)
    mask = np.zeros((n, n), np.uint8)
    place = tuple(int(c) for c in centre)
    if shape in _POLYGONS:
        corners = _POLYGONS[shape] * radius
        turn = np.array([[np.cos(turned), -np.sin(turned)], [np.sin(turned), np.cos(turned)]])
        cv2.fillPoly(mask, [np.rint(corners @ turn.T + centre).astype(np.int32)], 1)
    else:
        cv2.circle(mask, place, int(radius), 1, -1)
        if shape == "ring":
            cv2.circle(mask, place, int(radius * 0.5), 0, -1)
    return mask.astype(bool)


def _colour(rng: np.random.Generator) -> list[int]:
    colour: list[int] = rng.integers(0, 256, 3).tolist()
    return colour


def _regular(n_corners: int) -> NDArray[np.float64]:
    angles = 2 * np.pi * np.arange(n_corners) / n_corners
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def _cross() -> NDArray[np.float64]:
    arm, end = 0.3, 0.95
    quarter = np.array([[end, -arm], [end, arm], [arm, arm]])
    turns: list[Callable[[NDArray[np.float64]], NDArray[np.float64]]] = [
        lambda p: p,
        lambda p: np.stack([-p[:, 1], p[:, 0]], axis=1),
        lambda p: -p,
        lambda p: np.stack([p[:, 1], -p[:, 0]], axis=1),
    ]
    return np.concatenate([turn(quarter) for turn in turns])


_POLYGONS = {"square": _regular(4), "triangle": _regular(3), "cross": _cross()}
