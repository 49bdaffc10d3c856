"""Utterances as sources: samples as float32 and tokens, both padded, with their paddings.

Both frameworks and all variants see the same arrays; nothing is drawn here. Source: AlgoPerf v0.6,
librispeech input pipeline. AlgoPerf hands samples out as the integers they are and the models
multiply by 2⁻¹⁵; here they come multiplied, which in float32 is the same number.

Letters: B batch, N samples, L tokens.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from pacebench.data import aligned_empty, fixed_subset
from pacebench.spec import Batch, DataRequest, Metric, Source
from workloads.librispeech import tokens
from workloads.librispeech.files import Clips, find_clips, find_folder
from workloads.librispeech.sets import SpeechSet
from workloads.librispeech.wer import WordErrors

# AlgoPerf v0.6: samples of 16 bits become numbers in [-1, 1).
SCALE = np.float32(2.0**-15)
_N_PER_TASK = 8
"""Utterances that a thread copies in one go."""


class ClipSource:
    """Utterances read from the files of samples whenever they are asked for."""

    def __init__(self, clips: Clips, speech: SpeechSet, n_threads: int) -> None:
        self.size = len(clips.first_N)
        self._clips = clips
        self._samples = [files.memory() for files in clips.files]
        self._shape = speech.max_samples, speech.max_tokens
        self._pool = ThreadPoolExecutor(n_threads) if n_threads > 1 else None

    def read(self, indices_B: NDArray[np.int64], seeds_B: NDArray[np.uint64]) -> Batch:  # noqa: ARG002 (nothing is drawn)
        """Give inputs, (samples, paddings) [B, N] float32, and targets, (tokens [B, L] int32,
        paddings [B, L] float32); a padding is 1 where nothing is, else 0."""
        n_rows, (max_samples, max_tokens) = len(indices_B), self._shape
        inputs = tuple(aligned_empty((n_rows, max_samples), np.float32) for _ in range(2))
        clips = self._clips

        def fill(start: int) -> None:
            for row in range(start, min(start + _N_PER_TASK, n_rows)):
                index = indices_B[row]
                n, first = clips.n_samples_N[index], clips.first_N[index]
                samples_N = self._samples[clips.file_N[index]][first : first + n]
                np.multiply(samples_N, SCALE, out=inputs[0][row, :n])
                inputs[0][row, n:] = 0
                inputs[1][row, :n] = 0
                inputs[1][row, n:] = 1

        starts = range(0, n_rows, _N_PER_TASK)
        list(self._pool.map(fill, starts) if self._pool else map(fill, starts))
        tokens_BL = np.zeros((n_rows, max_tokens), np.int32)
        for row, index in enumerate(indices_B):
            n, first = clips.n_ids_N[index], clips.first_id_N[index]
            tokens_BL[row, :n] = clips.ids[first : first + n]
        paddings_BL = np.arange(max_tokens) >= clips.n_ids_N[indices_B, None]
        return {"inputs": inputs, "targets": (tokens_BL, paddings_BL.astype(np.float32))}


def open_sources(speech: SpeechSet, request: DataRequest) -> dict[str, Source]:
    """Open the four splits; raises DataError."""
    found = find_clips(speech, request)
    n_train = len(found["train"].first_N)
    subset = fixed_subset(n_train, min(n_train, speech.n_eval_train))
    found["eval_train"] = found["train"].at(subset)
    return {split: ClipSource(clips, speech, request.n_threads) for split, clips in found.items()}


def open_metric(speech: SpeechSet, request: DataRequest) -> Metric:
    """Give the metric with the tokenizer that lies with the data; raises DataError."""
    path = find_folder(speech, request) / tokens.TOKENIZER_FILE
    return WordErrors(tokens.load(path, speech.n_pieces))
