"""Published archives that are free for all, downloaded by TensorFlow Datasets' downloader.

It compares sizes and SHA-256 sums and tries again where the network fails; TensorFlow is not
needed. It comes with the extra `data` and is imported when it is used.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path

from pacebench.errors import DataError
from pacebench.preparing import Published

_ASIDE = ".download"
_REACH_SECONDS = 20


def missing_archives(archives: Mapping[str, Published], folder: Path) -> dict[str, Published]:
    """Give those that are not in the folder."""
    return {name: found for name, found in archives.items() if not (folder / name).is_file()}


def download(archives: Mapping[str, Published], folder: Path) -> None:
    """Download archives, by file name, into a folder, one after another; raises DataError.

    An archive is moved into place when it is whole and has the published sum.
    """
    try:
        import requests
        import tensorflow_datasets as tfds
    except ModuleNotFoundError as error:
        raise DataError("downloads need pip install 'pacebench[data]'") from error
    logging.getLogger("absl").setLevel(logging.ERROR)  # it announces every file, its bar does too
    aside = folder / _ASIDE
    for name, published in archives.items():
        try:  # the downloader tries again for minutes, also where there is no network at all
            requests.head(published.url, timeout=_REACH_SECONDS).close()
        except requests.RequestException as error:
            raise DataError(
                f"{published.url} cannot be reached ({type(error).__name__}); bring {name} into "
                f"{folder} some other way"
            ) from error
        info = tfds.download.checksums.UrlInfo(
            size=tfds.core.units.Size(published.n_bytes), checksum=published.digest, filename=name
        )
        try:
            manager = tfds.download.DownloadManager(
                download_dir=aside, url_infos={published.url: info}
            )
            Path(manager.download(published.url)).replace(folder / name)
        except Exception as error:  # network, disk, sums: each has its own
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            raise DataError(
                f"{published.url} could not be downloaded ({reason}); the same command tries again"
            ) from error
    shutil.rmtree(aside, ignore_errors=True)
