"""Running shows what source does not tell: cheats are flagged as they run, their twins are not."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from pacebench.errors import PlanError
from pacebench.fairplay.findings import Level, Rule
from pacebench.fairplay.probe import probe
from pacebench.plugins import read_folder
from pacebench.rows import FAIRPLAY_FILE
from pacebench.study import write_plan
from scoring.own_runs import trial_record
from scoring.trial_folder import read_plans, read_trial_folder
from tests.fairplay.disguised import DISGUISED
from tests.fairplay.planted import CHEATS, HONEST, Planted, planted
from tests.support import draw

RUN = [*(cheat for cheat in CHEATS if cheat.probed is not None), *DISGUISED]
# The jax templates, checked whole in tests/cli, are honest twins in jax.
TWINS = [
    twin
    for twin in HONEST
    if twin.name
    in (
        "works_in_prepare_eval",
        "averages_weights",
        "joins_its_threads",
        "batch_sizes_by_workload_algoperf",
    )
]
UNSEEN = [
    planted(
        "patches_a_metric_unseen",
        imports="import importlib",
        init="""
    numpy = importlib.import_module("num" + "py")
    mean = numpy.mean
    setattr(numpy, "me" + "an", lambda *given, **named: mean(*given, **named))
""",
    ),
    planted("opens_a_connection_unseen", before="__import__('sock' + 'et').getaddrinfo('::1', 1)"),
]
"""Written so that the source does not say what they do."""
SHOWN = {
    "patches_a_metric_unseen": (Rule.PATCHING, "set-up"),
    "opens_a_connection_unseen": (Rule.NETWORK, "code.py:13"),
}


def folder_of(submission: Planted, folder: Path) -> Path:
    """Write a submission and its trial on digits: four steps, each one evaluated."""
    (read,) = read_folder(submission.write(folder / "plugins"))
    (first, *_) = draw(read, clock="steps", max_steps=4)
    rules = dataclasses.replace(
        first.plan.rules,
        eval_period_seconds=first.plan.rules.hint_seconds / first.plan.rules.step_hint,
    )
    plan = dataclasses.replace(first.plan, rules=rules)
    (written,) = write_plan([dataclasses.replace(first, plan=plan)], folder / "runs")
    return written


def test_a_cheat_is_flagged_when_it_runs_and_its_honest_twin_is_not(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("jax")
    submissions = [*RUN, *TWINS, *UNSEEN]
    folders = [folder_of(one, tmp_path) for one in submissions]
    all_found = probe(folders, n_cores=1, wall_limit_seconds=1800, scratch=tmp_path)
    found = dict(zip((one.name for one in submissions), all_found, strict=True))
    denied = {
        name: {one.rule for one in ones if one.level is Level.DENY} for name, ones in found.items()
    }
    for cheat in RUN:
        assert cheat.probed in denied[cheat.name], (cheat.name, found[cheat.name])
    assert {twin.name: found[twin.name] for twin in TWINS} == {twin.name: [] for twin in TWINS}
    for name, shown in SHOWN.items():
        places = {(one.rule, one.place) for one in found[name]}
        assert places == {shown}, (name, found[name])
    by_name = {cheat.name: cheat for cheat in RUN}
    (weights,) = found["memorised_weights"]
    assert (weights.rule, weights.place) == (Rule.MEMORISED_WEIGHTS, "step 1")
    assert "30% of the distance is left" in weights.reason  # as its code says: times 0.3
    for name in ("reads_the_run_folder", "trains_on_validation_data"):
        line = "parents[2]" if "folder" in name else "load_digits(return"
        place = dataclasses.replace(by_name[name], line=line).place
        assert place in {one.place for one in found[name]}


def test_a_probe_that_does_not_end_says_so(tmp_path: Path) -> None:
    folder = folder_of(HONEST[0], tmp_path)
    with pytest.raises(PlanError, match=r"no end within 0.01 s \(--wall-limit\)"):
        probe([folder], n_cores=1, wall_limit_seconds=0.01, scratch=tmp_path)


@pytest.mark.parametrize(
    ("name", "level", "column"),
    [
        ("edits_the_history", "deny", "denied"),
        ("thread_in_evaluation", "warn", "warnings"),
        ("synchronises", "allow", "clean"),
    ],
)
def test_a_run_keeps_the_verdict_and_scoring_reads_it(
    name: str, level: str, column: str, tmp_path: Path
) -> None:
    (submission,) = [one for one in (*CHEATS, *HONEST) if one.name == name]
    folder = folder_of(submission, tmp_path)
    said = json.loads((folder / FAIRPLAY_FILE).read_text())
    assert said["level"] == level
    assert said["schema_version"] == 1
    assert all(set(one) == {"rule", "place", "level", "reason"} for one in said["findings"])
    ((path, plan),) = read_plans([folder])
    assert trial_record(read_trial_folder(path, plan))["fairplay"] == column
    (folder / FAIRPLAY_FILE).unlink()
    assert trial_record(read_trial_folder(path, plan))["fairplay"] == "unknown"
