"""The raw download of wmt in its real layout: archives, files unpacked from them, text of one's
own, or what TensorFlow Datasets has stored.

A part's file is looked for in its archive, then below the folder by its published path, then by its
bare name, both also with .gz. If no published file of any part of a split is there, every pair of
files <start>*.de and <start>*.en (also .gz) is taken, where <start> is train, val or test. If there
is nothing of all this, the folder may be TensorFlow Datasets' `data_dir`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pacebench.errors import DataError
from pacebench.tfds_records import StoredShard, find_stored, open_stored
from workloads.wmt.corpus import LANGUAGES, SPLITS, STORED, Corpus, Part

# Ours, on the safe side: what text weighs unpacked, against gzip (Multi30k) and against
# the published archives, which hold other languages too.
TEXT_FACTORS = {".gz": 3.5, ".tgz": 1.2}
OWN_STARTS = {"train": "train", "validation": "val", "test": "test"}


@dataclass(frozen=True, kw_only=True, slots=True)
class RawFile:
    """Where the lines of one language come from."""

    path: Path
    member: str = ""
    """In the archive `path`, or a language in a shard; empty if the file is neither."""
    shard: StoredShard | None = field(default=None, compare=False)

    @property
    def is_plain(self) -> bool:
        """Say whether its bytes are its lines."""
        return not (self.member or self.path.suffix in (".gz", ".sgm"))

    def __str__(self) -> str:
        """Name the file in messages."""
        return f"{self.path}:{self.member}" if self.member else str(self.path)


@dataclass(frozen=True, kw_only=True, slots=True)
class RawPart:
    """Two line-aligned files."""

    name: str
    files: tuple[RawFile, RawFile]


@dataclass(frozen=True, kw_only=True, slots=True)
class Raw:
    """All raw files of a corpus."""

    parts: dict[str, tuple[RawPart, ...]]
    """By split."""
    is_stored: bool = False
    """The parts are the shards of TensorFlow Datasets: in order, without empty sides."""

    @property
    def paths(self) -> list[Path]:
        """Give every file once, archives included, in order."""
        found = [f.path for split in SPLITS for part in self.parts[split] for f in part.files]
        return list(dict.fromkeys(found))

    @property
    def unpacked_bytes(self) -> dict[Path, int]:
        """Give about how many bytes come out of every packed file."""
        factors = {
            file.path: 1.0 if file.shard else TEXT_FACTORS.get(file.path.suffix)
            for parts in self.parts.values()
            for part in parts
            for file in part.files
        }
        return {path: int(path.stat().st_size * f) for path, f in factors.items() if f is not None}

    @property
    def fingerprint(self) -> str:
        """Give a text that changes when the raw files do: their uses, names, sizes and times."""
        words = []
        for split in SPLITS:
            for part in self.parts[split]:
                for file in part.files:
                    status = file.path.stat()
                    where = f"{file.path.name}:{file.member}"
                    words.append(
                        f"{split}/{part.name}={where}:{status.st_size}:{status.st_mtime_ns}"
                    )
        return " ".join(words)


def find_raw(corpus: Corpus, raw_dir: Path) -> Raw | None:
    """Find the raw files; None if there are none at all. Raises DataError if some are missing."""
    parts: dict[str, tuple[RawPart, ...]] = {}
    missing: list[str] = []
    for split in SPLITS:
        wanted = corpus.parts[split]
        found = [_find_part(part, raw_dir) for part in wanted]
        if not any(found):
            own = tuple(_own_parts(raw_dir, OWN_STARTS[split]))
            parts[split] = own
            if not own:
                missing.append(
                    f"{' and '.join(_lacking(part, raw_dir) for part in wanted)} for {split}"
                )
            continue
        missing += [
            f"{_lacking(part, raw_dir)} for {split}"
            for part, there in zip(wanted, found, strict=True)
            if there is None
        ]
        parts[split] = tuple(part for part in found if part is not None)
    if not any(parts.values()):
        return _find_stored(corpus, raw_dir)
    if missing:
        raise DataError(f"{corpus.name}: {raw_dir} lacks {'; '.join(missing)}; {corpus.help}")
    return Raw(parts=parts)


def _find_stored(corpus: Corpus, raw_dir: Path) -> Raw | None:
    """Find what TensorFlow Datasets has stored; raises DataError if there is only one of two."""
    places = {name: find_stored(raw_dir, name) for name in dict.fromkeys(STORED.values())}
    if not any(places.values()):
        return None
    missing = [name for name, place in places.items() if place is None]
    if missing:
        raise DataError(f"{corpus.name}: {raw_dir} lacks {' and '.join(missing)}; {corpus.help}")
    opened = {name: open_stored(place) for name, place in places.items() if place}
    return Raw(
        parts={
            split: tuple(_stored_part(shard) for shard in opened[STORED[split]][split])
            for split in SPLITS
        },
        is_stored=True,
    )


def _stored_part(shard: StoredShard) -> RawPart:
    source, target = (
        RawFile(path=shard.path, member=language, shard=shard) for language in LANGUAGES
    )
    return RawPart(name=shard.path.name, files=(source, target))


def _find_part(part: Part, raw_dir: Path) -> RawPart | None:
    """Find a published part; None if one of its files is missing."""
    archive = raw_dir / part.archive
    if archive.is_file():
        files = [RawFile(path=archive, member=member) for member in part.members]
    else:
        files = []
        for member in part.members:
            places = (raw_dir / member, raw_dir / Path(member).name)
            candidates = (p for place in places for p in (place, Path(f"{place}.gz")))
            path = next((p for p in candidates if p.is_file()), None)
            if path is None:
                return None
            files.append(RawFile(path=path))
    return RawPart(name=part.name, files=(files[0], files[1]))


def _lacking(part: Part, raw_dir: Path) -> str:
    """Name what a part lacks: one of its files if the other is there, else its archive."""
    names = [Path(member).name for member in part.members]
    there = [
        any((raw_dir / folder / name).is_file() for folder in ("", *Path(member).parts[:-1]))
        for name, member in zip(names, part.members, strict=True)
    ]
    if any(there) and not all(there):
        return names[there.index(False)]
    return part.archive


def _own_parts(raw_dir: Path, start: str) -> Iterator[RawPart]:
    """Give the pairs of files <start>*.de[.gz] and <start>*.en[.gz], sorted; raises DataError."""
    stems: dict[str, dict[str, Path]] = {}
    for path in sorted(raw_dir.glob(f"{start}*")):
        bare = path.with_suffix("") if path.suffix == ".gz" else path
        language = bare.suffix.removeprefix(".")
        if path.is_file() and language in LANGUAGES:
            stems.setdefault(bare.stem, {}).setdefault(language, path)
    for stem, files in stems.items():
        for language in LANGUAGES:
            if language not in files:
                raise DataError(f"{next(iter(files.values()))} has no {stem}.{language} beside it")
        source, target = (RawFile(path=files[language]) for language in LANGUAGES)
        yield RawPart(name=stem, files=(source, target))
