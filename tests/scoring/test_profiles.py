"""Properties of ratios, profiles and scores that hold for any table of times."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring import performance_profile, ratios_to_best, scores

TIME = st.one_of(st.just(math.inf), st.floats(min_value=1e-3, max_value=1e6))


@st.composite
def times_tables(draw: st.DrawFn) -> pd.DataFrame:
    n_submissions = draw(st.integers(1, 5))
    n_workloads = draw(st.integers(1, 5))
    rows = [[draw(TIME) for _ in range(n_workloads)] for _ in range(n_submissions)]
    return pd.DataFrame(
        rows,
        index=[f"s{i}" for i in range(n_submissions)],
        columns=[f"w{i}" for i in range(n_workloads)],
    )


def test_ratios_of_a_table_worked_by_hand() -> None:
    times = pd.DataFrame(
        [[10.0, math.inf, math.inf], [25.0, 7.0, math.inf]], index=["a", "b"], columns=list("xyz")
    )
    ratios = ratios_to_best(times)
    assert ratios.loc["a"].tolist() == [1.0, math.inf, math.inf]
    assert ratios.loc["b"].tolist() == [2.5, 1.0, math.inf]
    # a: clip(4 - 1) = 3 on x, nothing on y and z: 3 / (3 * 3). b: 4 - 2.5 = 1.5, and 3: 4.5 / 9.
    assert scores(ratios).to_dict() == {"a": pytest.approx(1 / 3), "b": pytest.approx(0.5)}


def test_a_ratio_of_tau_max_or_more_scores_nothing_but_is_in_the_profile() -> None:
    ratios = pd.DataFrame([[4.0], [4.1]], index=["at", "beyond"], columns=["w"])
    assert scores(ratios).to_dict() == {"at": 0.0, "beyond": 0.0}
    profile = performance_profile(ratios)
    assert profile.to_numpy().tolist() == [["at", 1.0, 0.0], ["at", 4.0, 1.0], ["beyond", 1.0, 0.0]]


def test_a_profile_holds_each_step_once() -> None:
    ratios = pd.DataFrame([[1.0, 2.0, 2.0, math.inf]], index=["s"], columns=list("wxyz"))
    steps = performance_profile(ratios)[["tau", "rho"]].to_numpy().tolist()
    assert steps == [[1.0, 0.25], [2.0, 0.75]]


def test_equal_ratios_in_another_order_score_exactly_equal() -> None:
    values = [1.1, 1.3, 1.7]
    orders = [[0, 1, 2], [2, 1, 0], [1, 2, 0], [2, 0, 1]]
    ratios = pd.DataFrame([[values[i] for i in order] for order in orders])
    assert scores(ratios).nunique() == 1


@given(times_tables())
def test_scores_lie_between_0_and_1(times: pd.DataFrame) -> None:
    assert scores(ratios_to_best(times)).between(0.0, 1.0).all()


@given(times_tables())
def test_the_best_on_all_workloads_scores_1(times: pd.DataFrame) -> None:
    best = pd.DataFrame([times.min().where(np.isfinite, 1.0)], index=["best"])
    assert scores(ratios_to_best(pd.concat([times, best])))["best"] == 1.0


@given(times_tables(), st.integers(-20, 20))
def test_the_unit_of_time_does_not_matter(times: pd.DataFrame, exponent: int) -> None:
    # A power of two scales floats without rounding, so the scores are the same to the bit.
    expected = scores(ratios_to_best(times))
    assert scores(ratios_to_best(times * 2.0**exponent)).equals(expected)


@given(times_tables(), st.randoms())
def test_the_order_of_submissions_and_workloads_does_not_matter(
    times: pd.DataFrame, random: np.random.Generator
) -> None:
    rows, columns = list(times.index), list(times.columns)
    random.shuffle(rows)
    random.shuffle(columns)
    shuffled = scores(ratios_to_best(times.loc[rows, columns]))
    assert shuffled.loc[times.index].equals(scores(ratios_to_best(times)))


@given(times_tables())
def test_the_score_is_the_area_under_the_profile(times: pd.DataFrame) -> None:
    ratios = ratios_to_best(times)
    profile = performance_profile(ratios)
    for name, score in scores(ratios).items():
        steps = profile[profile["submission"] == name]
        widths = np.diff([*steps["tau"], 4.0])
        assert score == pytest.approx(float(np.sum(widths * steps["rho"])) / 3.0, abs=1e-12)


@given(times_tables())
@settings(max_examples=25)
def test_the_score_is_the_numerical_integral_of_rho(times: pd.DataFrame) -> None:
    ratios = ratios_to_best(times)
    n_points = 30_000
    middles = 1.0 + 3.0 * (np.arange(n_points) + 0.5) / n_points  # of equal cells of [1, 4]
    for name, score in scores(ratios).items():
        row = ratios.loc[name].to_numpy()
        rho = (row[:, None] <= middles).mean(axis=0)
        # A step inside a cell is off by at most half a cell, on each of the workloads.
        assert score == pytest.approx(float(rho.mean()), abs=0.5 / n_points + 1e-12)
