"""Finds the trials of AlgoPerf's log tree by its structure, and what in it is out of place.

    <anything>/<submission>/study_<k>/<workload>_<framework>/trial_<i>/

A submission is a folder that holds a study_<k>; where it lies does not matter. The names of the
files and columns inside a trial are in `pacebench.algoperf_logs`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pacebench import algoperf_logs as logs
from pacebench.rows import PLAN_FILE, SITE_MARKER
from tuning.rules import RULESETS

LAYOUT = "<submission>/study_<k>/<workload>_<framework>/trial_<i>"
_STUDY = re.compile(r"study_(0|[1-9][0-9]{0,8})")
_TRIAL = re.compile(r"trial_(0|[1-9][0-9]{0,8})")


@dataclass(frozen=True, kw_only=True, slots=True)
class Dirt:
    """Something in the logs that is not as it should be."""

    kind: str
    where: str
    """The path below the logs, and details."""
    submission: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialPlace:
    """Where a trial lies in the tree."""

    folder: str
    """Absolute path."""
    files: tuple[str, ...]
    """The names in the folder."""
    name: str
    """The path from the submission's folder on."""
    ruleset: str
    submission: str
    study: int
    workload: str
    framework: str
    trial: int


@dataclass(kw_only=True, slots=True)
class LogTree:
    """The trials below a folder, sorted by ruleset, submission, study, workload and trial."""

    places: list[TrialPlace] = field(default_factory=list)
    dirt: list[Dirt] = field(default_factory=list)
    own_runs: list[str] = field(default_factory=list)
    """The folders of trials of pacebench's own (they hold a trial.json), sorted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Folder:
    folders: list[str]
    files: list[str]


def find_trials(top: Path) -> LogTree:
    """Give the trials of AlgoPerf's logs at or below `top`; an empty tree if there are none.

    The ruleset of a submission is in the name of a folder above it (external_tuning or
    self_tuning). Where no name tells, several trials a study or hyperparameter points mean
    external tuning. A website of ours below `top` is passed over, because it holds copies.
    """
    asked = str(top.resolve())
    root = _resolve_to_submission(top)
    tree = LogTree()
    seen = dict(_walk(root, root)) if top.is_dir() else {}
    own = sorted(path for path, folder in seen.items() if PLAN_FILE in folder.files)
    tree.own_runs += [path for path in own if f"{path}/".startswith(f"{asked}/")]
    own_submissions = {path.rsplit("/", 3)[0] for path in own}  # …/study/workload/trial
    for path in _outermost(path for path, folder in seen.items() if _is_submission(folder)):
        if path in own_submissions:
            continue
        found = _Submission(path=path, ruleset=_ruleset_above(path), seen=seen)
        found.add_studies()
        places = found.with_ruleset()
        is_part = root != asked
        tree.places += [p for p in places if not is_part or f"{p.folder}/".startswith(f"{asked}/")]
        tree.dirt += [] if is_part else found.dirt
    tree.places.sort(key=lambda p: (p.ruleset, p.submission, p.study, p.workload, p.trial))
    return tree


def _resolve_to_submission(top: Path) -> str:
    """Give the folder to walk from: `top`, or the submission's folder if `top` is a part of it."""
    path = top.resolve()
    part = path.parent if _TRIAL.fullmatch(path.name) else path
    part = part.parent if _workload_of(part.name) else part
    return str(part.parent if _STUDY.fullmatch(part.name) else path)


def _walk(path: str, root: str) -> Iterator[tuple[str, _Folder]]:
    """Give every folder with its content; links are followed, what is below a trial left out."""
    folders, files = [], []
    with os.scandir(path) as entries:
        for entry in entries:
            if not entry.is_dir():
                files.append(entry.name)
            elif not (entry.is_symlink() and _is_loop(entry.path)):
                folders.append(entry.name)
    if SITE_MARKER in files and path != root:
        return
    parts = path.split("/")[-3:]
    is_trial = len(parts) == 3 and _STUDY.fullmatch(parts[0]) and _TRIAL.fullmatch(parts[2])
    if is_trial or PLAN_FILE in files:
        folders = []
    yield path, _Folder(folders=sorted(folders), files=sorted(files))
    for name in folders:
        yield from _walk(f"{path}/{name}", root)


