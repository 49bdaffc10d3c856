"""Search spaces: parsing, errors, and the points drawn from them."""

from __future__ import annotations

import json
import keyword
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacebench.errors import SpaceError, UnknownNameError
from tuning.space import (
    SAME_POINTS,
    SPLIT_POINTS,
    Choice,
    PointList,
    Range,
    Space,
    draw_points,
    parse_space,
    read_space,
    space_table,
    value_at,
)

GOLDEN_FILE = Path(__file__).parents[3] / "shared" / "spec" / "golden" / "golden_halton.json"

# "space" and the first two "points_n5_in_draw_order" of golden_halton.json (AlgoPerf's own code).
GOLDEN_SPACE: dict[str, Any] = {
    "learning_rate": {"min": 0.0001, "max": 0.01, "scaling": "log"},
    "one_minus_beta1": {"min": 0.001, "max": 1.0, "scaling": "log"},
    "warmup_factor": {"feasible_points": [0.02, 0.05, 0.1]},
    "weight_decay": {"min": 0.005, "max": 1.0, "scaling": "log"},
    "dropout_rate": {"min": 0.0, "max": 0.2, "scaling": "linear"},
}
GOLDEN_POINTS = [
    {
        "learning_rate": 0.0005349128757651907,
        "one_minus_beta1": 0.11867050214813633,
        "warmup_factor": 0.02,
        "weight_decay": 0.021349779919198845,
        "dropout_rate": 0.05722485545676377,
    },
    {
        "learning_rate": 0.0007681927934553013,
        "one_minus_beta1": 0.5839999513851818,
        "warmup_factor": 0.1,
        "weight_decay": 0.9542767112217803,
        "dropout_rate": 0.16600386655666288,
    },
]
TWO_POINTS = [{"rate": 0.1, "nesterov": True}, {"rate": 0.2, "nesterov": False}]
LINEAR = {"min": 0, "max": 1, "scaling": "linear"}


def test_golden_hyperparameters_are_drawn_to_the_last_digit() -> None:
    space = parse_space(GOLDEN_SPACE, "golden")
    assert draw_points(space, 1, 2, SAME_POINTS) == [GOLDEN_POINTS]


def test_every_hyperparameter_of_the_golden_file_is_reproduced() -> None:
    if not GOLDEN_FILE.exists():
        pytest.skip("the golden files of ../shared/spec are not here")
    golden = json.loads(GOLDEN_FILE.read_text(encoding="utf-8"))
    space = parse_space(golden["space"], str(GOLDEN_FILE))
    for n_points in (5, 25):
        drawn = draw_points(space, 1, n_points, SAME_POINTS)
        assert drawn == [golden[f"points_n{n_points}_in_draw_order"]]


def test_units_are_mapped_as_worked_by_hand() -> None:
    linear = Range(minimum=-1.0, maximum=3.0, scaling="linear")
    assert value_at(linear, 0.0) == -1.0
    assert value_at(linear, 0.25) == 0.0  # a quarter of the way from -1 to 3
    log = Range(minimum=0.01, maximum=100.0, scaling="log")
    assert value_at(log, 0.0) == 0.01
    assert math.isclose(value_at(log, 0.25), 0.1)  # a quarter of four decades above 0.01
    assert math.isclose(value_at(log, 0.5), 1.0)
    choice = Choice(feasible_points=("a", "b", "c"))
    units = (0.0, 0.333, 0.334, 0.666, 0.667, math.nextafter(1, 0))
    assert [value_at(choice, unit) for unit in units] == ["a", "a", "b", "b", "c", "c"]


def test_a_space_keeps_the_order_of_its_file() -> None:
    space = parse_space({"b": LINEAR, "a": {"feasible_points": [None, "x"]}}, "here")
    assert space == Space(
        dimensions={
            "b": Range(minimum=0.0, maximum=1.0, scaling="linear"),
            "a": Choice(feasible_points=(None, "x")),
        }
    )
    assert isinstance(space, Space)
    assert list(space.dimensions) == ["b", "a"]


@pytest.mark.parametrize("raw", [TWO_POINTS, {"points": TWO_POINTS}], ids=["json", "toml"])
def test_a_list_of_points_is_kept_as_it_is(raw: Any) -> None:
    assert parse_space(raw, "here") == PointList(points=tuple(TWO_POINTS))


_FINITE = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
_VALUES = st.none() | st.booleans() | _FINITE | st.text()
_NAMES = st.text(st.characters(categories=["Ll"]), min_size=1, max_size=8).filter(
    lambda name: name != "points" and not keyword.iskeyword(name)
)
_POSITIVE = st.floats(1e-6, 1e6)
_DIMENSIONS = st.one_of(
    st.builds(
        lambda low, more, scaling: {"min": low, "max": low + more, "scaling": scaling},
        *(_POSITIVE, _POSITIVE, st.sampled_from(["linear", "log"])),
    ),
    st.lists(_VALUES, min_size=1, max_size=4).map(lambda values: {"feasible_points": values}),
)


