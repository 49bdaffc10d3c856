"""The files of AlgoPerf's trials: damage of every kind, its status, and the score it leads to.

The tree and the arithmetic of CLEAN, MISSED and LEFT_OUT are in `tests.scoring.log_trees`.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scoring import EXACT, PUBLISHED, leaderboard_records, read_runs, score_runs
from tests.scoring.log_trees import (
    CLEAN,
    EVAL_FILE,
    MISSED,
    OGBG,
    Evaluation,
    add_studies,
    add_trial,
    check,
    clean_tree,
    csv_text,
    hit,
    miss,
    place,
    scored,
    to_target,
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two clean submissions on one workload; gives the folder that holds them."""
    return clean_tree(tmp_path / "external_tuning")


def evaluations_file(tree: Path, study: int = 0, trial: int = 1) -> Path:
    """Give the file of a trial of b; trial 1 is the one that hits."""
    return place(study, trial).folder(tree) / EVAL_FILE


def test_nan_and_blank_values_never_meet_the_target(tree: Path) -> None:
    rows = [
        Evaluation(seconds=2.0, value="nan"),
        Evaluation(seconds=3.0, value=""),
        Evaluation(seconds=4.0, value="NaN"),
    ]
    evaluations_file(tree, trial=2).write_text(csv_text(OGBG, rows))
    found = scored(tree)
    check(found, CLEAN)
    kind = "blank or NaN values of the target metric"
    assert found.dirt[0][:2] == (kind, "b/study_0/ogbg_jax/trial_2: 3")


def test_an_evaluation_with_a_blank_value_counts_as_an_evaluation_as_published(tree: Path) -> None:
    # Trial 1 hits at its 3rd evaluation after 410 s, trial 2 at its 2nd after 900 s.
    # exact 410. Published 900, 510, 610, 710, 810: median 710, as with a miss.
    late = [Evaluation(seconds=1.0, value=""), Evaluation(seconds=900.0, value=hit(OGBG))]
    evaluations_file(tree, trial=2).write_text(csv_text(OGBG, late))
    first = [Evaluation(seconds=1.5, value=miss(OGBG), step=2), *to_target(OGBG, 410.0)]
    first = sorted(first, key=lambda e: e.seconds)
    evaluations_file(tree, trial=1).write_text(csv_text(OGBG, first))
    check(scored(tree), (CLEAN[0], MISSED[1]))


def test_a_hit_after_the_budget_counts_only_as_published(tmp_path: Path) -> None:
    add_studies(tmp_path, "a", OGBG, [10000.0] * 5)
    add_studies(tmp_path, "b", OGBG, [18478.0] * 5)
    add_studies(tmp_path, "c", OGBG, [18477.0] * 5)
    found = scored(tmp_path)
    # Ratios 1.8478 and 1.8477, where the budget itself is within it: exact (4 - 1.8477) / 3;
    # published 0.8478 * 33 = 27.98, so the points 28 .. 99 are met: 71.5/99.
    assert found.exact == {"a": 1.0, "b": 0.0, "c": pytest.approx(2.1523 / 3)}
    two = pytest.approx(71.5 / 99)
    assert found.published == {"a": 1.0, "b": two, "c": two}
    assert found.dirt == [
        ("target reached after the budget", "b on ogbg: 5 trials", "does not count")
    ]


def test_evaluations_after_the_budget_that_miss_have_no_effect(tree: Path) -> None:
    rows = [*to_target(OGBG, 410.0), Evaluation(seconds=20000.0, value=miss(OGBG))]
    evaluations_file(tree).write_text(csv_text(OGBG, rows))
    found = scored(tree)
    check(found, CLEAN)
    assert found.dirt == [("evaluations after the budget", "b on ogbg: 1 trial", "no effect")]


def test_a_cut_off_last_line_is_left_out(tree: Path) -> None:
    path = evaluations_file(tree)
    text = path.read_text()
    path.write_text(text[: text.rindex("0.28098")])  # inside the line of the hit
    found = scored(tree)
    check(found, MISSED)
    assert found.dirt[0][:2] == ("damaged lines, left out", "b/study_0/ogbg_jax/trial_1: 1")
    assert len(found.dirt) == 1


def test_a_line_cut_off_after_the_hit_changes_nothing(tree: Path) -> None:
    path = evaluations_file(tree)
    path.write_text(path.read_text() + "1.0,0.5,99")
    found = scored(tree)
    check(found, CLEAN)
    assert found.dirt[0][:2] == ("damaged lines, left out", "b/study_0/ogbg_jax/trial_1: 1")


def test_a_last_line_without_line_break_counts(tree: Path) -> None:
    path = evaluations_file(tree)
    path.write_text(path.read_text().rstrip("\n"))
    found = scored(tree)
    check(found, CLEAN)
    assert found.dirt == []


