"""The published leaderboard of AlgoPerf v0.5, from a committed table and from the raw logs.

What is expected are the published scores and `tests.scoring.reference`, which shares nothing with
`scoring`. competition.csv was made by that file from the raw logs.
"""

from __future__ import annotations

import math
import os
import random
import shutil
import tarfile
from collections.abc import Collection, Sequence
from pathlib import Path

import pytest

from scoring import EXACT, PUBLISHED, Method, Runs, Scoreboard, read_runs, score_runs
from tests.scoring import reference
from tests.scoring.log_trees import StudyCell, runs_of, scandir_in_order
from tests.scoring.reference import Study, Times
from tuning.rules import load_rules

ARCHIVE = Path(__file__).parents[2].parent / "shared/data/algoperf-v0.5-external-logs.tar.xz"
RULES = load_rules("algoperf-0.5")
GAME = reference.game_of(RULES)
# AlgoPerf v0.5, external tuning: the published leaderboard.
LEADERBOARD = {
    "shampoo_submission": 0.778409,
    "schedule_free_adamw": 0.707702,
    "generalized_adam": 0.638258,
    "cyclic_lr": 0.630051,
    "nadamp": 0.590909,
    "baseline": 0.570707,
    "amos": 0.491793,
    "caspr_adaptive": 0.472222,
    "lawa_queue": 0.369949,
    "lawa_ema": 0.338384,
    "schedule_free_prodigy": 0.0,
}
BOTH = pytest.mark.parametrize("method", [EXACT, PUBLISHED], ids=lambda m: m.name)
LEFT_OUT = pytest.mark.parametrize(
    "left_out",
    [
        (),
        ("caspr_adaptive",),
        ("shampoo_submission",),
        ("shampoo_submission", "schedule_free_adamw", "generalized_adam"),
        ("baseline", "amos", "lawa_ema", "nadamp"),
        tuple(name for name in LEADERBOARD if name not in ("lawa_ema", "cyclic_lr")),
    ],
    ids=lambda names: "without " + (",".join(names) if len(names) < 9 else "most"),
)


def table_without(left_out: Collection[str] = ()) -> list[Study]:
    """Read the committed table, but not some submissions."""
    return [s for s in reference.read_table() if s.submission not in left_out]


def runs_from(studies: Sequence[Study], method: Method) -> Runs:
    """Give tables of one trial a study, with the times of one definition."""
    return runs_of(
        [
            StudyCell(
                submission=s.submission,
                workload=s.workload,
                study=s.study,
                seconds=s.published_seconds if method is PUBLISHED else s.exact_seconds,
            )
            for s in studies
        ]
    )


def times_from(studies: Sequence[Study], method: Method) -> Times:
    """Give the medians of the reference."""
    by = reference.published_times if method is PUBLISHED else reference.exact_times
    return by(studies, GAME)


def check(board: Scoreboard, studies: Sequence[Study], method: Method, digits: float) -> None:
    """Check times, ratios and scores with the reference; times to a share of `digits`."""
    times = times_from(studies, method)
    if method is PUBLISHED:
        ratios, scores = reference.published_ratios, reference.published_scores
    else:
        ratios, scores = reference.exact_ratios, reference.exact_scores
    assert board.columns.base == GAME.base
    assert list(board.times.index) == sorted(times)
    for table, expected in ((board.times, times), (board.ratios, ratios(times, GAME))):
        for name, row in expected.items():
            assert table.loc[name].to_dict() == pytest.approx(row, rel=digits), name
    found = dict(zip(board.table["submission"], board.table["score"], strict=True))
    assert found == pytest.approx(scores(times, GAME), rel=1e-9, abs=1e-12)


# From the committed table


def test_the_committed_table_is_whole_and_small() -> None:
    studies = reference.read_table()
    keys = {(s.submission, s.workload, s.study) for s in studies}
    assert len(studies) == len(keys) == 11 * 14 * 5
    assert {s.submission for s in studies} == set(LEADERBOARD)
    assert {s.workload for s in studies} == set(GAME.names)
    assert reference.COMPETITION.stat().st_size < 60_000


