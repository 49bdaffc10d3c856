"""From raw files to the checked pairs of every split, in order."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from pacebench.preparing import Progress
from workloads.wmt.corpus import LANGUAGES, SPLITS
from workloads.wmt.raw import Raw, RawFile
from workloads.wmt.raw_text import Lines, read_lines, unpack
from workloads.wmt.text_pairs import TextPairs, pair_up


def texts_of(raw: Raw, state: Path, progress: Progress) -> dict[str, TextPairs]:
    """Give every split's pairs; what is packed is unpacked into `state`. Raises DataError."""
    places = _unpack_all(raw, state, progress)
    return {split: _pairs_of(split, raw, places, progress) for split in SPLITS}


def _unpack_all(raw: Raw, state: Path, progress: Progress) -> dict[RawFile, Path]:
    """Give where every raw file's lines are, plain."""
    places: dict[RawFile, Path] = {}
    by_path: dict[Path, list[tuple[RawFile, Path]]] = {}
    for split in SPLITS:
        for part in raw.parts[split]:
            for language, file in zip(LANGUAGES, part.files, strict=True):
                places[file] = file.path
                if not file.is_plain:
                    places[file] = state / f"{split}.{part.name}.{language}"
                    by_path.setdefault(file.path, []).append((file, places[file]))
    for path, files in by_path.items():
        if not all(place.is_file() for _, place in files):
            unpack(files, partial(progress.tell, f"unpacking {path.name}"))
        progress.done_bytes += path.stat().st_size
    return places


def _pairs_of(split: str, raw: Raw, places: dict[RawFile, Path], progress: Progress) -> TextPairs:
    """Read and pair a split's lines."""
    parts: list[tuple[str, Lines, Lines]] = []
    for part in raw.parts[split]:
        sides = []
        for file in part.files:
            tell = partial(progress.tell, f"reading {part.name}")
            sides.append(read_lines(places[file], str(file), tell))
            progress.done_bytes += places[file].stat().st_size
        parts.append((part.name, *sides))
    return pair_up(split, parts, is_stored=raw.is_stored)
