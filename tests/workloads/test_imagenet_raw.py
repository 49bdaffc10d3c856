"""ImageNet's raw files: what is missing, cut off, hostile or does not match is one clear line."""

from __future__ import annotations

import hashlib
import io
import logging
import shutil
import tarfile
from pathlib import Path

import pytest

from pacebench.errors import DataError
from pacebench.preparing import Published
from tests.workloads.imagenet_raw import (
    DEVKIT,
    GROUND_TRUTH,
    TEST,
    TEST_FOLDER,
    TRAIN,
    VAL,
    WNIDS,
    Killed,
    check,
    devkit_files,
    kill_at,
    meta_mat,
    quiet,
    tar_of,
    train_files,
    val_files,
    write_raw,
)
from workloads.imagenet import prepare as preparing
from workloads.imagenet.prepare import RAW_FILES, needed_bytes, prepare

HOSTILE = [
    ("../evil.JPEG", "leads out"),
    ("/tmp/evil.JPEG", "leads out"),
    ("a/../../../evil.JPEG", "leads out"),
    ("n01440764_1.png", "unexpected member 'n01440764_1.png'"),
    ("n02206856_1.JPEG", "unexpected member"),
    ("evil\n\x1b[2J.JPEG", r"unexpected member 'evil\\n\\x1b"),
    ("n01440764_1.JPEG/x", "unexpected member"),
]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return write_raw(tmp_path / "raw")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.mark.parametrize("name", RAW_FILES)
def test_every_archive_that_is_missing_is_named_before_anything_is_written(
    name: str, raw: Path, data: Path
) -> None:
    (raw / name).unlink()
    for call in (lambda: needed_bytes(raw, data), lambda: prepare(raw, data, quiet)):
        with pytest.raises(DataError, match=f"lacks {name} for imagenet's"):
            call()
    assert not (data / "imagenet/train").exists()


