"""Tokens of raw files on the way to the splits: one growing file, and a note for every block.

A note is written when its tokens are on the disk, so an interrupted run goes on behind the last
note. <state> holds tokens.bin (uint16) and block-00000.npz …
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from workloads.lm.documents import BEGINNING, Block, Place, read_blocks
from workloads.lm.tokens import Tokenizer

TOKENS_FILE = "tokens.bin"
_N_PER_TASK = 64
"""Documents that a thread tokenises in one go."""

Tell = Callable[[str, int], None]
"""tell(what, text bytes that were read)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Documents:
    """All documents in the order of the raw files."""

    tokens: NDArray[np.uint16]
    lengths_N: NDArray[np.int64]
    n_empty: int
    """Documents without a character, which were left out."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """What is known of a block."""

    lengths_N: NDArray[np.uint32]
    file: int
    """The number of its raw file."""
    stop: Place
    n_empty: int
    n_tokens: int
    """Of all blocks up to this one."""
    n_text_bytes: int


def tokenize_all(
    raw: list[Path], state: Path, tokenizer: Tokenizer, n_threads: int, tell: Tell
) -> Documents:
    """Tokenise what is not yet; raises DataError."""
    notes = list(read_notes(state))
    for note in notes:
        tell(f"tokenising {raw[note.file].name}", note.n_text_bytes)
    with ThreadPoolExecutor(n_threads) as pool, _opened(state, notes) as file:
        for note_of_block, name in _new_notes(raw, notes, tokenizer, pool, file):
            _write_note(state, len(notes), note_of_block)
            notes.append(note_of_block)
            tell(f"tokenising {name}", note_of_block.n_text_bytes)
    n_tokens = notes[-1].n_tokens if notes else 0
    lengths = [note.lengths_N for note in notes]
    tokens = np.memmap(state / TOKENS_FILE, np.uint16, "r", shape=n_tokens) if n_tokens else ()
    return Documents(
        tokens=np.asarray(tokens, np.uint16),
        lengths_N=np.concatenate([np.empty(0, np.int64), *lengths]).astype(np.int64),
        n_empty=sum(note.n_empty for note in notes),
    )


def read_notes(state: Path) -> Iterator[Note]:
    """Give the notes of an earlier run, up to the first that is not whole."""
    for number in range(len(list(state.glob("block-*.npz")))):
        try:
            with np.load(state / f"block-{number:05d}.npz", allow_pickle=False) as note:
                file, position, row, n_empty, n_tokens, n_text_bytes = note["numbers"].tolist()
                lengths_N = note["lengths"]
        except (OSError, ValueError, KeyError):
            return
        yield Note(
            lengths_N=lengths_N,
            file=file,
            stop=Place(position, row),
            n_empty=n_empty,
            n_tokens=n_tokens,
            n_text_bytes=n_text_bytes,
        )


def _opened(state: Path, notes: list[Note]) -> BinaryIO:
    """Open the tokens to go on behind the last note."""
    path = state / TOKENS_FILE
    path.touch()
    file = path.open("r+b")
    file.truncate(2 * notes[-1].n_tokens if notes else 0)
    file.seek(0, os.SEEK_END)
    return file


def _new_notes(
    raw: list[Path],
    notes: list[Note],
    tokenizer: Tokenizer,
    pool: ThreadPoolExecutor,
    file: BinaryIO,
) -> Iterator[tuple[Note, str]]:
    """Write blocks of tokens, and give the note of each and its raw file's name."""
    first, place = (notes[-1].file, notes[-1].stop) if notes else (0, BEGINNING)
    n_tokens = notes[-1].n_tokens if notes else 0
    for number in range(first, len(raw)):
        for block in read_blocks(raw[number], place):
            if not block.texts and not block.n_empty:
                continue
            documents = _tokenize(block, tokenizer, pool)
            file.writelines(memoryview(tokens) for tokens in documents)
            file.flush()
            os.fsync(file.fileno())
            lengths_N = np.array([len(tokens) for tokens in documents], np.uint32)
            n_tokens += int(lengths_N.sum())
            note = Note(
                lengths_N=lengths_N,
                file=number,
                stop=block.stop,
                n_empty=block.n_empty,
                n_tokens=n_tokens,
                n_text_bytes=block.n_bytes,
            )
            yield note, raw[number].name
        place = BEGINNING


def _tokenize(
    block: Block, tokenizer: Tokenizer, pool: ThreadPoolExecutor
) -> list[NDArray[np.uint16]]:
    parts = [block.texts[i : i + _N_PER_TASK] for i in range(0, len(block.texts), _N_PER_TASK)]

    def encode(texts: list[str]) -> list[NDArray[np.uint16]]:
        return [tokenizer.encode(text) for text in texts]

    made: Iterable[list[NDArray[np.uint16]]] = pool.map(encode, parts)
    return [tokens for part in made for tokens in part]


def _write_note(state: Path, number: int, note: Note) -> None:
    """Write a note as a whole: aside, then into place."""
    aside = state / "note.part"
    values = (note.file, *note.stop, note.n_empty, note.n_tokens, note.n_text_bytes)
    with aside.open("wb") as file:
        np.savez(file, numbers=np.array(values, np.int64), lengths=note.lengths_N)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(state / f"block-{number:05d}.npz")