def test_exact_times_are_never_earlier_than_what_was_evaluated_within_the_budget() -> None:
    for s in reference.read_table():
        assert (s.published_seconds is None) == (s.exact_seconds is None)
        if s.exact_seconds is not None and math.isfinite(s.exact_seconds):
            assert s.exact_seconds <= RULES.workload(s.workload).budget_seconds
            assert s.published_seconds is not None
            assert s.exact_seconds <= s.published_seconds < math.inf


def test_the_published_leaderboard_follows_from_the_committed_table() -> None:
    board = score_runs(runs_from(reference.read_table(), PUBLISHED), method=PUBLISHED)
    scores = zip(board.table["submission"], board.table["score"], strict=True)
    assert [(name, round(score, 6)) for name, score in scores] == list(LEADERBOARD.items())
    assert board.table["rank"].tolist() == list(range(1, 12))


def test_the_reference_gives_the_published_leaderboard_too() -> None:
    scores = reference.published_scores(times_from(reference.read_table(), PUBLISHED), GAME)
    assert {name: round(score, 6) for name, score in scores.items()} == LEADERBOARD


@BOTH
@LEFT_OUT
def test_cells_and_scores_from_the_committed_table_are_the_references(
    method: Method, left_out: tuple[str, ...]
) -> None:
    studies = table_without(left_out)
    check(score_runs(runs_from(studies, method), method=method), studies, method, 1e-12)


@BOTH
def test_the_order_of_the_committed_table_does_not_matter(method: Method) -> None:
    studies = table_without()
    there = score_runs(runs_from(studies, method), method=method)
    shuffled = random.Random(3).sample(studies, len(studies))
    back = score_runs(runs_from(shuffled, method), method=method)
    assert back.table.drop(columns="frameworks").equals(there.table.drop(columns="frameworks"))


@BOTH
def test_without_caspr_adaptive_schedule_free_adamw_is_first(method: Method) -> None:
    everybody = score_runs(runs_from(table_without(), method), method=method)
    assert everybody.table["submission"].iloc[0] == "shampoo_submission"
    others = runs_from(table_without(["caspr_adaptive"]), method)
    assert score_runs(others, method=method).table["submission"].iloc[0] == "schedule_free_adamw"