@pytest.mark.parametrize("name", RAW_FILES)
def test_an_archive_cut_off_anywhere_is_an_error_and_goes_on_when_it_is_whole(
    name: str, raw: Path, data: Path
) -> None:
    whole = (raw / name).read_bytes()
    ends = [0, 1, len(whole) // 3, len(whole) // 2]
    if name in (TRAIN, VAL):
        with tarfile.open(raw / name) as tar:  # between two members, where tarfile sees no fault
            ends += [tar.getmembers()[-1].offset, tar.offset]
    else:
        ends.append(len(whole) - 4)
    for end in ends:
        (raw / name).write_bytes(whole[:end])
        with pytest.raises(DataError, match=rf"{name}.* is cut off or damaged") as caught:
            prepare(raw, data, quiet)
        assert "\n" not in str(caught.value)
    (raw / name).write_bytes(whole)
    prepare(raw, data, quiet)
    check(data)


def test_a_damaged_header_in_the_middle_is_not_taken_for_the_end(raw: Path, data: Path) -> None:
    with tarfile.open(raw / VAL) as tar:
        offset = tar.getmembers()[2].offset
    content = bytearray((raw / VAL).read_bytes())
    content[offset : offset + 20] = b"?" * 20
    (raw / VAL).write_bytes(content)
    with pytest.raises(DataError, match="its end is missing"):
        prepare(raw, data, quiet)
    assert not (data / "imagenet/val.tsv").exists()


@pytest.mark.parametrize(("name", "message"), HOSTILE)
def test_names_that_lead_out_or_do_not_belong_are_refused(
    name: str, message: str, raw: Path, data: Path
) -> None:
    archives = {
        TRAIN: tar_of({"n01440764.tar": tar_of({name: b"x"})}),
        VAL: tar_of({name: b"x"}),
        TEST: tar_of({name: b"x"}, "w:gz"),
    }
    for archive, content in archives.items():
        whole = (raw / archive).read_bytes()
        (raw / archive).write_bytes(content)
        with pytest.raises(DataError, match=message) as caught:
            prepare(raw, data, quiet)
        assert "\n" not in str(caught.value) and archive in str(caught.value)
        (raw / archive).write_bytes(whole)
    prepare(raw, data, quiet)
    check(data)
    assert not list(raw.parent.rglob("*evil*"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(kind: bytes, raw: Path, data: Path) -> None:
    with tarfile.open(raw / VAL, "w") as tar:
        info = tarfile.TarInfo("ILSVRC2012_val_00000001.JPEG")
        info.type, info.linkname = kind, "/etc/passwd"
        tar.addfile(info)
    with pytest.raises(DataError, match="is not a regular file"):
        prepare(raw, data, quiet)


def test_empty_twice_named_and_absent_images_are_refused(raw: Path, data: Path) -> None:
    twice = io.BytesIO()
    with tarfile.open(fileobj=twice, mode="w") as tar:
        for _ in range(2):
            info = tarfile.TarInfo("n01440764_1.JPEG")
            info.size = 1
            tar.addfile(info, io.BytesIO(b"x"))
    for inner, message in (
        (tar_of({"n01440764_1.JPEG": b""}), "has 0 bytes; expected are 1 to"),
        (twice.getvalue(), r"n01440764_1\.JPEG of n01440764 twice"),
        (tar_of({}), r"n01440764\.tar holds no image"),
    ):
        (raw / TRAIN).write_bytes(tar_of({"n01440764.tar": inner}))
        with pytest.raises(DataError, match=message):
            prepare(raw, data, quiet)
    (raw / TRAIN).write_bytes(tar_of({}))
    with pytest.raises(DataError, match="train: the raw data holds no image"):
        prepare(raw, data, quiet)


def test_folders_and_hidden_files_in_archives_are_passed_over(raw: Path, data: Path) -> None:
    files = {f"./{name}": content for name, content in val_files().items()}
    with tarfile.open(raw / VAL, "w") as tar:
        folder = tarfile.TarInfo(".")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name, content in {"./._ILSVRC2012_val_00000001.JPEG": b"mac", **files}.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    prepare(raw, data, quiet)
    check(data)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (GROUND_TRUTH[:3], "has 3 lines for the 5 images .* 0 lines have no image, 2 images have"),
        ([*GROUND_TRUTH, 1], "has 6 lines for the 5 images .* 1 lines have no image, 0 images"),
        ([1, 4, 1, 1, 1], "line 2 is '4'; expected is an ILSVRC2012_ID from 1 to 3"),
    ],
)
def test_ground_truth_that_does_not_match_the_images_is_an_error(
    lines: list[int], message: str, raw: Path, data: Path
) -> None:
    (raw / DEVKIT).write_bytes(tar_of(devkit_files(lines), "w:gz"))
    with pytest.raises(DataError, match=message):
        prepare(raw, data, quiet)
    assert not (data / "imagenet/val.tsv").exists()


def test_a_devkit_without_its_files_or_with_others_is_an_error(raw: Path, data: Path) -> None:
    meta, truth = list(devkit_files())[1:]
    for change, message in (
        ({meta: b"not a mat file"}, "is not the devkit's table of synsets"),
        ({truth: b"one\n"}, "line 1 is 'one'"),
    ):
        (raw / DEVKIT).write_bytes(tar_of(devkit_files() | change, "w:gz"))
        with pytest.raises(DataError, match=message):
            prepare(raw, data, quiet)
    (raw / DEVKIT).write_bytes(tar_of({meta: meta_mat()}, "w:gz"))
    with pytest.raises(DataError, match="lacks ILSVRC2012_devkit_t12/data/ILSVRC2012_validation"):
        prepare(raw, data, quiet)


def test_labels_and_classes_that_train_lacks_are_errors(raw: Path, data: Path) -> None:
    (raw / TEST).write_bytes(tar_of({f"{TEST_FOLDER}/3/ab.jpeg": b"x"}, "w:gz"))
    with pytest.raises(DataError, match="no class has label 3: train has 3"):
        prepare(raw, data, quiet)
    (raw / TRAIN).write_bytes(tar_of({f"{w}.tar": tar_of(train_files(w)) for w in WNIDS[:2]}))
    with pytest.raises(DataError, match=r"class n02219486 of .* is none of the 2 classes of train"):
        prepare(raw, data, quiet)


def test_an_archive_of_the_published_size_must_have_the_published_sum(
    raw: Path, data: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        prepare(raw, data, quiet)
    notes = [record.getMessage() for record in caplog.records]
    assert len(notes) == 3 and "not the published 147,897,477,120" in notes[0]
    shutil.rmtree(data)
    content = (raw / VAL).read_bytes()
    digest = hashlib.md5(content).hexdigest()
    published = {VAL: Published(n_bytes=len(content), algorithm="md5", digest=digest)}
    monkeypatch.setattr(preparing, "PUBLISHED", published)
    (raw / VAL).write_bytes(content[:-1] + b"\1")
    with pytest.raises(DataError, match=rf"{VAL} has MD5 [0-9a-f]+, not the published"):
        prepare(raw, data, quiet)
    (raw / VAL).write_bytes(content)
    said: list[str] = []
    with pytest.raises(Killed):
        prepare(raw, data, kill_at(3))
    prepare(raw, data, lambda what, done, total: said.append(what))
    check(data)
    assert not [what for what in said if what.startswith("checking")]  # compared once


@pytest.mark.parametrize("name", ["readme.txt", "a\tb.JPEG", "a.png"])
def test_other_files_in_class_folders_are_refused(name: str, raw: Path, data: Path) -> None:
    (raw / TRAIN).unlink()
    (raw / "train" / WNIDS[0]).mkdir(parents=True)
    (raw / "train" / WNIDS[0] / name).write_bytes(b"x")
    with pytest.raises(DataError, match=r"is not an image|cannot hold such a name"):
        prepare(raw, data, quiet)