BINARY = bytes(np.random.default_rng(5).integers(0, 256, 5000, dtype=np.uint8))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\n", id="a line break"),
        pytest.param(b"\x00" * 4096, id="zeros, as after a crash of the machine"),
        pytest.param(BINARY, id="random bytes"),
        pytest.param(b"\xff\xfeg\x00l\x00", id="UTF-16"),
        pytest.param(b"global_step,score,validation/mean_average_precision\n\x80,\x81,\x82\n"),
    ],
)
def test_a_file_of_garbage_is_no_hit(tree: Path, data: bytes) -> None:
    evaluations_file(tree).write_bytes(data)
    found = scored(tree)
    check(found, MISSED)
    assert {(where.partition(":")[0], effect) for _, where, effect in found.dirt} == {
        ("b/study_0/ogbg_jax/trial_1", "no hit")
    }


def test_a_file_with_a_header_only_is_no_hit(tree: Path) -> None:
    evaluations_file(tree).write_text(csv_text(OGBG, []))
    found = scored(tree)
    check(found, MISSED)
    assert found.dirt == [
        (f"{EVAL_FILE} without evaluations", "b/study_0/ogbg_jax/trial_1", "no hit")
    ]


def without_columns(text: str, *names: str) -> str:
    """Take columns out of a CSV file."""
    lines = [line.split(",") for line in text.splitlines()]
    kept = [i for i, name in enumerate(lines[0]) if name not in names]
    return "".join(",".join(line[i] for i in kept) + "\n" for line in lines)


@pytest.mark.parametrize(
    "names",
    [
        ("global_step",),
        ("score", "accumulated_submission_time"),
        ("validation/mean_average_precision",),
        ("global_step", "score", "accumulated_submission_time", "preemption_count"),
    ],
    ids=",".join,
)
def test_a_file_without_a_column_that_is_needed_is_no_hit(
    tree: Path, names: tuple[str, ...]
) -> None:
    path = evaluations_file(tree)
    path.write_text(without_columns(path.read_text(), *names))
    found = scored(tree)
    check(found, MISSED)
    assert {where.partition(":")[0] for _, where, _ in found.dirt} == {"b/study_0/ogbg_jax/trial_1"}


@pytest.mark.parametrize(
    "name", ["score", "accumulated_submission_time", "preemption_count", "train/accuracy"]
)
def test_a_file_without_another_column_is_clean(tree: Path, name: str) -> None:
    path = evaluations_file(tree)
    path.write_text(without_columns(path.read_text(), name))
    found = scored(tree)
    check(found, CLEAN)
    assert found.dirt == []


@pytest.mark.parametrize("order", [[2, 1, 0], [1, 2, 0], [2, 0, 1]])
def test_lines_in_another_order_are_put_in_order(tree: Path, order: list[int]) -> None:
    # The hit comes second and a third evaluation hits again, later.
    rows = [*to_target(OGBG, 410.0), Evaluation(seconds=900.0, value=hit(OGBG))]
    evaluations_file(tree).write_text(csv_text(OGBG, [rows[i] for i in order]))
    found = scored(tree)
    check(found, CLEAN)
    assert found.dirt == []
    assert found.runs.rows.groupby("trial_id")["step"].is_monotonic_increasing.all()


def test_lines_in_another_order_with_a_damaged_value_are_read_all_the_same(tree: Path) -> None:
    rows = [*to_target(OGBG, 410.0)[::-1], Evaluation(seconds=0.5, value="oops")]
    evaluations_file(tree).write_text(csv_text(OGBG, rows))
    found = scored(tree)
    check(found, CLEAN)
    assert found.dirt[0][:2] == ("damaged lines, left out", "b/study_0/ogbg_jax/trial_1: 1")


def test_lines_in_another_order_with_a_damaged_preemption_count_are_read_all_the_same(
    tree: Path,
) -> None:
    text = csv_text(OGBG, to_target(OGBG, 410.0)[::-1]).splitlines()
    cells = text[2].split(",")
    cells[4] = "oops"
    evaluations_file(tree).write_text("\n".join([text[0], text[1], ",".join(cells)]) + "\n")
    check(scored(tree), CLEAN)


@pytest.mark.parametrize("text", ["{", "[]", "", "NaN", "\x00", '{"a": 1e999'])
def test_damaged_hyperparameters_are_named_and_the_trial_counts(tree: Path, text: str) -> None:
    (place().folder(tree) / "hparams.json").write_text(text)
    found = scored(tree)
    check(found, CLEAN)
    assert [row[:2] for row in found.dirt] == [
        ("damaged hparams.json", "b/study_0/ogbg_jax/trial_1")
    ]


def test_hyperparameters_nested_too_deep_to_be_read_do_not_stop_the_reading(tree: Path) -> None:
    (place().folder(tree) / "hparams.json").write_text("[" * 100_000)
    check(scored(tree), CLEAN)