@given(st.dictionaries(_NAMES, _DIMENSIONS, min_size=1, max_size=4) | st.just(TWO_POINTS))
def test_a_space_written_as_a_table_is_read_back(raw: Any) -> None:
    space = parse_space(raw, "here")
    assert parse_space(json.loads(json.dumps(space_table(space))), "there") == space


def test_a_dimension_may_be_called_points() -> None:
    space = parse_space({"points": LINEAR}, "here")
    assert space == Space(dimensions={"points": Range(minimum=0, maximum=1, scaling="linear")})


@pytest.mark.parametrize(
    ("file_name", "text"),
    [
        ("space.json", '{"rate": {"min": 0.5, "max": 2, "scaling": "log"}}'),
        ("space.toml", '[rate]\nmin = 0.5\nmax = 2\nscaling = "log"\n'),
    ],
)
def test_json_and_toml_say_the_same(tmp_path: Path, file_name: str, text: str) -> None:
    path = tmp_path / file_name
    path.write_text(text, encoding="utf-8")
    expected = Space(dimensions={"rate": Range(minimum=0.5, maximum=2.0, scaling="log")})
    assert read_space(path) == expected


def test_every_study_gets_the_same_points_as_in_algoperf() -> None:
    space = parse_space(GOLDEN_SPACE, "golden")
    studies = draw_points(space, 3, 2, SAME_POINTS)
    assert studies == [GOLDEN_POINTS, GOLDEN_POINTS, GOLDEN_POINTS]


def test_split_points_are_one_draw_dealt_out_to_the_studies() -> None:
    space = parse_space(GOLDEN_SPACE, "golden")
    studies = draw_points(space, 3, 2, SPLIT_POINTS)
    assert [len(study) for study in studies] == [2, 2, 2]
    assert [point for study in studies for point in study] == draw_points(space, 1, 6, SAME_POINTS)[
        0
    ]


@pytest.mark.parametrize("sharing", [SAME_POINTS, SPLIT_POINTS])
def test_listed_points_are_taken_in_order_as_far_as_they_go(sharing: str) -> None:
    space = parse_space(TWO_POINTS, "here")
    assert draw_points(space, 2, 1, sharing) == [TWO_POINTS[:1], TWO_POINTS[:1]]
    assert draw_points(space, 2, 5, sharing) == [TWO_POINTS, TWO_POINTS]


def test_changing_a_drawn_point_changes_no_other() -> None:
    first, second = draw_points(parse_space({"rate": LINEAR}, "here"), 2, 1, SAME_POINTS)
    first[0]["rate"] = "changed"
    assert second[0]["rate"] != "changed"


@given(
    ends=st.lists(st.floats(1e-12, 1e12), min_size=2, max_size=2, unique=True).map(sorted),
    scaling=st.sampled_from(["linear", "log"]),
    unit=st.floats(0, 1, exclude_max=True),
)
def test_a_value_lies_in_its_range(ends: list[float], scaling: str, unit: float) -> None:
    low, high = ends
    assert low <= value_at(Range(minimum=low, maximum=high, scaling=scaling), unit) <= high


@given(values=st.lists(st.integers(), min_size=1), unit=st.floats(0, 1, exclude_max=True))
def test_a_choice_is_one_of_its_values(values: list[int], unit: float) -> None:
    assert value_at(Choice(feasible_points=tuple(values)), unit) in values


@given(studies=st.integers(1, 5), trials=st.integers(1, 6), more=st.integers(0, 10))
def test_fewer_trials_are_a_prefix_of_more(studies: int, trials: int, more: int) -> None:
    space = parse_space(GOLDEN_SPACE, "golden")
    few = draw_points(space, studies, trials, SAME_POINTS)
    many = draw_points(space, studies, trials + more, SAME_POINTS)
    assert few == [study[:trials] for study in many]


@given(studies=st.integers(1, 5), trials=st.integers(1, 6), more=st.integers(0, 5))
def test_more_studies_leave_the_first_ones_alone(studies: int, trials: int, more: int) -> None:
    space = parse_space(GOLDEN_SPACE, "golden")
    few = draw_points(space, studies, trials, SPLIT_POINTS)
    assert few == draw_points(space, studies + more, trials, SPLIT_POINTS)[:studies]


