"""ImageNet is prepared: what is written, what is kept, and how an interrupted run goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from pacebench.errors import DataError
from tests.support import REPOSITORY
from tests.workloads.imagenet_raw import (
    DEVKIT,
    TEST,
    TRAIN,
    TRAIN_ORDER,
    VAL,
    VAL_WNIDS,
    WNIDS,
    Killed,
    check,
    expected_files,
    jpeg,
    kill_at,
    manifest_of,
    quiet,
    tar_of,
    times,
    train_files,
    write_raw,
)
from workloads.imagenet.prepare import RAW_FILES, needed_bytes, prepare

HYMENOPTERA = REPOSITORY.parent / "shared" / "data" / "imagenet" / "hymenoptera"


@pytest.fixture(autouse=True)
def forced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keep the real disk out of it (seconds, on a busy one), and give what was forced to it."""
    calls: list[str] = []

    def sync_one(descriptor: int) -> None:
        calls.append(Path(f"/proc/self/fd/{descriptor}").resolve().name)

    monkeypatch.setattr(os, "sync", lambda: calls.append("everything"))
    monkeypatch.setattr(os, "fsync", sync_one)
    return calls


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return write_raw(tmp_path / "raw")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_archives_become_class_folders_with_manifests(raw: Path, data: Path) -> None:
    prepare(raw, data, quiet)
    check(data)


def test_images_are_on_the_disk_before_the_manifest_and_it_before_its_name(
    raw: Path, data: Path, forced: list[str]
) -> None:
    prepare(raw, data, quiet)
    # By split: the journal aside and its folder; images; the manifest aside and its folder; the
    # shortened journal.
    expected = [
        *("{}.aside", ".prepare", "everything", "{}.aside", "imagenet", "{}.aside", ".prepare"),
    ]
    assert forced == [w.format(split) for split in ("train", "val", "test") for w in expected]


def test_what_is_finished_is_not_written_again_and_needs_no_raw_files(
    raw: Path, data: Path
) -> None:
    prepare(raw, data, quiet)
    before = times(data)
    prepare(raw, data, quiet)
    for path in raw.iterdir():
        path.unlink()
    prepare(raw, data, quiet)
    assert times(data) == before
    assert needed_bytes(raw, data) == 0


def test_progress_counts_the_archives_bytes(raw: Path, data: Path) -> None:
    said: list[tuple[str, int, int]] = []
    prepare(raw, data, lambda *words: said.append(words))
    total = sum((raw / name).stat().st_size for name in RAW_FILES)
    assert {t for _, _, t in said} == {total}
    done = [d for _, d, _ in said]
    assert done == sorted(done) and done[-1] == total
    assert said[0][0] == f"train {TRAIN_ORDER[0]}"


def test_needed_bytes_are_about_those_of_the_archives(raw: Path, data: Path) -> None:
    total = sum((raw / name).stat().st_size for name in RAW_FILES)
    assert total <= needed_bytes(raw, data) <= 1.05 * total
    prepare(raw, data, quiet)
    assert needed_bytes(raw, data) == 0
    lost = data / "imagenet/val" / VAL_WNIDS[0] / "ILSVRC2012_val_00000001.JPEG"
    n_bytes = lost.stat().st_size
    lost.unlink()
    assert needed_bytes(raw, data) == n_bytes


@pytest.mark.parametrize("n", range(1, 24))  # 20 images, and the ends of three splits
def test_a_run_killed_between_images_goes_on(n: int, raw: Path, data: Path) -> None:
    with pytest.raises(Killed):
        prepare(raw, data, kill_at(n))
    images = {p: t for p, t in times(data).items() if p.suffix in (".JPEG", ".jpeg")}
    assert len(images) < n
    prepare(raw, data, quiet)
    check(data)
    after = times(data)
    assert {p: after[p] for p in images} == images  # kept, not written again


