"""Downloads from a server of the test's own: whole, checked, repeated, out of reach."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from pacebench.downloads import download, missing_archives
from pacebench.errors import DataError
from pacebench.plugins import resolve
from pacebench.preparing import Published

pytest.importorskip("tensorflow_datasets")
pytestmark = pytest.mark.filterwarnings("default")  # TensorFlow Datasets' own

CONTENTS = {"a.tgz": bytes(range(256)) * 1000, "b.zip": b"B" * 70_000}


class QuietHandler(SimpleHTTPRequestHandler):
    """Serves files and tells nobody."""

    def log_message(self, *words: object) -> None:
        """Say nothing."""


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """The folder that is served."""
    folder = tmp_path / "served"
    folder.mkdir()
    for name, content in CONTENTS.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def archives(served: Path) -> Iterator[dict[str, Published]]:
    """The archives as their publisher describes them."""
    handler = partial(QuietHandler, directory=served)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield {
            name: Published(
                n_bytes=len(content),
                algorithm="sha256",
                digest=hashlib.sha256(content).hexdigest(),
                url=f"http://127.0.0.1:{server.server_port}/{name}",
            )
            for name, content in CONTENTS.items()
        }
        server.shutdown()


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Where the archives come to."""
    folder = tmp_path / "raw"
    folder.mkdir()
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Give the bytes of all that lies in a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_is_missing_is_downloaded(archives: dict[str, Published], raw: Path) -> None:
    assert missing_archives(archives, raw) == archives
    download(archives, raw)
    assert contents(raw) == CONTENTS
    assert missing_archives(archives, raw) == {}
    (raw / "b.zip").unlink()
    assert missing_archives(archives, raw) == {"b.zip": archives["b.zip"]}


def test_what_has_another_sum_does_not_come_into_place(
    archives: dict[str, Published], raw: Path, served: Path
) -> None:
    archives["b.zip"] = replace(archives["b.zip"], digest="0" * 64)
    with pytest.raises(DataError, match=r"b\.zip could not be downloaded .*tries again") as told:
        download(archives, raw)
    assert "\n" not in str(told.value)
    assert (raw / "a.tgz").read_bytes() == CONTENTS["a.tgz"]
    assert list(missing_archives(archives, raw)) == ["b.zip"]


def test_what_is_not_there_is_said(archives: dict[str, Published], raw: Path, served: Path) -> None:
    (served / "a.tgz").unlink()
    with pytest.raises(DataError, match=r"a\.tgz could not be downloaded .*404"):
        download(archives, raw)
    assert list(missing_archives(archives, raw)) == ["a.tgz", "b.zip"]


def test_a_server_out_of_reach_is_said_at_once(archives: dict[str, Published], raw: Path) -> None:
    away = {"a.tgz": replace(archives["a.tgz"], url="http://127.0.0.1:9/a.tgz")}
    with pytest.raises(DataError, match=r"127\.0\.0\.1:9/a\.tgz cannot be reached"):
        download(away, raw)


@pytest.mark.parametrize(
    ("builder", "address"),
    [
        ("wmt17_translate", "workloads.wmt.corpus:ARCHIVES"),
        ("ogbg_molpcba", "workloads.ogbg.molecules:ARCHIVES"),
        ("librispeech", "workloads.librispeech.checksums:PUBLISHED"),
    ],
)
def test_addresses_and_sums_are_those_of_tensorflow_datasets(builder: str, address: str) -> None:
    import tensorflow_datasets as tfds

    known = tfds.builder_cls(builder).url_infos
    for archive in resolve(address).values():
        found = known[archive.url]
        assert (int(found.size), found.checksum) == (archive.n_bytes, archive.digest)
