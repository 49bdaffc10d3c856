"""Bring a workload's data to the disk, check it, or generate the data of a small workload.

  pacebench data prepare imagenet_resnet --raw downloads --data-dir data
                                     from the raw download to what training reads; goes on where
                                     it was interrupted, keeps what is there and whole
  pacebench data prepare ogbg --download --raw downloads --data-dir data
                                     the same, once what the folder lacks has been downloaded (ogbg,
                                     wmt and librispeech, which are free and ask for no account)
  pacebench data verify imagenet_resnet --data-dir data
                                     compares what is there with the published sizes
  pacebench data mini imagenet_resnet_mini --data-dir data
                                     writes generated data in the real format, learnable in a minute
  pacebench data mini mini --data-dir data
                                     the same for all workloads of the suite mini

Without --download nothing is downloaded: the raw files have owners and terms of their own; each
workload's README says where they are.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pacebench.cli.tables import bytes_text, strict_json
from pacebench.errors import DataError

if TYPE_CHECKING:
    from pacebench.spec import Report, Workload

HELP = "prepare, check or generate the data of a workload"
EXIT_FAILED = 1
MINI_SUITE = "mini"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("action", choices=("prepare", "verify", "mini"))
    parser.add_argument("workload", metavar="WORKLOAD", help="mini: a workload, or the suite mini")
    parser.add_argument("--data-dir", type=Path, required=True, help="folder that holds the data")
    parser.add_argument("--raw", type=Path, metavar="DIR", help="prepare: folder of the download")
    parser.add_argument(
        "--download",
        action="store_true",
        help="prepare: download into --raw what is not there (ogbg, wmt, librispeech)",
    )
    parser.add_argument("--json", action="store_true", help="print strict JSON instead of lines")


def run(args: argparse.Namespace) -> int:
    """Do what was asked."""
    from pacebench.plugins import find_workload, workloads_in_suite

    data_dir = args.data_dir.resolve()
    if args.action == "mini" and args.workload == MINI_SUITE:
        for workload in workloads_in_suite(MINI_SUITE):
            _write_mini(workload, data_dir)
        return max(_verify(w, data_dir, is_json=args.json) for w in workloads_in_suite(MINI_SUITE))
    workload = find_workload(args.workload)
    if args.action == "prepare":
        if args.download:
            _download(workload, args.raw)
        _prepare(workload, args.raw, data_dir)
    elif args.action == "mini":
        _write_mini(workload, data_dir)
    return _verify(workload, data_dir, is_json=args.json)


def _prepare(workload: Workload, raw: Path | None, data_dir: Path) -> None:
    from pacebench.plugins import resolve

    tools = workload.data_tools
    if not tools.prepare:
        raise DataError(
            f"{workload.name} has nothing to prepare: put its files below --data-dir as its README "
            f"says, then: pacebench data verify {workload.name} --data-dir {data_dir}"
        )
    if raw is None or not raw.is_dir():
        wrong = "" if raw is None else f"; {raw} is no folder"
        raise DataError(
            f"{workload.name} is prepared from {', '.join(tools.raw_files)}; give their folder "
            f"with --raw DIR{wrong}{'; --download fetches them' if tools.downloads else ''}"
        )
    _check_room(workload, resolve(tools.needed_bytes)(raw.resolve(), data_dir), data_dir)
    with _progress() as report:
        resolve(tools.prepare)(raw.resolve(), data_dir, report)


def _download(workload: Workload, raw: Path | None) -> None:
    """Download what the folder lacks."""
    from pacebench.downloads import download, missing_archives
    from pacebench.plugins import resolve

    address = workload.data_tools.downloads
    if not address:
        raise DataError(
            f"{workload.name} cannot be downloaded for you; its README says where its files are"
        )
    if raw is None:
        raise DataError("--download needs a folder for the files: --raw DIR")
    missing = missing_archives(resolve(address), raw)
    if missing:
        _check_room(workload, sum(archive.n_bytes for archive in missing.values()), raw.resolve())
        download(missing, raw.resolve())


def _check_room(workload: Workload, needed: int, folder: Path) -> None:
    """Say what will be written; raises DataError if the disk is too small for it."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    print(
        f"{workload.name}: {bytes_text(needed)} to write to {folder}, {bytes_text(free)} free",
        file=sys.stderr,
    )
    if needed > free:
        raise DataError(f"{folder} has {bytes_text(free)} free and {bytes_text(needed)} is needed")


def _write_mini(workload: Workload, data_dir: Path) -> None:
    from pacebench.generated import write_generated

    with _progress() as report:
        write_generated(workload, data_dir, report)


def _verify(workload: Workload, data_dir: Path, *, is_json: bool) -> int:
    from pacebench.generated import check_generated
    from pacebench.spec import DataRequest

    check_generated(workload, data_dir)
    found = workload.find_sizes(DataRequest(data_dir=data_dir, allow_partial=True))
    is_whole = found == dict(workload.sizes)
    if is_json:
        document = {"found": found, "published": dict(workload.sizes), "is_whole": is_whole}
        print(strict_json(document))
        return 0 if is_whole else EXIT_FAILED
    for split, size in workload.sizes.items():
        there = found.get(split, 0)
        mark = "" if there == size else f", not the published {size:,}"
        print(f"{workload.name} {split}: {there:,} examples{mark}")
    if not is_whole:
        print("not whole: --allow-partial-data trains on it, for a score that is not a full one")
    return 0 if is_whole else EXIT_FAILED


@contextmanager
def _progress() -> Iterator[Report]:
    """Give a reporter that moves one bar, with the time left; a line a minute in a log file."""
    from tqdm import tqdm

    every = 0.1 if sys.stderr.isatty() else 60.0
    with tqdm(unit="B", unit_scale=True, leave=False, mininterval=every, delay=every) as bar:

        def report(what: str, done: int, total: int) -> None:
            bar.set_description_str(what, refresh=False)
            bar.total = total
            bar.update(done - bar.n)

        yield report
