"""The language models' splits as sources: windows of tokens that follow each other.

Source: AlgoPerf v1.0, finewebedu_lm, input_pipeline; README.md says where we differ.

Letters: B batch, L tokens of an input, W those of a window (one more).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pacebench.data import fixed_subset
from pacebench.spec import Batch, DataRequest, Source
from workloads.lm.corpus import Corpus
from workloads.lm.files import TokenStream, find_manifest, open_stream, sizes_of


class WindowSource:
    """Some of a stream's windows: window i holds the tokens from i·W on."""

    def __init__(self, stream: TokenStream, window: int, chosen: NDArray[np.int64] | range) -> None:
        self.size = len(chosen)
        self._stream = stream
        self._window = window
        self._chosen = chosen

    def read(self, indices_B: NDArray[np.int64], seeds_B: NDArray[np.uint64]) -> Batch:  # noqa: ARG002 (nothing is drawn)
        """Give inputs [B, L] and targets [B, L], the tokens that follow them; int32."""
        windows_BW = np.empty((len(indices_B), self._window), np.uint16)
        for row, index in zip(windows_BW, indices_B.tolist(), strict=True):
            self._stream.copy_to(row, int(self._chosen[index]) * self._window)
        return {
            "inputs": windows_BW[:, :-1].astype(np.int32),
            "targets": windows_BW[:, 1:].astype(np.int32),
        }


def open_sources(corpus: Corpus, request: DataRequest) -> dict[str, Source]:
    """Open train, eval_train and validation; raises DataError. There is no test split."""
    folder, manifest = find_manifest(corpus, request)
    sizes = sizes_of(corpus, manifest)
    train, validation = (
        open_stream(folder, manifest, "train"),
        open_stream(folder, manifest, "validation"),
    )
    subset = fixed_subset(sizes["train"], sizes["eval_train"])
    return {
        "train": WindowSource(train, corpus.window, range(sizes["train"])),
        "eval_train": WindowSource(train, corpus.window, subset),
        "validation": WindowSource(validation, corpus.window, range(sizes["validation"])),
    }