@pytest.mark.parametrize("n", range(1, 30, 2))
@pytest.mark.parametrize("is_after", [False, True])
def test_a_run_killed_at_a_rename_goes_on(
    n: int, is_after: bool, raw: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = iter(range(1, 1000))
    replace = Path.replace

    def dying_replace(path: Path, target: Path) -> Path:
        is_dead = next(calls) == n
        if is_dead and not is_after:
            path.write_bytes(path.read_bytes()[:5])  # cut off on its way to the disk
        else:
            replace(path, target)
        if is_dead:
            raise Killed
        return target

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", dying_replace)
        with pytest.raises(Killed):
            prepare(raw, data, quiet)
    prepare(raw, data, quiet)
    check(data)


def test_a_process_killed_while_it_writes_goes_on(raw: Path, data: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from workloads.imagenet.prepare import prepare\n"
        "def report(what, done, total):\n"
        "    if what.startswith('val'): os.kill(os.getpid(), signal.SIGKILL)\n"
        "prepare(Path(sys.argv[1]), Path(sys.argv[2]), report)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, raw, data], cwd=REPOSITORY, timeout=60, check=False
    )
    assert done.returncode == -9
    assert (data / "imagenet/train.tsv").is_file()
    assert not (data / "imagenet/val.tsv").exists()
    prepare(raw, data, quiet)
    check(data)


@pytest.mark.parametrize("keep", [0, 1, -1, -20, -60])
def test_a_journal_that_a_crash_cut_off_is_made_good(keep: int, raw: Path, data: Path) -> None:
    with pytest.raises(Killed):
        prepare(raw, data, kill_at(6))
    journal = data / "imagenet/.prepare/train.journal"
    journal.write_bytes(journal.read_bytes()[:keep] + b"\0\0")
    images = {p: t for p, t in times(data).items() if p.suffix == ".JPEG"}
    prepare(raw, data, quiet)
    check(data)
    after = times(data)
    assert {p: after[p] for p in images} == images  # compared with the archive, and kept


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize("content", [None, b"", b"\xff\xd8 cut"])
def test_a_lost_or_cut_file_is_written_again_and_nothing_else(
    split: str, content: bytes | None, raw: Path, data: Path
) -> None:
    prepare(raw, data, quiet)
    before = times(data)
    path = sorted((data / "imagenet" / split / WNIDS[1]).iterdir())[0]
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    prepare(raw, data, quiet)
    check(data)
    changed = {p.name for p, t in times(data).items() if before[p] != t and p.is_file()}
    assert changed == {path.name, f"{split}.tsv", f"{split}.journal"}


def test_a_damaged_file_without_raw_files_names_the_archive(raw: Path, data: Path) -> None:
    prepare(raw, data, quiet)
    shutil.rmtree(data / "imagenet/test" / WNIDS[2])
    (raw / TEST).unlink()
    with pytest.raises(DataError, match=f"lacks {TEST} for imagenet's test"):
        prepare(raw, data, quiet)


def test_a_damaged_manifest_is_named_with_what_to_do(raw: Path, data: Path) -> None:
    prepare(raw, data, quiet)
    manifest = data / "imagenet/val.tsv"
    before = {p: t for p, t in times(data).items() if p.suffix == ".JPEG"}
    for line in ("nonsense", "val/../x.JPEG\t0\t1\t0", "val/n01440764/y.JPEG\t1\t1\t0"):
        manifest.write_text(manifest_of("val") + line + "\n")
        with pytest.raises(DataError, match=r"line 6 of .*val\.tsv is not .*delete the file"):
            prepare(raw, data, quiet)
    manifest.unlink()
    prepare(raw, data, quiet)
    check(data)
    after = times(data)
    assert {p: after[p] for p in before} == before


def test_other_raw_files_replace_what_a_trial_wrote(raw: Path, data: Path) -> None:
    """A first trial with fewer classes leaves nothing behind, and labels follow."""
    trial = raw.parent / "trial"
    shutil.copytree(raw, trial)
    others = ("n00000001", "n01440764", "n02219486")
    (trial / TRAIN).write_bytes(
        tar_of({f"{w}.tar": tar_of({f"{w}_1.JPEG": jpeg(w)}) for w in others})
    )
    (trial / VAL).unlink()
    val = trial / "val" / others[1]
    val.mkdir(parents=True)
    (val / "a.JPEG").write_bytes(b"a")
    prepare(trial, data, quiet)
    assert "val/n01440764/a.JPEG\t1\t1\t" in (data / "imagenet/val.tsv").read_text()
    prepare(raw, data, quiet)
    check(data)


def test_class_folders_are_linked_and_mixed_with_archives(raw: Path, data: Path) -> None:
    for path, content in expected_files().items():
        if path.startswith(("train/", "val/")):
            (raw / path).parent.mkdir(parents=True, exist_ok=True)
            (raw / path).write_bytes(content)
    for name in (TRAIN, VAL, DEVKIT):
        (raw / name).unlink()
    assert needed_bytes(raw, data) <= 1.05 * (raw / TEST).stat().st_size
    prepare(raw, data, quiet)
    check(data)
    image = f"train/{WNIDS[0]}/{WNIDS[0]}_1.JPEG"
    assert (raw / image).samefile(data / "imagenet" / image)
    before = times(data)
    prepare(raw, data, quiet)
    assert times(data) == before
    (data / "imagenet" / image).write_bytes(b"cut")  # and with it the raw image
    for _ in range(2):
        with pytest.raises(DataError, match="is one file with its raw image; restore"):
            prepare(raw, data, quiet)


def test_class_folders_on_another_device_are_copied(
    raw: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, content in train_files(WNIDS[0]).items():
        (raw / "train" / WNIDS[0]).mkdir(parents=True, exist_ok=True)
        (raw / "train" / WNIDS[0] / name).write_bytes(content)
    shutil.copytree(raw / "train", raw / "val")
    shutil.copytree(raw / "train", raw / "test")
    for name in RAW_FILES:
        (raw / name).unlink()

    def no_link(source: Path, target: Path) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", no_link)
    prepare(raw, data, quiet)
    image = f"train/{WNIDS[0]}/{WNIDS[0]}_1.JPEG"
    assert not (raw / image).samefile(data / "imagenet" / image)
    assert (raw / image).read_bytes() == (data / "imagenet" / image).read_bytes()


def test_class_folders_in_place_only_get_manifests(raw: Path, data: Path) -> None:
    folder = data / "imagenet"
    for path, content in expected_files().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    before = times(data)
    assert needed_bytes(folder, data) == 0
    prepare(folder, data, quiet)
    check(data)
    after = times(data)
    assert {p: after[p] for p in before if p.is_file()} == {
        p: t for p, t in before.items() if p.is_file()
    }


def test_a_second_prepare_at_the_same_time_is_refused(raw: Path, data: Path) -> None:
    def report(what: str, done: int, total: int) -> None:
        with pytest.raises(DataError, match="is being prepared by another process"):
            prepare(raw, data, quiet)

    prepare(raw, data, report)
    check(data)


def test_a_full_disk_is_one_line_and_goes_on(
    raw: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> int:
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(DataError, match=r"No space left on device.*run the same command again"):
            prepare(raw, data, quiet)
    prepare(raw, data, quiet)
    check(data)


@pytest.mark.skipif(not HYMENOPTERA.is_dir(), reason="needs shared/data/imagenet/hymenoptera")
def test_real_images_in_class_folders_are_prepared(tmp_path: Path, data: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "train").symlink_to(HYMENOPTERA / "train")
    (raw / "val").symlink_to(HYMENOPTERA / "val")
    (raw / "test").symlink_to(HYMENOPTERA / "val")
    prepare(raw, data, quiet)
    for split, source in (("train", "train"), ("val", "val"), ("test", "val")):
        wanted = sorted((HYMENOPTERA / source).glob("*/*.jpg"))
        lines = (data / "imagenet" / f"{split}.tsv").read_text().splitlines()
        assert len(lines) == len(wanted) > 0
        for line, image in zip(lines, wanted, strict=True):
            path, label, n_bytes, crc = line.split("\t")
            content = (data / "imagenet" / path).read_bytes()
            assert content == image.read_bytes()
            assert (int(n_bytes), int(crc, 16)) == (len(content), zlib.crc32(content))
            assert int(label) == ["n02206856", "n02219486"].index(image.parent.name)


def test_an_interrupted_class_is_not_whole_for_other_raw_files(raw: Path, data: Path) -> None:
    """The journal says that the first class is whole, but of an archive with fewer images."""
    whole = (raw / TRAIN).read_bytes()
    wnid = TRAIN_ORDER[0]
    few = dict(list(train_files(wnid).items())[:2])
    others = {f"{w}.tar": tar_of(train_files(w)) for w in TRAIN_ORDER[1:]}
    (raw / TRAIN).write_bytes(tar_of({f"{wnid}.tar": tar_of(few), **others}))
    with pytest.raises(Killed):
        prepare(raw, data, kill_at(5))
    assert f"class\t{wnid}\n" in (data / "imagenet/.prepare/train.journal").read_text()
    (raw / TRAIN).write_bytes(whole)
    prepare(raw, data, quiet)
    check(data)


def test_an_unknown_file_of_the_right_size_is_compared_byte_by_byte(raw: Path, data: Path) -> None:
    for name, content in train_files(WNIDS[0]).items():
        path = data / "imagenet/train" / WNIDS[0] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"?" * len(content))
    prepare(raw, data, quiet)
    check(data)


def test_a_split_has_no_manifest_while_it_is_repaired(raw: Path, data: Path) -> None:
    prepare(raw, data, quiet)
    shutil.rmtree(data / "imagenet/train" / WNIDS[0])
    with pytest.raises(Killed):
        prepare(raw, data, kill_at(2))
    assert not (data / "imagenet/train.tsv").exists()
    prepare(raw, data, quiet)
    check(data)
