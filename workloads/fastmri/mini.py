"""Generated volumes for fastmri_mini: bodies of ellipsoids as k-space, in fastMRI's h5 files.

A volume is one large ellipsoid with smaller ones in it, cut into slices; the image of a slice has a
smooth phase and some noise, and its Fourier transform is the k-space. Nothing is copied from a real
scan. The files are laid out as fastMRI's (`workloads.fastmri.volumes`), so that MINI trains through
the same code.

Letters: N slices, R rows and W columns of k-space, S the side of the image.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from pacebench.spec import Report
from workloads.fastmri.scans import N_PHANTOM_SLICES, N_PHANTOMS, PHANTOM_WIDTHS, PHANTOMS
from workloads.fastmri.volumes import KSPACE, MAXIMUM, TARGET

SCALE = 1e-4
"""About the brightness of real scans, whose maxima are below 10⁻³."""
NOISE = 0.02
"""Deviation of the noise's real and imaginary part; the body's brightness is about 1."""
N_INNER = (8, 14)
_SUPERSAMPLED = 3
"""Points on each side of a pixel, so that edges are smooth."""


def write_mini(data_dir: Path, report: Report) -> None:
    """Write all volumes below `data_dir`/fastmri_mini, the same every time; those there stay."""
    import h5py

    jobs = [(folder, i) for folder, n in N_PHANTOMS.items() for i in range(n)]
    for done, (folder, i) in enumerate(jobs, start=1):
        path = data_dir / PHANTOMS.folder / folder / f"file{i:07d}.h5"
        if not path.is_file():
            path.parent.mkdir(parents=True, exist_ok=True)
            generator = np.random.default_rng(([*N_PHANTOMS].index(folder), i))
            kspace_NRW, targets_NSS = draw_volume(generator)
            aside = path.with_suffix(".part")
            with h5py.File(aside, "w") as file:
                file[KSPACE] = kspace_NRW
                file[TARGET] = targets_NSS
                file.attrs[MAXIMUM] = float(targets_NSS.max())
            aside.replace(path)
        report(f"{PHANTOMS.folder}/{folder}", done, len(jobs))


def draw_volume(
    generator: np.random.Generator,
) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
    """Draw one volume: k-space [N, R, W] and the images of all of it, [N, S, S]."""
    n_side = PHANTOMS.n_side
    n_rows, width = 2 * n_side, int(generator.choice(PHANTOM_WIDTHS))
    brightness_NRW = _body(generator, n_rows, width)
    image_NRW = brightness_NRW * np.exp(1j * _phase(generator, n_rows, width))
    noise = generator.normal(size=(2, *image_NRW.shape))
    image_NRW = SCALE * (image_NRW + NOISE * (noise[0] + 1j * noise[1]))
    axes = (-2, -1)
    shifted = scipy.fft.fft2(scipy.fft.ifftshift(image_NRW, axes), axes=axes, norm="ortho")
    kspace_NRW = scipy.fft.fftshift(shifted, axes).astype(np.complex64)
    top, left = (n_rows - n_side) // 2, (width - n_side) // 2
    cropped = image_NRW[:, top : top + n_side, left : left + n_side]
    return kspace_NRW, np.abs(cropped).astype(np.float32)


def _body(generator: np.random.Generator, n_rows: int, width: int) -> NDArray[np.float64]:
    """Draw the brightness, [N, R, W]: a large ellipsoid and smaller ones that add to it."""
    half = PHANTOMS.n_side / 2
    n = _SUPERSAMPLED
    y = ((np.arange(n_rows * n) + 0.5) / n - n_rows / 2) / half
    x = ((np.arange(width * n) + 0.5) / n - width / 2) / half
    z = np.linspace(-0.6, 0.6, N_PHANTOM_SLICES)
    places = [a.astype(np.float32) for a in (z[:, None, None], y[None, :, None], x[None, None, :])]
    outer = generator.uniform(0.75, 0.95, 3)
    total = _ellipsoid(generator, places, np.zeros(3), outer).astype(np.float32)
    for _ in range(int(generator.integers(*N_INNER))):
        centre = generator.uniform(-0.55, 0.55, 3)
        radii = generator.uniform((0.26, 0.06, 0.06), (0.5, 0.3, 0.3))
        total += generator.uniform(-0.6, 0.9) * _ellipsoid(generator, places, centre, radii)
    pixels = np.clip(total, 0, None).reshape(N_PHANTOM_SLICES, n_rows, n, width, n)
    return pixels.mean((2, 4), dtype=np.float64)


def _ellipsoid(
    generator: np.random.Generator,
    places: list[NDArray[np.float32]],
    centre: NDArray[np.float64],
    radii: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Give the points inside an ellipsoid that is turned in the plane of the slices."""
    angle = generator.uniform(0, np.pi)
    z, y, x = (p - np.float32(c) for p, c in zip(places, centre, strict=True))
    along = np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y
    across = np.float32(np.cos(angle)) * y - np.float32(np.sin(angle)) * x
    inside: NDArray[np.bool_] = (z / radii[0]) ** 2 + (along / radii[1]) ** 2 + (
        across / radii[2]
    ) ** 2 < 1
    return inside


def _phase(generator: np.random.Generator, n_rows: int, width: int) -> NDArray[np.float64]:
    """Draw a smooth phase for all slices, [R, W]: a quadratic of the place, a few turns at most."""
    y = np.linspace(-1, 1, n_rows)[:, None]
    x = np.linspace(-1, 1, width)
    a = generator.normal(size=6)
    phase: NDArray[np.float64] = (
        np.pi * a[0] + a[1] * x + a[2] * y + a[3] * x * y + a[4] * x**2 + a[5] * y**2
    )
    return phase