# Every mistake, and the words that its message must hold beside the name of the file.
MISTAKES: list[tuple[Any, list[str]]] = [
    ({}, ["empty"]),
    ([], ["empty list"]),
    ({"points": []}, ["empty list"]),
    ("adamw", ["'adamw'", "table", "list of points"]),
    (None, ["None"]),
    ({"rate": 0.1}, ["rate", "0.1", "feasible_points"]),
    ({"rate": {"min": 2, "max": 1, "scaling": "linear"}}, ["rate", "min 2", "below", "max 1"]),
    ({"rate": {"min": 1, "max": 1, "scaling": "log"}}, ["rate", "below", "feasible_points"]),
    ({"rate": {"min": 0, "max": 1, "scaling": "log"}}, ["rate", "log", "above 0"]),
    ({"rate": {"min": -1, "max": 1, "scaling": "log"}}, ["rate", "-1", "above 0"]),
    ({"rate": {"min": 0, "max": 1}}, ["rate", "lacks scaling", "linear", "log"]),
    ({"rate": {}}, ["rate", "min", "max", "scaling"]),
    ({"rate": {"max": 1, "scaling": "log"}}, ["rate", "lacks min"]),
    ({"rate": {**LINEAR, "scaling": "exp"}}, ["rate", "'exp'", "linear", "log"]),
    ({"rate": {**LINEAR, "scaling": ["log"]}}, ["rate", "['log']", "linear"]),
    ({"rate": {"min": 0, "max": 1, "scalling": "log"}}, ["rate", "scalling", "mean 'scaling'"]),
    ({"rate": {**LINEAR, "max": float("inf")}}, ["rate", "max", "inf", "finite"]),
    ({"rate": {**LINEAR, "min": float("nan")}}, ["rate", "min", "nan", "finite"]),
    ({"rate": {**LINEAR, "max": 10**400}}, ["rate", "max", "finite"]),
    ({"rate": {**LINEAR, "max": "1"}}, ["rate", "max", "'1'", "number"]),
    ({"rate": {**LINEAR, "min": False}}, ["rate", "min", "False", "number"]),
    ({"rate": {**LINEAR, "min": -1e308, "max": 1e308}}, ["rate", "too wide"]),
    ({"rate": {"min": 1e-300, "max": 1e300, "scaling": "log"}}, ["rate", "too wide"]),
    ({"rate": {"feasible_points": []}}, ["rate", "feasible_points", "[]"]),
    ({"rate": {"feasible_points": 3}}, ["rate", "feasible_points", "3", "list"]),
    ({"rate": {"feasible_points": [1, float("nan")]}}, ["rate", "nan", "finite"]),
    ({"rate": {"feasible_points": [{"a": 1}]}}, ["rate", "{'a': 1}", "numbers"]),
    ({"rate": {"feasible_points": [[1, float("inf")]]}}, ["rate", "inf"]),
    ({"rate": {"feasible_points": [1], "min": 0}}, ["rate", "stands alone", "min"]),
    ({"learning rate": LINEAR}, ["'learning rate'", "underscores"]),
    ({"lambda": LINEAR}, ["'lambda'"]),
    ({"_rate": LINEAR}, ["'_rate'"]),
    ([{"rate": 1}, {"speed": 1}], ["point 2", "rate, speed", "same names"]),
    ([{"rate": 1}, 3], ["point 2", "3"]),
    ([{}], ["point 1"]),
    ([{"rate": float("inf")}], ["point 1", "rate", "inf"]),
    ([{"a-b": 1}], ["point 1", "'a-b'"]),
    ({"points": [{"rate": 1}], "rate": LINEAR}, ["stands alone", "rate"]),
]


@pytest.mark.parametrize(("raw", "words"), MISTAKES)
def test_a_mistake_is_named_with_its_place(raw: Any, words: list[str]) -> None:
    with pytest.raises(SpaceError) as caught:
        parse_space(raw, "space.json")
    message = str(caught.value)
    assert "\n" not in message
    assert [word for word in ["space.json", *words] if word not in message] == []


BAD_FILES = [
    ("space.json", b"{", ["not valid JSON"]),
    ("space.json", b'{"rate": {"feasible_points": [NaN]}}', ["rate", "nan"]),
    ("space.json", b'{"rate": 1, "rate": 2}', ["'rate'", "twice"]),
    ("space.json", b"\xff\xff\xff", ["not valid JSON"]),
    ("space.toml", b"rate = ", ["not valid TOML"]),
    ("space.toml", b"\xff", ["not valid TOML"]),
    ("space.toml", b"[rate]\nfeasible_points = [1979-05-27]", ["rate", "1979", "numbers"]),
    ("space.yaml", b"", [".json", ".toml"]),
]


@pytest.mark.parametrize(("file_name", "content", "words"), BAD_FILES)
def test_a_bad_file_is_named(
    tmp_path: Path, file_name: str, content: bytes, words: list[str]
) -> None:
    path = tmp_path / file_name
    path.write_bytes(content)
    with pytest.raises(SpaceError) as caught:
        read_space(path)
    assert [word for word in [str(path), *words] if word not in str(caught.value)] == []


@pytest.mark.parametrize("file_name", ["space.json", "space.toml"])
def test_a_missing_file_is_named(tmp_path: Path, file_name: str) -> None:
    with pytest.raises(SpaceError, match=r"cannot read .*space\.(json|toml): No such file"):
        read_space(tmp_path / file_name)


@pytest.mark.parametrize(("studies", "trials"), [(0, 5), (5, 0), (-1, 1)])
def test_no_studies_or_trials_cannot_be_drawn(studies: int, trials: int) -> None:
    with pytest.raises(SpaceError, match=f"{studies} studies of {trials} trials"):
        draw_points(parse_space(TWO_POINTS, "here"), studies, trials, SAME_POINTS)


def test_an_unknown_sharing_is_refused_with_a_suggestion() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'split_over_studies'"):
        draw_points(parse_space(TWO_POINTS, "here"), 1, 1, "split_over_trials")
