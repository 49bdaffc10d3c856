"""LibriSpeech is prepared: what is written, what is kept, and how an interrupted run goes on."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pacebench.errors import DataError
from pacebench.preparing import Published
from tests.workloads.librispeech_raw import (
    TEXTS,
    TINY,
    TRAIN_NAMES,
    Killed,
    all_of,
    archive_of,
    files_of,
    flac_of,
    lengths_of,
    prepared,
    samples_of,
    write_archives,
    write_tree,
)
from workloads.librispeech import prepare, tokens

CHAPTER = "LibriSpeech/train-clean-100/103/1240"
FIRST = f"{CHAPTER}/103-1240-0000.flac"
TRANSCRIPTS = f"{CHAPTER}/103-1240.trans.txt"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the real disk out of it (seconds, on a busy one)."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return write_tree(tmp_path / "raw")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def check(data: Path) -> None:
    """Check samples and transcripts against what the raw files were made of."""
    tokenizer = tokens.load(data / "librispeech" / tokens.TOKENIZER_FILE, TINY.n_pieces)
    batch = all_of(data, "train")
    (samples_BN, paddings_BN), (ids_BL, id_paddings_BL) = batch["inputs"], batch["targets"]
    texts = {name: text for part in TEXTS.values() for name, text in part.items()}
    lengths, id_lengths = lengths_of(paddings_BN), lengths_of(id_paddings_BL)
    assert len(lengths) == len(TRAIN_NAMES)
    for row, name in enumerate(TRAIN_NAMES):
        expected = samples_of(name) / 2**15
        assert lengths[row] == len(expected)
        assert np.array_equal(samples_BN[row, : lengths[row]], expected)
        assert not samples_BN[row, lengths[row] :].any()
        ids = ids_BL[row, : id_lengths[row]]
        assert ids[-1] == 2 and tokenizer.decode([ids]) == [texts[name]]
        assert not ids_BL[row, id_lengths[row] :].any()


def times(data: Path) -> dict[Path, int]:
    return {p: p.stat().st_mtime_ns for p in data.rglob("*") if p.is_file()}


def test_a_tree_and_archives_in_any_order_give_the_same_examples(
    raw: Path, data: Path, tmp_path: Path
) -> None:
    prepared(raw, data)
    check(data)
    other = prepared(write_archives(tmp_path / "archives"), tmp_path / "other")
    check(other)
    for split in ("train", "eval_train", "validation", "test"):
        for a, b in zip(all_of(data, split).values(), all_of(other, split).values(), strict=True):
            assert np.array_equal(a[0], b[0]) and np.array_equal(a[1], b[1])


def test_what_is_there_is_kept_and_needs_no_raw_files(raw: Path, data: Path) -> None:
    prepared(raw, data)
    before = times(data)
    prepared(raw, data)
    shutil.rmtree(raw)
    raw.mkdir()
    prepared(raw, data)
    assert times(data) == before


def test_needed_bytes_fall_to_nothing(
    raw: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "LIBRISPEECH", TINY)
    n_samples = sum(len(samples_of(name)) for texts in TEXTS.values() for name in texts)
    assert 2 * n_samples <= prepare.needed_bytes(raw, data) <= 4 * n_samples  # noise is no speech
    said: list[tuple[str, int, int]] = []
    prepare.prepare(raw, data, lambda *words: said.append(words))
    assert prepare.needed_bytes(raw, data) == 0
    done = [d for _, d, _ in said]
    assert done == sorted(done) and 0 < done[-1] == said[-1][2]


@pytest.mark.parametrize("n", range(1, 24, 2))
@pytest.mark.parametrize("n_per_write", [1, 3])
def test_a_run_killed_anywhere_goes_on(
    n: int, n_per_write: int, raw: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare, "_N_PER_WRITE", n_per_write)
    calls = iter(range(1, 1000))

    def dying(what: str, done: int, total: int) -> None:
        if next(calls) == n:
            raise Killed

    with pytest.raises(Killed):
        prepare.prepare_set(TINY, raw, data, dying)
    journals = list((data / "librispeech/.prepare").glob("*.journal"))
    for journal in journals:  # a crash also garbled what had been begun
        subset = data / "librispeech" / f"{journal.stem}.int16"
        subset.write_bytes(subset.read_bytes() + b"x" * 7)
        journal.write_bytes(journal.read_bytes() + b"20-1-0000\t3")
    prepared(raw, data)
    check(data)


@pytest.mark.parametrize("keep", [0, 1, -2, -30])
def test_lost_samples_are_decoded_again(keep: int, raw: Path, data: Path) -> None:
    prepared(raw, data)
    audio = data / "librispeech/train-clean-100.int16"
    audio.write_bytes(audio.read_bytes()[:keep])
    with pytest.raises(DataError, match=r"train-clean-100\.int16 has .* bytes, not the .*prepare"):
        all_of(data, "train")
    prepared(raw, data)
    check(data)


def test_damaged_tokens_are_made_again(raw: Path, data: Path) -> None:
    prepared(raw, data)
    for spoil in (lambda b: b[:-9], lambda b: b""):
        path = data / "librispeech/train-other-500.tokens.npz"
        path.write_bytes(spoil(path.read_bytes()))
        prepared(raw, data)
        check(data)


def test_a_damaged_manifest_is_named_and_made_again(raw: Path, data: Path) -> None:
    prepared(raw, data)
    manifest = data / "librispeech/dev-other.tsv"
    manifest.write_text(manifest.read_text()[:-5])
    with pytest.raises(DataError, match=r"dev-other\.tsv is damaged .*prepare again"):
        all_of(data, "validation")
    prepared(raw, data)
    assert lengths_of(all_of(data, "validation")["inputs"][1])


def stereo(_: bytes) -> bytes:
    return flac_of(np.zeros((1_000, 2), np.int16))


def other_rate(_: bytes) -> bytes:
    return flac_of(samples_of("1-1-1"), rate=8_000)


def other_format(_: bytes) -> bytes:
    return flac_of(samples_of("1-1-1"), subtype="PCM_24")


def one_bit_wrong(data: bytes) -> bytes:
    return data[:-20] + bytes([data[-20] ^ 16]) + data[-19:]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: data[:-1], "cut off or damaged"),
        (lambda data: data[: len(data) // 2], "cut off or damaged"),
        (lambda data: data[:30], "cut off or damaged"),
        (one_bit_wrong, "cut off or damaged"),
        (lambda data: b"", "is no FLAC file"),
        (lambda data: flac_of(np.zeros(0, np.int16)), "is no FLAC file"),
        (stereo, r"16,000 samples per second in 2 channel\(s\)"),
        (other_rate, "8,000 samples per second"),
        (other_format, "PCM_24"),
    ],
)
def test_audio_that_is_not_right_is_named_and_the_rest_is_kept(
    change: Callable[[bytes], bytes], said: str, raw: Path, data: Path
) -> None:
    path = raw / FIRST.replace("0000.flac", "0001.flac")
    right = path.read_bytes()
    path.write_bytes(change(right))
    with pytest.raises(DataError, match=f"103-1240-0001.flac.*{said}"):
        prepared(raw, data)
    journal = data / "librispeech/.prepare/train-clean-100.journal"
    assert "103-1240-0000" in journal.read_text()
    with pytest.raises(DataError, match=r"no spm_model\.vocab"):
        all_of(data, "train")
    path.write_bytes(right)
    prepared(raw, data)
    check(data)


def test_what_is_left_out_is_counted_and_named(
    raw: Path, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (raw / FIRST).unlink()
    long = "103-1240-0003"
    for name in (long, "103-1240-0004", "103-1240-0005"):
        (raw / CHAPTER / f"{name}.flac").write_bytes(flac_of(samples_of(name)))
    (raw / CHAPTER / f"{long}.flac").write_bytes(flac_of(np.ones(4_001, np.int16)))
    with (raw / TRANSCRIPTS).open("a") as file:
        file.write(f"{long} TOO LONG\n103-1240-0004 {'A' * 21}\n103-1240-0006 \n")
    (raw / CHAPTER / "103-1240-0006.flac").write_bytes(flac_of(samples_of("6-6-6")))
    with caplog.at_level(logging.WARNING):
        prepared(raw, data)
    assert (
        "train-clean-100: 5 of 7 utterances are left out: 1 with a transcript beyond the limit, "
        "1 with an empty transcript, 1 with audio beyond the limit, 1 with no audio, 1 with no "
        "transcript (train-clean-100.tsv names them)"
    ) in caplog.text
    manifest = (data / "librispeech/train-clean-100.tsv").read_text()
    assert "\n103-1240-0000\t-1\t0\tno audio\tTHE CAT SAT\n" in manifest
    assert f"\n{long}\t-1\t4001\taudio beyond the limit\tTOO LONG\n" in manifest
    assert len(all_of(data, "train")["inputs"][0]) == 5


def test_an_utterance_at_the_limits_is_kept(raw: Path, data: Path) -> None:
    (raw / FIRST).write_bytes(flac_of(np.ones(4_000, np.int16)))
    text = (raw / TRANSCRIPTS).read_text().replace("THE CAT SAT", "A" * 20)
    (raw / TRANSCRIPTS).write_text(text)
    prepared(raw, data)
    assert lengths_of(all_of(data, "train")["inputs"][1])[0] == 4_000


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("103-1240-0009", None),  # an empty transcript, left out
        ("THE CAT", "line 3 of .*trans.txt is 'THE CAT', not an utterance's name"),
        ("103-1240-0009 A\tB", "line 3 of .*trans.txt"),
        ("103-1240-0001 AGAIN", "line 3 of .*: 103-1240-0001 is there twice"),
    ],
)
def test_a_transcript_that_is_not_right_is_named_with_its_line(
    line: str, said: str | None, raw: Path, data: Path
) -> None:
    with (raw / TRANSCRIPTS).open("a") as file:
        file.write(line + "\n")
    if said is None:
        prepared(raw, data)
        return
    with pytest.raises(DataError, match=said):
        prepared(raw, data)


def test_transcripts_that_are_no_text_are_named(raw: Path, data: Path) -> None:
    (raw / TRANSCRIPTS).write_bytes(b"103-1240-0000 \xff\n")
    with pytest.raises(DataError, match=r"103-1240\.trans\.txt is not UTF-8"):
        prepared(raw, data)


@pytest.mark.parametrize("cut", [5, 100, 1_000, -3_000, -1])
def test_an_archive_that_was_cut_off_is_named(cut: int, tmp_path: Path, data: Path) -> None:
    raw = write_archives(tmp_path / "archives")
    archive = raw / "train-clean-360.tar.gz"
    whole = archive.read_bytes()
    archive.write_bytes(whole[:cut])
    with pytest.raises(DataError, match=r"train-clean-360\.tar\.gz is cut off or damaged"):
        prepared(raw, data)
    archive.write_bytes(whole)
    prepared(raw, data)
    check(data)


def test_an_archive_is_compared_with_its_published_sum(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = write_archives(tmp_path / "archives")
    name = "dev-clean.tar.gz"
    content = (raw / name).read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    published = {name: Published(n_bytes=len(content), algorithm="sha256", digest=digest)}
    monkeypatch.setattr(prepare, "PUBLISHED", published)
    wrong = content[:-100] + bytes([content[-100] ^ 1]) + content[-99:]
    (raw / name).write_bytes(wrong)
    with pytest.raises(DataError, match=r"dev-clean\.tar\.gz has SHA256 .*download it again"):
        prepared(raw, data)
    (raw / name).write_bytes(content)
    prepared(raw, data)
    assert (data / "librispeech/.prepare" / f"{name}.sha256").is_file()


def test_subsets_that_are_missing_are_named_unless_their_split_has_another(
    raw: Path, data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.rmtree(raw / "LibriSpeech/test-clean")
    with pytest.raises(DataError, match=r"lacks test-clean\.tar\.gz for test of librispeech"):
        prepared(raw, data)
    write_tree(raw)
    shutil.rmtree(raw / "LibriSpeech/train-other-500")
    with caplog.at_level(logging.WARNING):
        prepared(raw, data)
    assert "no train-other-500 in" in caplog.text
    assert len(all_of(data, "train")["inputs"][0]) == 4


def test_a_second_process_is_sent_away(raw: Path, data: Path) -> None:
    def second(what: str, done: int, total: int) -> None:
        prepared(raw, data)

    with pytest.raises(DataError, match="is being prepared by another process"):
        prepare.prepare_set(TINY, raw, data, second)


def test_other_raw_files_bring_a_new_tokenizer_and_new_tokens(raw: Path, data: Path) -> None:
    prepared(raw, data)
    before = (data / "librispeech/spm_model.vocab").read_bytes()
    text = (raw / TRANSCRIPTS).read_text().replace("THE CAT SAT", "THE VEX QUIZ")
    (raw / TRANSCRIPTS).write_text(text)
    prepared(raw, data)
    tokenizer = tokens.load(data / "librispeech/spm_model.vocab", TINY.n_pieces)
    assert (data / "librispeech/spm_model.vocab").read_bytes() != before
    ids_BL = all_of(data, "train")["targets"][0]
    assert tokenizer.decode([ids_BL[0, : np.flatnonzero(ids_BL[0])[-1] + 1]]) == ["THE VEX QUIZ"]


def test_a_tokenizer_from_elsewhere_is_kept(raw: Path, data: Path) -> None:
    foreign = tokens.train(["ABCD EFGH IJKL MNOP QRST UVWXYZ'"] * 4, 31)
    (data / "librispeech").mkdir(parents=True)
    path = data / "librispeech" / tokens.TOKENIZER_FILE
    path.write_bytes(foreign)
    with pytest.raises(DataError, match="has 31 pieces and the model knows 24"):
        prepared(raw, data)
    path.write_bytes(foreign := tokens.train([*TEXTS["train-other-500"].values()], 24))
    prepared(raw, data)
    assert path.read_bytes() == foreign


def test_a_folder_beside_the_subset_does_not_count(tmp_path: Path, data: Path) -> None:
    """A subset's archive may hold other things; only files under its own name are taken."""
    raw = write_archives(tmp_path / "archives")
    files = files_of("dev-clean") | {
        "LibriSpeech/other/9/9/9-9-0000.flac": b"x",
        "/LibriSpeech/dev-clean/40/1/._40-1-0001.flac": b"x",
    }
    (raw / "dev-clean.tar.gz").write_bytes(archive_of(files))
    prepared(raw, data)
    assert len(all_of(data, "validation")["inputs"][0]) == 2
