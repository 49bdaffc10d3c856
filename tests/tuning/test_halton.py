"""AlgoPerf's Halton draw: golden points, and what holds for every draw."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacebench.errors import SpaceError
from tuning.halton import unit_points

GOLDEN_FILE = Path(__file__).parents[3] / "shared" / "spec" / "golden" / "golden_halton.json"

# Copied from golden_halton.json, "unit_points", "dims=3,n=5": made by AlgoPerf's own code.
GOLDEN_3 = [
    [0.13714606964468423, 0.2739744372653363, 0.28612427728381884],
    [0.8065421801871611, 0.9911667058309517, 0.8300193327833143],
    [0.2569004196958611, 0.23023079535282354, 0.36079632571974196],
    [0.1750171034215522, 0.3757038370618775, 0.47482256184486826],
    [0.16989939615440774, 0.47539864886248795, 0.87441892915062],
]


def test_points_are_algoperfs_to_the_last_digit() -> None:
    assert unit_points(3, 5).tolist() == GOLDEN_3


def test_every_point_of_the_golden_file_is_reproduced() -> None:
    if not GOLDEN_FILE.exists():
        pytest.skip("the golden files of ../shared/spec are not here")
    golden = json.loads(GOLDEN_FILE.read_text(encoding="utf-8"))["unit_points"]
    for case, points in golden.items():
        n_dimensions, n_points = (int(part.split("=")[1]) for part in case.split(","))
        assert unit_points(n_dimensions, n_points).tolist() == points, case


def test_one_digit_points_lie_on_one_shifted_grid() -> None:
    # Points 101 to 990 have one digit in base 991, so they are a multiple of 1/991 plus the shift.
    scaled_N = unit_points(1, 890)[:, 0] * 991
    offsets_N = (scaled_N - scaled_N[0]) % 1.0
    assert np.allclose(np.minimum(offsets_N, 1 - offsets_N), 0, atol=1e-9)
    assert len(np.unique(np.round(scaled_N - scaled_N.min()))) == 890  # a permutation: no repeats


@given(n_dimensions=st.integers(1, 166), n_points=st.integers(1, 40))
def test_points_lie_in_the_unit_cube(n_dimensions: int, n_points: int) -> None:
    points_NK = unit_points(n_dimensions, n_points)
    assert points_NK.shape == (n_points, n_dimensions)
    assert points_NK.dtype == np.float64
    assert (points_NK >= 0).all()
    assert (points_NK < 1).all()


@given(n_dimensions=st.integers(1, 10), fewer=st.integers(1, 30), more=st.integers(0, 30))
def test_fewer_points_are_a_prefix_of_more(n_dimensions: int, fewer: int, more: int) -> None:
    longer_NK = unit_points(n_dimensions, fewer + more)
    assert (unit_points(n_dimensions, fewer) == longer_NK[:fewer]).all()


@given(fewer=st.integers(1, 10), more=st.integers(0, 10))
def test_another_dimension_goes_in_front(fewer: int, more: int) -> None:
    wider_NK = unit_points(fewer + more, 5)
    assert (unit_points(fewer, 5) == wider_NK[:, more:]).all()


def test_the_draw_leaves_numpys_global_generator_alone() -> None:
    before = np.random.get_state(legacy=False)["state"]["pos"]
    unit_points(2, 5)
    assert np.random.get_state(legacy=False)["state"]["pos"] == before


@pytest.mark.parametrize(
    ("n_dimensions", "n_points", "words"),
    [(0, 5, "0 hyperparameters"), (167, 5, "167 hyperparameters"), (2, 0, "0 points")],
)
def test_a_draw_that_cannot_be_made_says_why(n_dimensions: int, n_points: int, words: str) -> None:
    with pytest.raises(SpaceError, match=words):
        unit_points(n_dimensions, n_points)
