"""Properties of scores that hold for any competition, and any competition against the reference."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from scoring import EXACT, METHODS, PUBLISHED, Method, Runs, Scoreboard, score_runs
from scoring.profiles import areas, gated_ratios, ratios_of, scores_of
from scoring.score_rules import Columns, ScoreRules
from tests.scoring import reference
from tests.scoring.log_trees import StudyCell, runs_of
from tests.scoring.reference import Game, Study

N_STUDIES = 3
BASE = ("u", "v", "w", "x")
HELD_OUT = (("u_held", "u"), ("w_held", "w"))
GAME = Game(base=BASE, held_out=HELD_OUT)
RULES = ScoreRules(
    version="hand",
    base_workloads=BASE,
    held_out=dict(HELD_OUT),
    n_studies=N_STUDIES,
    n_trials=1,
)
COLUMNS = Columns(base=BASE, held_out=("u_held", "w_held"), gated=(0, 2))
BOTH = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
Floats = NDArray[np.float64]

# Round numbers make ties, ratios of exactly 4 and ratios on grid points likely.
TIME = st.one_of(
    st.just(math.inf),
    st.sampled_from([100.0, 200.0, 300.0, 400.0, 800.0, 50.0, 33.0, 34.0, 66.0, 132.0]),
    st.floats(min_value=1.0, max_value=1000.0),
)
STUDY = st.one_of(st.none(), TIME, TIME, TIME, TIME)


def quick(n: int) -> Any:
    """Give the settings of a test with `n` examples, the same ones in every run."""
    return settings(max_examples=n, deadline=None, derandomize=True, database=None)


@st.composite
def matrices(draw: st.DrawFn, n_least: int = 1) -> Floats:
    """Give times SW of some submissions on all workloads, inf for a miss."""
    n = draw(st.integers(n_least, 5))
    rows = st.lists(TIME, min_size=len(COLUMNS.names), max_size=len(COLUMNS.names))
    return np.array(draw(st.lists(rows, min_size=n, max_size=n)))


@st.composite
def competitions(draw: st.DrawFn) -> list[Study]:
    """Give all studies of some submissions; every submission has evaluated something."""
    studies = []
    for name in "abcde"[: draw(st.integers(1, 5))]:
        for workload in GAME.names:
            for k in range(N_STUDIES):
                seconds = draw(STUDY) if (workload, k) != ("x", 0) else draw(TIME)
                studies.append(
                    Study(
                        submission=name,
                        workload=workload,
                        study=k,
                        published_seconds=seconds,
                        exact_seconds=seconds,
                    )
                )
    return studies


def runs_from(studies: list[Study]) -> Runs:
    """Give tables of one trial a study."""
    cells = [
        StudyCell(
            submission=s.submission, workload=s.workload, study=s.study, seconds=s.exact_seconds
        )
        for s in studies
    ]
    return runs_of(cells, RULES, n_studies=N_STUDIES)


def scores_in(board: Scoreboard) -> dict[str, float]:
    """Give the scores by submission."""
    return dict(zip(board.table["submission"], board.table["score"], strict=True))


# Against the reference


@given(competitions())
@quick(60)
def test_published_scores_are_those_of_a_plain_loop(studies: list[Study]) -> None:
    board = score_runs(runs_from(studies), method=PUBLISHED)
    times = reference.published_times(studies, GAME)
    ratios = reference.published_ratios(times, GAME)
    assert board.times.T.to_dict() == times
    assert board.ratios.T.to_dict() == ratios
    assert scores_in(board) == pytest.approx(reference.published_scores(times, GAME), abs=1e-12)


@given(competitions())
@quick(60)
def test_exact_scores_are_those_of_a_plain_loop(studies: list[Study]) -> None:
    board = score_runs(runs_from(studies), method=EXACT)
    times = reference.exact_times(studies, GAME)
    assert board.times.T.to_dict() == times
    assert board.ratios.T.to_dict() == reference.exact_ratios(times, GAME)
    assert scores_in(board) == pytest.approx(reference.exact_scores(times, GAME), abs=1e-12)


@given(matrices())
@quick(200)
def test_scores_of_a_matrix_are_those_of_a_plain_loop(times_SW: Floats) -> None:
    times = {
        str(s): dict(zip(COLUMNS.names, row, strict=True))
        for s, row in enumerate(times_SW.tolist())
    }
    for method, plain in ((EXACT, reference.exact_scores), (PUBLISHED, reference.published_scores)):
        found = scores_of(times_SW, COLUMNS, RULES, method).tolist()
        assert found == pytest.approx(list(plain(times, GAME).values()), abs=1e-12)


# Order


def with_more_rows(runs: Runs, random_numbers: random.Random) -> Runs:
    """Give each trial more evaluations: misses before the last, and any value after a hit."""
    parts = []
    for row in runs.rows.to_dict("records"):
        target = float(runs.trials.loc[row["trial_id"], "target"])
        n_before = random_numbers.randrange(3)
        earlier = [
            {**row, "step": i + 1, "time": row["time"] * (i + 1) / 9, "validation": target / 3}
            for i in range(n_before)
        ]
        is_hit = row["validation"] >= target
        later = {**row, "step": 9, "time": row["time"] + 1, "validation": target}
        parts += [*earlier, {**row, "step": n_before + 1}, *([later] if is_hit else [])]
    rows = pd.DataFrame(parts, columns=runs.rows.columns).astype(runs.rows.dtypes)
    counts = rows.groupby("trial_id").size().reindex(runs.trials.index, fill_value=0)
    return replace(runs, rows=rows, trials=runs.trials.assign(n_rows=counts))


def with_more_trials(runs: Runs, random_numbers: random.Random) -> Runs:
    """Give each study more trials, copies of other trials on the same workload."""
    trials, rows = [runs.trials], [runs.rows]
    for (submission, workload), group in runs.trials.groupby(["submission", "workload"]):
        donors = runs.trials.index[runs.trials["workload"] == workload].tolist()
        for k in group["study"]:
            donor = random_numbers.choice(donors)
            new_id = sum(map(len, trials))
            changes = {"submission": submission, "study": k, "trial": 2, "n_trials": 2}
            copy = runs.trials.loc[[donor]].assign(**changes)
            copy.index = pd.Index([new_id], name="trial_id")
            trials.append(copy)
            rows.append(runs.rows[runs.rows["trial_id"] == donor].assign(trial_id=new_id))
    return replace(runs, trials=pd.concat(trials), rows=pd.concat(rows, ignore_index=True))


@BOTH
@given(studies=competitions(), random_numbers=st.randoms(use_true_random=False))
@quick(15)
def test_the_order_of_trials_and_of_evaluations_does_not_matter(
    method: Method, studies: list[Study], random_numbers: random.Random
) -> None:
    runs = with_more_rows(runs_from(studies), random_numbers)
    runs = with_more_trials(runs, random_numbers)
    there = score_runs(runs, method=method)
    places = list(range(len(runs.trials)))
    random_numbers.shuffle(places)
    lines = list(range(len(runs.rows)))
    random_numbers.shuffle(lines)
    shuffled = replace(
        runs, trials=runs.trials.iloc[places], rows=runs.rows.iloc[lines].reset_index(drop=True)
    )
    back = score_runs(shuffled, method=method)
    assert back.times.equals(there.times)
    assert back.ratios.equals(there.ratios)
    assert back.table.equals(there.table)
    # Trials with other ids and, within a study, other numbers
    new_id = dict(zip(runs.trials.index, places, strict=True))
    trials = shuffled.trials.assign(trial=3 - shuffled.trials["trial"]).rename(index=new_id)
    renamed = replace(
        runs,
        trials=trials.sort_index().rename_axis("trial_id"),
        rows=runs.rows.assign(trial_id=runs.rows["trial_id"].map(new_id)),
    )
    assert score_runs(renamed, method=method).times.equals(there.times)
    assert scores_in(score_runs(renamed, method=method)) == scores_in(there)


@BOTH
@given(studies=competitions(), random_numbers=st.randoms(use_true_random=False))
@quick(15)
def test_the_names_of_submissions_and_the_numbers_of_studies_do_not_matter(
    method: Method, studies: list[Study], random_numbers: random.Random
) -> None:
    names = sorted({s.submission for s in studies})
    new_names = dict(zip(names, random_numbers.sample(names, len(names)), strict=True))
    numbers = random_numbers.sample(range(10), N_STUDIES)
    renamed = [
        replace(s, submission=new_names[s.submission], study=numbers[s.study]) for s in studies
    ]
    random_numbers.shuffle(renamed)
    there = scores_in(score_runs(runs_from(studies), method=method))
    back = scores_in(score_runs(runs_from(renamed), method=method))
    assert {name: back[new] for name, new in new_names.items()} == there


@BOTH
@given(times=matrices(), random_numbers=st.randoms(use_true_random=False))
@quick(60)
def test_the_order_of_submissions_and_workloads_in_a_matrix_does_not_matter(
    method: Method, times: Floats, random_numbers: random.Random
) -> None:
    submissions = random_numbers.sample(range(len(times)), len(times))
    base = random_numbers.sample(range(len(BASE)), len(BASE))
    held_out = random_numbers.sample(range(len(HELD_OUT)), len(HELD_OUT))
    columns = Columns(
        base=tuple(BASE[i] for i in base),
        held_out=tuple(COLUMNS.held_out[i] for i in held_out),
        gated=tuple(base.index(COLUMNS.gated[i]) for i in held_out),
    )
    shuffled = times[submissions][:, [*base, *(len(BASE) + i for i in held_out)]]
    there = scores_of(times, COLUMNS, RULES, method)
    assert scores_of(shuffled, columns, RULES, method).tolist() == there[submissions].tolist()


# Who is better


@BOTH
@given(times=matrices())
@quick(100)
def test_scores_and_areas_lie_between_0_and_1_and_misses_score_nothing(
    method: Method, times: Floats
) -> None:
    found = scores_of(times, COLUMNS, RULES, method)
    assert ((found >= 0.0) & (found <= 1.0)).all()
    ratios = gated_ratios(times, COLUMNS, RULES, method)
    area = areas(ratios, 4.0, method.n_grid_points)
    assert ((area >= 0.0) & (area <= 1.0)).all()
    assert (area[np.isinf(times)] == 0.0).all()
    assert (ratios >= 1.0).all()


@BOTH
@given(times=matrices(), exponent=st.integers(-20, 20))
@quick(50)
def test_the_unit_of_time_does_not_matter(method: Method, times: Floats, exponent: int) -> None:
    # A power of two scales floats without rounding.
    scaled = scores_of(times * 2.0**exponent, COLUMNS, RULES, method)
    assert scaled.tolist() == scores_of(times, COLUMNS, RULES, method).tolist()


FACTORS = st.lists(
    st.one_of(st.just(math.inf), st.just(1.0), st.floats(1.0, 10.0)),
    min_size=len(COLUMNS.names),
    max_size=len(COLUMNS.names),
)


@given(matrices(), FACTORS, st.data())
@quick(100)
def test_a_submission_that_is_nowhere_faster_than_another_changes_no_exact_score(
    times: Floats, factors: list[float], data: st.DataObject
) -> None:
    dominating = data.draw(st.integers(0, len(times) - 1))
    slower = times[dominating] * np.array(factors)
    more = np.vstack([times, slower])
    before = gated_ratios(times, COLUMNS, RULES, EXACT)
    after = gated_ratios(more, COLUMNS, RULES, EXACT)[:-1]
    assert np.array_equal(after, before)
    scores = scores_of(more, COLUMNS, RULES, EXACT)
    assert scores[:-1].tolist() == scores_of(times, COLUMNS, RULES, EXACT).tolist()
    assert scores[-1] <= scores[dominating]


@given(competitions())
@quick(20)
def test_a_submission_that_reaches_nothing_changes_no_other_in_exact_scores(
    studies: list[Study],
) -> None:
    alone = scores_in(score_runs(runs_from(studies)))
    first = studies[0].submission
    idle = [
        replace(s, submission="z", exact_seconds=math.inf if s.study else None)
        for s in studies
        if s.submission == first
    ]
    together = scores_in(score_runs(runs_from([*studies, *idle])))
    assert together.pop("z") == 0.0
    assert together == alone


@st.composite
def improvements(draw: st.DrawFn) -> tuple[Floats, Floats, int, int]:
    """Give times, the same with one of them less, and which one: submission and workload."""
    times = draw(matrices())
    s = draw(st.integers(0, len(times) - 1))
    w = draw(st.integers(0, len(COLUMNS.names) - 1))
    better = times.copy()
    missed = np.isinf(times[s, w])
    better[s, w] = draw(TIME) if missed else times[s, w] * draw(st.floats(0.01, 1.0))
    return times, better, s, w


@given(improvements())
@quick(150)
def test_a_faster_time_never_lowers_the_own_area_without_gates(
    case: tuple[Floats, Floats, int, int],
) -> None:
    times, better, s, w = case
    for n_points in (None, 100):
        before, after = (areas(ratios_of(t), 4.0, n_points)[s, w] for t in (times, better))
        assert after >= before


@given(improvements())
@quick(150)
def test_a_faster_time_never_lowers_an_own_exact_area_or_score_with_gates(
    case: tuple[Floats, Floats, int, int],
) -> None:
    times, better, s, w = case
    before, after = (
        areas(gated_ratios(t, COLUMNS, RULES, EXACT)[s, : len(BASE)]) for t in (times, better)
    )
    assert (after >= before).all()
    if w < len(BASE):  # other workloads stay as they are
        assert np.delete(after, w).tolist() == np.delete(before, w).tolist()
    scores = [scores_of(t, COLUMNS, RULES, EXACT)[s] for t in (times, better)]
    assert scores[1] >= scores[0]


@given(improvements())
@quick(100)
def test_a_faster_time_never_raises_another_ones_exact_score(
    case: tuple[Floats, Floats, int, int],
) -> None:
    times, better, s, _ = case
    before, after = (np.delete(scores_of(t, COLUMNS, RULES, EXACT), s) for t in (times, better))
    assert (after <= before).all()
