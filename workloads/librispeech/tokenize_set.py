"""Cuts the transcripts of a prepared set into tokens, by a tokenizer trained on one subset.

<subset>.tokens.npz holds the tokens of all utterances that are kept, one after the other, how many
each has, and what they were made of.
"""

from __future__ import annotations

import hashlib
import io
import logging
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from workloads.librispeech import tokens
from workloads.librispeech.sets import SpeechSet
from workloads.librispeech.subset import (
    NO_TRANSCRIPT,
    STATE_FOLDER,
    SubsetFiles,
    Utterance,
    replace_file,
)

_log = logging.getLogger(__name__)


def tokenize_set(speech: SpeechSet, folder: Path, tell: Callable[[str], None]) -> None:
    """Train the tokenizer and write the tokens, where they are not there or out of date."""
    subsets = [SubsetFiles(folder, name) for name in speech.all_subsets]
    subsets = [files for files in subsets if files.manifest.is_file()]
    made_of = {files.name: files.read_manifest()[1] for files in subsets}
    tell("tokenizer")
    tokenizer = _tokenizer(speech, folder, made_of[speech.tokenizer_subset])
    for files in subsets:
        tell(f"tokens of {files.name}")
        transcripts = [u.transcript for u in made_of[files.name] if not u.left_out]
        key = f"{tokenizer.fingerprint} {_sum_of(transcripts)}"
        if _key_of(files.tokens) != key:
            rows = tokenizer.encode(transcripts)
            lengths = np.array([len(row) for row in rows], np.int32)
            ids = np.concatenate([*rows, np.zeros(0, np.int32)]).astype(np.uint16)
            content = io.BytesIO()
            np.savez(content, ids=ids, lengths=lengths, key=np.array(key))
            replace_file(files.tokens, content.getvalue())
            n_beyond = int((lengths > speech.max_tokens).sum())
            if n_beyond:
                _log.warning(
                    "%s: %d utterances with more than %d tokens are left out",
                    *(files.name, n_beyond, speech.max_tokens),
                )


def _tokenizer(speech: SpeechSet, folder: Path, utterances: list[Utterance]) -> tokens.Tokenizer:
    """Give the tokenizer; one that was not trained here, as AlgoPerf's own, is kept as it is."""
    path, note = folder / tokens.TOKENIZER_FILE, folder / STATE_FOLDER / "tokenizer"
    # AlgoPerf v0.6 trains on all transcripts, those of utterances that are left out as well.
    transcripts = [u.transcript for u in utterances if u.left_out != NO_TRANSCRIPT]
    wanted = f"{speech.n_pieces} {_sum_of(transcripts)}"
    trained, made_of = note.read_text().split("\n") if note.is_file() else ("", "")
    if path.is_file():
        tokenizer = tokens.load(path, speech.n_pieces)
        if tokenizer.fingerprint != trained or made_of == wanted:
            return tokenizer
    replace_file(path, tokens.train(transcripts, speech.n_pieces))
    tokenizer = tokens.load(path, speech.n_pieces)
    replace_file(note, f"{tokenizer.fingerprint}\n{wanted}".encode())
    return tokenizer


def _sum_of(transcripts: list[str]) -> str:
    return hashlib.sha256("\n".join(transcripts).encode()).hexdigest()


def _key_of(path: Path) -> str:
    """Give what tokens were made of; nothing where they are not there or damaged."""
    try:
        with path.open("rb") as file, np.load(file) as arrays:
            return str(arrays["key"])
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return ""
