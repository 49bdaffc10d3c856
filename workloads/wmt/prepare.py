"""Prepares wmt: from the raw download to tokens; `workloads.wmt.files` says what is written.

What it is on the way with lies in <folder>/.prepare and is deleted at the end: unpacked text, the
tokenizer, and blocks of tokens. All are written as a whole, so an interrupted run goes on.
"""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

from pacebench.errors import DataError
from pacebench.manifests import MANIFEST, crc_of
from pacebench.preparing import Progress, check_sum, disk_errors, is_sum_due, locked
from pacebench.spec import Report
from workloads.wmt.corpus import ARCHIVES, LANGUAGES, SPLITS, WMT17, Corpus
from workloads.wmt.files import FORMAT, read_manifest, settings_of
from workloads.wmt.raw import Raw, RawFile, find_raw
from workloads.wmt.raw_text import Lines, read_lines, unpack
from workloads.wmt.text_pairs import TextPairs, pair_up
from workloads.wmt.tokens import MODEL_FILE, train
from workloads.wmt.writing import STATE_FOLDER, write_all

RAW_FILES = tuple(ARCHIVES)
# What text weighs unpacked: against gzip (Multi30k), and against the published archives, which hold
# other languages too (an estimate, on the safe side). Tokens against text, in blocks and again in
# the end (Multi30k and Europarl: 0.9).
GZIP_FACTOR, ARCHIVE_FACTOR = 3.5, 1.2
TOKEN_FACTOR = 1.2


def prepare_wmt17(raw_dir: Path, data_dir: Path, report: Report) -> None:
    """Write `data_dir`/wmt from the published files; raises DataError."""
    prepare(WMT17, raw_dir, data_dir, report)


def needed_bytes_wmt17(raw_dir: Path, data_dir: Path) -> int:
    """Give about how many bytes `prepare_wmt17` will still write; raises DataError."""
    return needed_bytes(WMT17, raw_dir, data_dir)


def needed_bytes(corpus: Corpus, raw_dir: Path, data_dir: Path) -> int:
    """Give about how many bytes `prepare` will still write; raises DataError."""
    folder = data_dir / corpus.folder
    with disk_errors(corpus.name):
        raw = find_raw(corpus, raw_dir)
        if _is_whole(corpus, folder, raw):
            return 0
        if raw is None:
            raise DataError(_nothing(corpus, raw_dir))
        packed = sum(_unpacked_bytes(path) for path in raw.paths)
        plain = sum(path.stat().st_size for path in raw.paths if _unpacked_bytes(path) == 0)
        there = sum(p.stat().st_size for p in (folder / STATE_FOLDER).rglob("*") if p.is_file())
        return max(0, int(packed + (packed + plain) * TOKEN_FACTOR) - there)


def prepare(corpus: Corpus, raw_dir: Path, data_dir: Path, report: Report) -> None:
    """Write the tokens of a corpus. What is there and whole is kept. Raises DataError."""
    folder = data_dir / corpus.folder
    state = folder / STATE_FOLDER
    with disk_errors(corpus.name):
        raw = find_raw(corpus, raw_dir)
        if _is_whole(corpus, folder, raw, report):
            shutil.rmtree(state, ignore_errors=True)  # a run was interrupted behind its last step
            return
        if raw is None:
            raise DataError(_nothing(corpus, raw_dir))
        with locked(state):
            _prepare(corpus, raw, folder, report)
        shutil.rmtree(state)


def _prepare(corpus: Corpus, raw: Raw, folder: Path, report: Report) -> None:
    state = folder / STATE_FOLDER
    _begin(state, _identity(corpus, raw))
    due = [path for path in raw.paths if is_sum_due(path, ARCHIVES.get(path.name), state)]
    progress = Progress(
        report=report,
        total_bytes=sum(path.stat().st_size for path in [*due, *raw.paths])
        + 2 * sum(_unpacked_bytes(path) or path.stat().st_size for path in raw.paths),
    )
    for path in due:
        check_sum(path, ARCHIVES[path.name], state, partial(progress.tell, f"checking {path.name}"))
        progress.done_bytes += path.stat().st_size
    texts = _texts(raw, state, progress)
    progress.total_bytes = progress.done_bytes + sum(t.n_bytes for t in texts.values())
    model = state / MODEL_FILE
    if not model.is_file():
        progress.tell("training the tokenizer", 0)
        train(
            texts["train"],
            model,
            n_pieces=corpus.vocabulary_size,
            n_text_bytes=corpus.tokenizer_text_bytes,
        )
    (folder / MANIFEST).unlink(missing_ok=True)
    write_all(corpus, texts, folder, {"raw": _identity(corpus, raw)}, progress)


def open_text(raw: Raw, folder: Path, report: Report) -> dict[str, TextPairs]:
    """Give the checked pairs of every split, in order; packed files are unpacked into `folder`."""
    return _texts(raw, folder, Progress(report=report, total_bytes=0))


def _texts(raw: Raw, state: Path, progress: Progress) -> dict[str, TextPairs]:
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
    return pair_up(split, parts)


def _is_whole(corpus: Corpus, folder: Path, raw: Raw | None, report: Report | None = None) -> bool:
    """Say whether all is there, made of this raw data (or of what is gone) with these settings.

    With `report` sums are compared too.
    """
    try:
        manifest = read_manifest(folder)
    except DataError:
        return False
    if manifest is None or manifest["settings"] != settings_of(corpus):
        return False
    if raw is not None and manifest["raw"] != _identity(corpus, raw):
        return False
    total = sum(n_bytes for n_bytes, _ in manifest["files"].values())
    done = 0
    for name, (n_bytes, crc) in manifest["files"].items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != n_bytes:
            return False
        if report is not None:
            report(f"checking {name}", done, total)
            if crc_of(path) != crc:
                return False
        done += n_bytes
    return True


def _unpacked_bytes(path: Path) -> int:
    """Give about how many bytes come out of a packed file; 0 for a plain one."""
    factor = {".tgz": ARCHIVE_FACTOR, ".gz": GZIP_FACTOR}.get(path.suffix, 0.0)
    return int(path.stat().st_size * factor)


def _identity(corpus: Corpus, raw: Raw) -> str:
    return f"{FORMAT} {settings_of(corpus)} {raw.fingerprint}"


def _begin(state: Path, identity: str) -> None:
    """Start, or go on where an earlier run of the same raw data and settings was interrupted."""
    note = state / "identity"
    if not note.is_file() or note.read_text(encoding="utf-8") != identity:
        for path in state.iterdir():
            if path.name != "lock":
                path.unlink()
        note.write_text(identity, encoding="utf-8")


def _nothing(corpus: Corpus, raw_dir: Path) -> str:
    return (
        f"{corpus.name}: {raw_dir} holds none of {', '.join(RAW_FILES)}, nor files unpacked from "
        f"them, nor train*.de and train*.en with val*.de … and test*.de …; {corpus.help}"
    )