def _is_loop(link: str) -> bool:
    """Whether a link leads to a folder that it lies in."""
    return f"{link}/".startswith(f"{os.path.realpath(link)}/")


def _outermost(paths: Iterable[str]) -> Iterator[str]:
    """Give the paths, sorted, without those that lie below another one."""
    last = None
    for path in sorted(paths, key=lambda path: path.split("/")):
        if last is None or not path.startswith(f"{last}/"):
            last = path
            yield path


def _workload_of(name: str) -> tuple[str, str] | None:
    """Give the workload and the framework that a folder's name tells, if it does."""
    workload, _, suffix = name.rpartition("_")
    return (
        (workload, logs.FRAMEWORK_OF[suffix]) if workload and suffix in logs.FRAMEWORK_OF else None
    )


def _is_submission(folder: _Folder) -> bool:
    return any(_STUDY.fullmatch(name) for name in folder.folders)


def _ruleset_above(path: str) -> str:
    """Give the ruleset that the nearest folder above tells; empty if none does."""
    names = {f"{ruleset}{logs.TUNING_SUFFIX}": ruleset for ruleset in RULESETS}
    return next((names[part] for part in path.split("/")[-2::-1] if part in names), "")


@dataclass(kw_only=True, slots=True)
class _Submission:
    """One submission's folder while its trials are collected."""

    path: str
    ruleset: str
    """Empty if no folder's name tells it."""
    seen: Mapping[str, _Folder]
    places: list[TrialPlace] = field(default_factory=list)
    dirt: list[Dirt] = field(default_factory=list)

    def add_studies(self) -> None:
        """Collect everything below the submission's folder."""
        self._add_loose_files(self.path)
        for name in self.seen[self.path].folders:
            path, study = f"{self.path}/{name}", _STUDY.fullmatch(name)
            if study is not None:
                self._add_study(path, int(study.group(1)))
            elif any(p.startswith(path) and _is_submission(f) for p, f in self.seen.items()):
                self._add_dirt("submission inside a submission", path)
            else:
                self._add_dirt("folder that is no study", path)

    def with_ruleset(self) -> list[TrialPlace]:
        """Give the trials, where no folder's name tells the ruleset with what they tell."""
        if self.ruleset:
            return self.places
        is_tuned = any(p.trial > 1 or logs.HYPERPARAMETERS_FILE in p.files for p in self.places)
        return [replace(p, ruleset="external" if is_tuned else "self") for p in self.places]

    def _add_study(self, path: str, study: int) -> None:
        self._add_loose_files(path)
        for name in self.seen[path].folders:
            found = _workload_of(name)
            if found is not None:
                self._add_workload(f"{path}/{name}", study, *found)
            elif _TRIAL.fullmatch(name):
                self._add_dirt("stray trial folder", f"{path}/{name}")
            else:
                self._add_dirt("folder that is no workload", f"{path}/{name}")

    def _add_workload(self, path: str, study: int, workload: str, framework: str) -> None:
        n_before = len(self.places)
        for name in self.seen[path].folders:
            trial = _TRIAL.fullmatch(name)
            if trial is None:
                self._add_dirt("folder that is no trial", f"{path}/{name}")
                continue
            place = TrialPlace(
                folder=f"{path}/{name}",
                files=tuple(self.seen[f"{path}/{name}"].files),
                name=self._name(f"{path}/{name}"),
                ruleset=self.ruleset,
                submission=self.path.rpartition("/")[2],
                study=study,
                workload=workload,
                framework=framework,
                trial=int(trial.group(1)),
            )
            self.places.append(place)
        if len(self.places) == n_before:
            self._add_dirt("workload folder without trials", path)

    def _add_loose_files(self, path: str) -> None:
        for name in self.seen[path].files:
            self._add_dirt("loose file", f"{path}/{name}")

    def _add_dirt(self, kind: str, path: str) -> None:
        submission = self.path.rpartition("/")[2]
        self.dirt.append(Dirt(kind=kind, where=self._name(path), submission=submission))

    def _name(self, path: str) -> str:
        return path[len(self.path.rpartition("/")[0]) + 1 :]
