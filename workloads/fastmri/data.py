"""fastMRI's splits as sources: slices masked, reconstructed and normalised one by one.

Both frameworks and all variants see the same arrays: AlgoPerf v0.6's pipeline, which serves both
of its frameworks. Training draws the columns that a slice keeps from the example's seed;
validation and test keep the same columns in every slice of a width.

Letters: B batch, S the side of an image, W columns of k-space.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pacebench.data import ArraySource, fixed_subset
from pacebench.errors import DataError
from pacebench.seeds import example_seeds, uniform
from pacebench.spec import Batch, DataRequest, Source
from workloads.fastmri.files import find_volumes, sizes_of
from workloads.fastmri.masks import evaluation_columns, kept_columns
from workloads.fastmri.reconstruction import moments, normalize, reconstruct
from workloads.fastmri.scans import ScanSet
from workloads.fastmri.volumes import Volume, read_slice

IN_MEMORY_BYTES = 2**30
"""What is no larger than this is read only once: a split in hybrid space, or its examples."""

Columns = NDArray[np.bool_]
Slice = tuple[NDArray[np.complex64], NDArray[np.float32]]
# Gives which columns each example keeps, by the widths of their k-space [B] and their seeds [B].
ChooseColumns = Callable[[Sequence[int], NDArray[np.uint64]], Sequence[Columns]]
_Result = TypeVar("_Result")


class Slices:
    """The slices of some volumes, read whenever they are asked for."""

    def __init__(self, volumes: Sequence[Volume], n_threads: int) -> None:
        n_slices = [volume.n_slices for volume in volumes]
        self.size = sum(n_slices)
        self._volumes = volumes
        self._volume_of = np.repeat(np.arange(len(volumes)), n_slices)
        self._slice_of = np.concatenate([np.arange(n) for n in n_slices])
        self._pool = ThreadPoolExecutor(n_threads) if n_threads > 1 else None
        self._kept: list[Slice] | None = None
        if sum(volume.n_bytes for volume in volumes) <= IN_MEMORY_BYTES:
            self._kept = self._map(self._read, range(self.size))

    def widths(self, indices_B: NDArray[np.int64]) -> list[int]:
        """Give the number of columns of these slices' k-space."""
        return [self._volumes[i].width for i in self._volume_of[indices_B]]

    def examples(
        self, indices_B: NDArray[np.int64], kept_B: Sequence[Columns], *, has_references: bool
    ) -> Batch:
        """Give the examples of these slices with the columns that each keeps.

        `inputs` and `targets` [B, S, S]; `mean`, `std` and `volume_max` [B]; where asked for,
        `references` [B, S, S], the targets as they are in the file; all float32. Raises DataError.
        """
        n_side = self._volumes[0].n_side
        images = ("inputs", "targets", "references")[: 2 + has_references]
        batch = {name: np.empty((len(indices_B), n_side, n_side), np.float32) for name in images}
        for name in ("mean", "std", "volume_max"):
            batch[name] = np.empty(len(indices_B), np.float32)

        def fill(row: int) -> None:
            index = int(indices_B[row])
            try:
                self._fill(batch, row, index, kept_B[row])
            except (DataError, OSError) as error:
                volume = self._volumes[self._volume_of[index]]
                where = f"{volume.path}, slice {self._slice_of[index]}"
                raise DataError(f"{where}: {error}") from error

        self._map(fill, range(len(indices_B)))
        return batch

    def _fill(self, batch: Batch, row: int, index: int, kept_W: Columns) -> None:
        hybrid_SW, target_SS = self._read(index) if self._kept is None else self._kept[index]
        image_SS = reconstruct(hybrid_SW, kept_W)
        mean, std = moments(image_SS)
        if not np.isfinite(target_SS.sum()):
            raise DataError("its target holds a value that is no number")
        normalize(image_SS, mean, std, batch["inputs"][row])
        normalize(target_SS, mean, std, batch["targets"][row])
        if "references" in batch:
            batch["references"][row] = target_SS
        batch["mean"][row], batch["std"][row] = mean, std
        batch["volume_max"][row] = self._volumes[self._volume_of[index]].maximum

    def _read(self, index: int) -> Slice:
        return read_slice(self._volumes[self._volume_of[index]], int(self._slice_of[index]))

    def _map(self, function: Callable[[int], _Result], rows: range) -> list[_Result]:
        return list(self._pool.map(function, rows) if self._pool else map(function, rows))


class MaskedSource:
    """Some of the slices, with a rule for the columns that they keep."""

    def __init__(
        self,
        slices: Slices,
        indices_N: NDArray[np.int64],
        choose: ChooseColumns,
        *,
        is_training: bool,
    ) -> None:
        self.size = len(indices_N)
        self._slices = slices
        self._indices_N = indices_N
        self._choose = choose
        self._is_training = is_training

    def read(self, indices_B: NDArray[np.int64], seeds_B: NDArray[np.uint64]) -> Batch:
        """Give examples (`Slices.examples`), with references outside of training."""
        chosen_B = self._indices_N[indices_B]
        # What is measured on training slices draws from their indices: always the same.
        seeds_B = seeds_B if self._is_training else example_seeds(0, 0, chosen_B)
        kept_B = self._choose(self._slices.widths(chosen_B), seeds_B)
        return self._slices.examples(chosen_B, kept_B, has_references=not self._is_training)


def drawn_columns(widths_B: Sequence[int], seeds_B: NDArray[np.uint64]) -> list[Columns]:
    """Draw which columns each example keeps from its seed."""
    uniforms_BW = np.stack([uniform(seeds_B, stream) for stream in range(max(widths_B))], axis=1)
    return [
        kept_columns(uniforms_W[:width].astype(np.float32))
        for uniforms_W, width in zip(uniforms_BW, widths_B, strict=True)
    ]


def fixed_columns(volumes: Sequence[Volume]) -> ChooseColumns:
    """Give the rule of validation and test: one mask for each width."""
    by_width = {width: evaluation_columns(width) for width in {v.width for v in volumes}}

    def choose(widths_B: Sequence[int], seeds_B: NDArray[np.uint64]) -> list[Columns]:  # noqa: ARG001 (nothing is drawn)
        return [by_width[width] for width in widths_B]

    return choose


def open_sources(scans: ScanSet, request: DataRequest) -> dict[str, Source]:
    """Open the four splits; raises DataError."""
    found = find_volumes(scans, request)
    sizes = sizes_of(scans, found)
    train = Slices(found["train"], request.n_threads)
    subset = fixed_subset(sizes["train"], sizes["eval_train"])
    sources: dict[str, Source] = {
        "train": MaskedSource(train, np.arange(train.size), drawn_columns, is_training=True),
        "eval_train": MaskedSource(train, subset, drawn_columns, is_training=False),
    }
    for split in ("validation", "test"):
        slices = Slices(found[split], request.n_threads)
        choose = fixed_columns(found[split])
        sources[split] = MaskedSource(slices, np.arange(slices.size), choose, is_training=False)
    evaluated = [split for split in sources if split != "train"]
    if sum(sizes[split] for split in evaluated) * scans.n_side**2 * 12 <= IN_MEMORY_BYTES:
        for split in evaluated:
            everything = np.arange(sizes[split])
            no_seeds = np.zeros(sizes[split], np.uint64)
            sources[split] = ArraySource(**sources[split].read(everything, no_seeds))
    return sources