# From the raw logs


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The raw logs, unpacked; gives the folder that holds the submissions."""
    if not ARCHIVE.is_file():
        pytest.skip(f"{ARCHIVE.name} is not there: real logs are kept beside the repo")
    folder = tmp_path_factory.mktemp("competition")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder / "external_tuning"


@pytest.fixture(scope="session")
def studies(logs: Path) -> list[Study]:
    """The raw logs as the reference reads them."""
    return reference.read_studies(submissions_in(logs), RULES, RULES.studies)


@pytest.fixture(scope="session")
def runs(logs: Path) -> Runs:
    """The raw logs as `scoring` reads them."""
    return read_runs([logs])


def submissions_in(logs: Path, left_out: Collection[str] = ()) -> list[Path]:
    """Give the folders of submissions, sorted."""
    return sorted(path for path in logs.iterdir() if path.name not in left_out)


def test_the_committed_table_is_that_of_the_raw_logs(
    studies: list[Study], capsys: pytest.CaptureFixture[str]
) -> None:
    reference.write_table(studies)
    assert capsys.readouterr().out == reference.COMPETITION.read_text()


def test_the_raw_logs_give_the_published_leaderboard(runs: Runs) -> None:
    table = score_runs(runs, method=PUBLISHED).table
    found = dict(zip(table["submission"], table["score"].round(6), strict=True))
    assert list(found.items()) == list(LEADERBOARD.items())


@BOTH
def test_times_ratios_and_scores_of_the_raw_logs_are_the_references(
    runs: Runs, studies: list[Study], method: Method
) -> None:
    board = score_runs(runs, method=method)
    check(board, studies, method, 1e-12)
    assert (board.rules, board.ruleset, board.unit) == ("algoperf-0.5", "external", "seconds")


@BOTH
def test_each_study_of_the_raw_logs_is_the_references(
    runs: Runs, studies: list[Study], method: Method
) -> None:
    found = score_runs(runs, method=method).studies
    assert found.studies == (0, 1, 2, 3, 4)
    for s in studies:
        at = found.submissions.index(s.submission), found.columns.names.index(s.workload)
        seconds = float(found.times[(*at, s.study)])
        if method is EXACT:
            assert seconds == (math.inf if s.exact_seconds is None else s.exact_seconds)
        elif s.published_seconds is None:
            assert math.isnan(seconds)
        else:
            assert seconds == s.published_seconds


@LEFT_OUT
def test_any_choice_of_submissions_is_scored_as_by_the_reference(
    logs: Path, studies: list[Study], left_out: tuple[str, ...]
) -> None:
    chosen = read_runs(submissions_in(logs, left_out))
    expected = [s for s in studies if s.submission not in left_out]
    for method in (EXACT, PUBLISHED):
        check(score_runs(chosen, method=method), expected, method, 1e-12)


def test_submissions_may_be_copied_to_a_folder_in_any_order(
    logs: Path, studies: list[Study], tmp_path: Path
) -> None:
    names = ("shampoo_submission", "lawa_ema", "caspr_adaptive", "amos")
    for name in names:  # not sorted: folders are listed in the order of their making, or hashed
        shutil.copytree(logs / name, tmp_path / "mine" / name)
    copied = read_runs([tmp_path])
    assert copied.ruleset == "external"  # several trials a study, without a folder that says so
    expected = [s for s in studies if s.submission in names]
    for method in (EXACT, PUBLISHED):
        check(score_runs(copied, method=method), expected, method, 1e-12)


@pytest.mark.parametrize("seed", [None, 1])
def test_the_order_in_which_folders_are_listed_does_not_matter(
    logs: Path, runs: Runs, monkeypatch: pytest.MonkeyPatch, seed: int | None
) -> None:
    monkeypatch.setattr(os, "scandir", scandir_in_order(seed))
    again = read_runs([logs])
    assert again.trials.equals(runs.trials)
    assert again.rows.equals(runs.rows)
    assert again.dirt.equals(runs.dirt)


@BOTH
def test_in_the_raw_logs_too_schedule_free_adamw_is_first_without_caspr_adaptive(
    logs: Path, method: Method
) -> None:
    board = score_runs(read_runs(submissions_in(logs, ["caspr_adaptive"])), method=method)
    assert board.table["submission"].iloc[0] == "schedule_free_adamw"


def test_the_known_dirt_of_the_raw_logs_is_named(logs: Path, runs: Runs) -> None:
    # ../shared/spec/facts_submission_api.md, section 4, on the external logs of v0.5
    found = set(runs.dirt[["kind", "where"]].itertuples(index=False, name=None))
    lacking = runs.dirt.loc[runs.dirt["kind"] == "no eval_measurements.csv", "where"]
    for name, workload, n_trials in (
        ("caspr_adaptive", "criteo1tb", 25),
        ("caspr_adaptive", "criteo1tb_embed_init", 25),
        ("caspr_adaptive", "wmt_glu_tanh", 25),
        ("schedule_free_prodigy", "criteo1tb", 25),
        ("schedule_free_prodigy", "criteo1tb_embed_init", 25),
        ("amos", "criteo1tb", 20),  # 1 of 5 per study has the file
        ("lawa_ema", "librispeech_conformer_layernorm", 5),  # 20 of 25 have it
        ("baseline", "wmt", 0),
    ):
        pattern = rf"{name}/study_\d/{workload}_(?:jax|pytorch)/trial_\d"
        assert lacking.str.fullmatch(pattern).sum() == n_trials, (name, workload)
    assert ("missing studies", "lawa_ema on librispeech_deepspeech: 3 of 5") in found
    assert ("missing trials", "lawa_ema on librispeech_deepspeech: 4 of 15") in found  # 1, 1, 2
    stray = {where for kind, where in found if kind == "stray trial folder"}
    there = {str(path.relative_to(logs)) for path in logs.glob("*/study_*/trial_*")}
    assert stray == there
    assert {where.rpartition("/")[0] for where in stray} == {
        f"schedule_free_adamw/study_{study}" for study in range(4)
    }