@pytest.mark.parametrize("text", ['{"a": NaN}', '{"a": 1e999}'])
def test_hyperparameters_that_are_not_finite_keep_the_records_strict_json(
    tree: Path, text: str
) -> None:
    (place().folder(tree) / "hparams.json").write_text(text)
    records = leaderboard_records(score_runs(read_runs([tree])))
    assert json.loads(json.dumps(records, allow_nan=False)) == records


def test_the_effect_of_damaged_hyperparameters_is_not_called_a_miss(tree: Path) -> None:
    (place().folder(tree) / "hparams.json").write_text("{")
    found = scored(tree)
    check(found, CLEAN)  # trial 1 is the one that hits, and it still does
    assert found.dirt[0][2] != "no hit"


# After a preemption AlgoPerf starts again from its last checkpoint: steps are made again.
PREEMPTED = [
    Evaluation(seconds=1.0, value=miss(OGBG), step=10),
    Evaluation(seconds=200.0, value=hit(OGBG), step=200),  # lost: made again from step 150 on
    Evaluation(seconds=300.0, value=miss(OGBG), step=150, preemptions=1),
    Evaluation(seconds=410.0, value=hit(OGBG), step=220, preemptions=1),
]


def test_steps_made_again_after_a_preemption_stand_for_the_earlier_ones(tree: Path) -> None:
    evaluations_file(tree).write_text(csv_text(OGBG, PREEMPTED))
    found = scored(tree)
    check(found, CLEAN)
    kind = "steps made again after a preemption, the earlier left out"
    assert [row[:2] for row in found.dirt] == [(kind, "b/study_0/ogbg_jax/trial_1: 1")]


def test_a_preemption_without_steps_made_again_is_clean(tree: Path) -> None:
    rows = [PREEMPTED[0], PREEMPTED[2], PREEMPTED[3]]
    evaluations_file(tree).write_text(csv_text(OGBG, rows))
    found = scored(tree)
    check(found, CLEAN)
    assert found.dirt == []


def test_steps_made_again_are_named_beside_a_damaged_line(tree: Path) -> None:
    evaluations_file(tree).write_text(csv_text(OGBG, PREEMPTED) + "1.0,0.5,99")
    found = scored(tree)
    check(found, CLEAN)
    assert [row[:2] for row in found.dirt] == [
        ("damaged lines, left out", "b/study_0/ogbg_jax/trial_1: 1"),
        (
            "steps made again after a preemption, the earlier left out",
            "b/study_0/ogbg_jax/trial_1: 1",
        ),
    ]


def test_a_line_without_time_is_damaged_and_not_a_preemption(tree: Path) -> None:
    lines = csv_text(OGBG, [Evaluation(seconds=0.5, value=0.1), *to_target(OGBG, 410.0)])
    path = evaluations_file(tree)
    path.write_text(lines.replace("1.0,0.5,0.5,5,0,0.5,", "1.0,0.5,,5,0,,"))
    found = scored(tree)
    check(found, CLEAN)
    assert [row[:2] for row in found.dirt] == [
        ("damaged lines, left out", "b/study_0/ogbg_jax/trial_1: 1")
    ]


def test_a_step_too_large_for_an_integer_does_not_stop_the_reading(tree: Path) -> None:
    path = evaluations_file(tree)
    path.write_text(path.read_text().replace(",4100,", ",1e300,"))
    found = scored(tree)
    assert found.exact["b"] in (pytest.approx(CLEAN[0]), pytest.approx(MISSED[0]))


CELL = st.one_of(
    st.sampled_from(["", "nan", "inf", "-inf", "0", "1", "7", "0.3", "x", "1e5", "-1", " 3 "]),
    st.floats(width=32).map(repr),
)
HEADER = "global_step,score,preemption_count,validation/mean_average_precision"
LINE = st.one_of(st.tuples(CELL, CELL, CELL, CELL), st.lists(CELL, min_size=3, max_size=5))


@given(st.lists(LINE, max_size=6))
@settings(max_examples=50, deadline=None, derandomize=True, database=None)
def test_no_file_of_numbers_and_texts_stops_the_reading(
    tmp_path_factory: pytest.TempPathFactory, lines: list[list[str]]
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    written = add_trial(folder, place(), None)
    text = "\n".join([HEADER, *(",".join(line) for line in lines)])
    (written / EVAL_FILE).write_text(text)
    for method in (EXACT, PUBLISHED):
        score_runs(read_runs([folder]), method=method)


@given(st.binary(max_size=200))
@settings(max_examples=30, deadline=None, derandomize=True, database=None)
def test_no_file_of_bytes_stops_the_reading(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    folder = tmp_path_factory.mktemp("fuzz")
    written = add_trial(folder, place(), None)
    (written / EVAL_FILE).write_bytes(f"{HEADER}\n1,1,0,0.2\n".encode() + data)
    (written / "hparams.json").write_bytes(data)
    score_runs(read_runs([folder]))
