"""ImageNet's splits as sources: files decoded, cropped and normalised image by image.

Both frameworks and all variants see the same arrays. Training crops at random (for ViT it applies
RandAugment too); everything else takes the centre. It is AlgoPerf v0.6 jax's preprocessing;
README.md lists where AlgoPerf's torch differs.

Letters: B batch, S the side of an image, U uniform numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from pacebench.data import ArraySource, fixed_subset
from pacebench.errors import DataError
from pacebench.seeds import uniform
from pacebench.spec import Batch, DataRequest, Source
from workloads.imagenet import crop, randaugment
from workloads.imagenet.files import ImageList, ImageSet, Preprocessing, find_images, sizes_of

IN_MEMORY_BYTES = 2**30
"""What is evaluated and is no larger than this once decoded is decoded only once."""
_N_PER_TASK = 8
"""Images that a thread makes in one go."""


class JpegSource:
    """Images read from their files whenever they are asked for."""

    def __init__(
        self, images: ImageList, how: Preprocessing, n_threads: int, *, is_training: bool
    ) -> None:
        self.size = len(images.paths)
        self._images = images
        self._how = how
        self._is_training = is_training
        self._pool = ThreadPoolExecutor(n_threads) if n_threads > 1 else None

    def read(self, indices_B: NDArray[np.int64], seeds_B: NDArray[np.uint64]) -> Batch:
        """Give inputs [B, S, S, 3] float32 and targets [B] int64; raises DataError."""
        n_side = self._how.n_side
        inputs = np.empty((len(indices_B), n_side, n_side, 3), np.float32)
        uniforms_BU = _uniforms(seeds_B) if self._is_training else [()] * len(indices_B)

        def fill(start: int) -> None:
            for row in range(start, min(start + _N_PER_TASK, len(indices_B))):
                path = self._images.folder / self._images.paths[indices_B[row]]
                try:
                    image = self._make(path.read_bytes(), uniforms_BU[row])
                except (DataError, OSError) as error:
                    raise DataError(f"{path}: {error}") from error
                crop.normalize(image, inputs[row])

        starts = range(0, len(indices_B), _N_PER_TASK)
        list(self._pool.map(fill, starts) if self._pool else map(fill, starts))
        return {"inputs": inputs, "targets": self._images.labels[indices_B]}

    def _make(self, data: bytes, uniforms_U: Sequence[float]) -> NDArray[np.float32]:
        pixels = crop.decode(data)
        if not self._is_training:
            return crop.central_crop(pixels, self._how.n_side)
        image = crop.random_crop(pixels, uniforms_U, self._how.n_side, self._how.area_range)
        if self._how.is_randaugmented:
            image = randaugment.randaugment(image, uniforms_U[crop.N_UNIFORMS :])
        return image


def open_sources(images: ImageSet, how: Preprocessing, request: DataRequest) -> dict[str, Source]:
    """Open the four splits; raises DataError."""
    found = find_images(images, request)
    sizes = sizes_of(found, how)
    subset = fixed_subset(sizes["train"], sizes["eval_train"])
    found["eval_train"] = found["train"].at(subset)
    sources: dict[str, Source] = {
        split: JpegSource(part, how, request.n_threads, is_training=split == "train")
        for split, part in found.items()
    }
    evaluated = [split for split in sources if split != "train"]
    n_bytes = sum(sizes[split] for split in evaluated) * how.n_side**2 * 3 * 4
    if n_bytes <= IN_MEMORY_BYTES:
        for split in evaluated:
            everything = np.arange(sizes[split])
            no_seeds = np.zeros(sizes[split], np.uint64)
            sources[split] = ArraySource(**sources[split].read(everything, no_seeds))
    return sources


def _uniforms(seeds_B: NDArray[np.uint64]) -> list[list[float]]:
    """Give every example its numbers: those of the crop, then those of RandAugment."""
    n_uniforms = crop.N_UNIFORMS + randaugment.N_UNIFORMS
    drawn: list[list[float]] = np.stack(
        [uniform(seeds_B, stream) for stream in range(n_uniforms)], axis=1
    ).tolist()
    return drawn
