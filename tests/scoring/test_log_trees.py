"""AlgoPerf's log trees: folders that are not in order, where a tree begins, and whole trees.

Every kind of dirt has a status and leads to a score; reading never stops for it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from pacebench.errors import LogsError
from scoring import RunSelection, read_runs, score_runs
from tests.scoring.log_trees import (
    CLEAN,
    EVAL_FILE,
    LEFT_OUT,
    MISSED,
    OGBG,
    OGBG_BUDGET,
    SLOW,
    Place,
    add_studies,
    add_trial,
    check,
    clean_tree,
    csv_text,
    place,
    scandir_in_order,
    scored,
    to_target,
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Two clean submissions on one workload; gives the folder that holds them."""
    return clean_tree(tmp_path / "external_tuning")


def test_a_clean_tree_has_no_dirt(tree: Path) -> None:
    found = scored(tree)
    check(found, CLEAN)
    assert found.dirt == []
    assert found.set_aside == {}
    assert len(found.runs.trials) == 50
    assert set(found.runs.trials["framework"]) == {"jax"}
    assert set(found.runs.trials["budget"]) == {OGBG_BUDGET}
    assert found.runs.trials["hyperparameters"].iloc[0] == '{"learning_rate": 0.1}'


def test_an_empty_workload_folder_is_a_missing_study(tree: Path) -> None:
    workload = place().folder(tree).parent
    shutil.rmtree(workload)
    workload.mkdir()
    found = scored(tree)
    check(found, LEFT_OUT)
    assert found.dirt == [
        ("missing studies", "b on ogbg: 4 of 5", "counts as missed"),
        ("workload folder without trials", "b/study_0/ogbg_jax", "left out"),
    ]


def test_a_missing_study_is_a_miss_or_as_published_left_out(tree: Path) -> None:
    shutil.rmtree(place().folder(tree).parents[1])
    found = scored(tree)
    check(found, LEFT_OUT)
    assert found.dirt == [("missing studies", "b on ogbg: 4 of 5", "counts as missed")]


def test_stray_trial_folders_directly_under_a_study_are_left_out(tree: Path) -> None:
    stray = tree / "b" / "study_0" / "trial_1"
    stray.mkdir()
    (stray / "flags_0.json").write_text("{}")
    (stray / EVAL_FILE).write_text(csv_text(OGBG, to_target(OGBG, 2.0)))
    found = scored(tree)
    check(found, CLEAN)
    assert found.dirt == [("stray trial folder", "b/study_0/trial_1", "left out")]


def test_a_trial_without_evaluations_file_is_no_hit(tree: Path) -> None:
    (place().folder(tree) / EVAL_FILE).unlink()
    found = scored(tree)
    check(found, MISSED)
    assert found.dirt == [(f"no {EVAL_FILE}", "b/study_0/ogbg_jax/trial_1", "no hit")]


def test_a_study_whose_trials_all_lack_the_file_is_a_miss_or_as_published_left_out(
    tree: Path,
) -> None:
    for trial in range(1, 6):
        (place(trial=trial).folder(tree) / EVAL_FILE).unlink()
    found = scored(tree)
    check(found, LEFT_OUT)
    assert found.dirt == [
        (f"no {EVAL_FILE}", f"b/study_0/ogbg_jax/trial_{trial}", "no hit") for trial in range(1, 6)
    ]


def test_a_workload_without_any_evaluation_is_a_miss(tree: Path) -> None:
    for study in range(5):
        for trial in range(1, 6):
            (place(study, trial).folder(tree) / EVAL_FILE).unlink()
    check(scored(tree), (0.0, 0.0))


def test_a_missing_trial_is_a_try_less(tree: Path) -> None:
    shutil.rmtree(place(trial=5).folder(tree))
    found = scored(tree)
    check(found, CLEAN)
    assert found.dirt == [("missing trials", "b on ogbg: 24 of 25", "fewer tries")]
    shutil.rmtree(place(trial=1).folder(tree))
    found = scored(tree)
    check(found, MISSED)
    assert found.dirt == [("missing trials", "b on ogbg: 23 of 25", "fewer tries")]


def test_an_empty_folder_of_another_framework_is_left_out(tree: Path) -> None:
    for study in range(5):
        (tree / "b" / f"study_{study}" / "fastmri_pytorch").mkdir()
    found = scored(tree)
    check(found, CLEAN)
    assert set(found.runs.trials["workload"]) == {OGBG}
    assert found.dirt == [
        ("workload folder without trials", f"b/study_{study}/fastmri_pytorch", "left out")
        for study in range(5)
    ]


def test_trials_of_a_workload_in_a_second_framework_are_set_aside(tree: Path) -> None:
    for trial in (1, 2):
        add_trial(tree, place(trial=trial, framework="pytorch"), to_target(OGBG, 2.0))
    found = scored(tree)
    check(found, CLEAN)
    assert found.set_aside == {"trial in a second framework": 2}
    assert found.dirt == [("trial in a second framework", "b on ogbg: 2 trials", "left out")]


def test_extra_variants_that_are_not_scored_are_set_aside(tree: Path) -> None:
    # ogbg_gelu is a variant of the rules outside the draw; wmt_post_ln has folders without files.
    for study in range(3):
        add_trial(tree, place(study, workload="ogbg_gelu"), to_target("ogbg_gelu", 2.0))
    add_trial(tree, place(workload="wmt_post_ln"), None)
    found = scored(tree)
    check(found, CLEAN)
    assert found.set_aside == {"workload that is not scored": 4}
    assert found.dirt == [
        (f"no {EVAL_FILE}", "b/study_0/wmt_post_ln_jax/trial_1", "no hit"),
        ("workload that is not scored", "b on ogbg_gelu: 3 trials", "left out"),
        ("workload that is not scored", "b on wmt_post_ln: 1 trial", "left out"),
    ]


def test_a_workload_unknown_to_the_rules_is_left_out(tree: Path) -> None:
    folder = place(workload="finewebedu_lm").folder(tree)
    folder.mkdir(parents=True)
    (folder / EVAL_FILE).write_text("global_step,score,validation/ppl\n1,1,22\n")
    found = scored(tree)
    check(found, CLEAN)
    kind = "workload that rules algoperf-0.5 do not have"
    assert found.dirt == [(kind, "b/study_0/finewebedu_lm_jax/trial_1", "left out")]
    assert "finewebedu_lm" not in set(found.runs.trials["workload"])


def test_a_tree_of_unknown_workloads_only_is_refused_in_words(tmp_path: Path) -> None:
    folder = Place(submission="a", workload="finewebedu_lm").folder(tmp_path)
    folder.mkdir(parents=True)
    (folder / EVAL_FILE).write_text("global_step,score,validation/ppl\n1,1,22\n")
    with pytest.raises(LogsError):
        read_runs([tmp_path])


def test_a_submission_inside_a_submission_is_left_out_of_the_outer_one(tree: Path) -> None:
    shutil.copytree(tree / "b" / "study_0", tree / "b" / "old_b" / "study_0")
    found = scored(tree)
    assert found.exact["b"] == pytest.approx(CLEAN[0])
    assert ("submission inside a submission", "b/old_b", "left out") in found.dirt


def test_a_submission_inside_a_submission_that_is_called_left_out_does_not_compete(
    tree: Path,
) -> None:
    shutil.copytree(tree / "b" / "study_0", tree / "b" / "old_b" / "study_0")
    check(scored(tree), CLEAN)


def test_a_copy_of_a_submission_inside_it_does_not_stop_the_reading(tree: Path) -> None:
    shutil.copytree(tree / "b" / "study_0", tree / "b" / "backup" / "b" / "study_0")
    check(scored(tree), CLEAN)


@pytest.mark.parametrize(
    ("where", "kind"),
    [
        ("b/study_0/ogbg_jax/trial_1_old", "folder that is no trial"),
        ("b/study_0/ogbg_jax/notes", "folder that is no trial"),
        ("b/study_0/ogbg", "folder that is no workload"),
        ("b/study_0/ogbg_tensorflow", "folder that is no workload"),
        ("b/study_0_old", "folder that is no study"),
        ("b/__pycache__", "folder that is no study"),
    ],
)
def test_a_folder_with_another_name_is_left_out_whatever_is_in_it(
    tree: Path, where: str, kind: str
) -> None:
    inner = tree / where
    inner = inner if "trial" in where else inner / "trial_1"
    inner.mkdir(parents=True)
    (inner / EVAL_FILE).write_text(csv_text(OGBG, to_target(OGBG, 2.0)))
    found = scored(tree)
    check(found, CLEAN)
    assert found.dirt == [(kind, where, "left out")]


@pytest.mark.parametrize("where", ["b", "b/study_0"])
def test_loose_files_between_the_folders_are_left_out(tree: Path, where: str) -> None:
    (tree / where / "ogbg_jax_05-06-2024.log").write_text("log\n")
    found = scored(tree)
    check(found, CLEAN)
    assert found.dirt == [("loose file", f"{where}/ogbg_jax_05-06-2024.log", "left out")]


def test_logs_in_a_workload_folder_belong_there(tree: Path) -> None:
    (place().folder(tree).parent / "ogbg_jax_05-06-2024.log").write_text("log\n")
    assert scored(tree).dirt == []


def test_more_studies_than_planned_are_set_aside(tree: Path) -> None:
    for trial in (1, 2, 3):
        add_trial(tree, place(5, trial), to_target(OGBG, 2.0))
    found = scored(tree)
    check(found, CLEAN)
    assert found.set_aside == {"trial beyond the plan": 3}
    assert found.dirt == [("trial beyond the plan", "b on ogbg: 3 trials", "left out")]


def test_more_trials_than_planned_are_set_aside(tree: Path) -> None:
    add_trial(tree, place(trial=6), to_target(OGBG, 2.0))
    add_trial(tree, place(trial=17), to_target(OGBG, 2.0))
    found = scored(tree)
    check(found, CLEAN)
    assert found.set_aside == {"trial beyond the plan": 2}


def test_study_numbers_may_start_anywhere(tree: Path) -> None:
    # What counts is how many there are, so five studies with gaps are all of them.
    (tree / "b" / "study_0").rename(tree / "b" / "study_7")
    (tree / "b" / "study_3").rename(tree / "b" / "study_12")
    found = scored(tree)
    check(found, CLEAN)
    assert found.dirt == []


def test_a_study_inside_a_trial_folder_does_not_stop_the_reading(tree: Path) -> None:
    inner = place().folder(tree) / "study_0"
    shutil.copytree(tree / "a" / "study_0", inner)  # of another: a folder cannot hold itself
    check(scored(tree), CLEAN)


@pytest.mark.parametrize("part", ["b/study_0", "b/study_0/ogbg_jax/trial_1"])
def test_a_number_of_many_digits_does_not_stop_the_reading(tree: Path, part: str) -> None:
    path = tree / part
    path.rename(path.with_name(path.name.rpartition("_")[0] + "_99999999999999999999"))
    assert scored(tree).exact["a"] == 1.0


def test_links_to_folders_are_followed_or_passed_over_but_do_not_stop_the_reading(
    tree: Path,
) -> None:
    elsewhere = tree.parent / "kept"
    (tree / "b" / "study_0").rename(elsewhere)
    (tree / "b" / "study_0").symlink_to(elsewhere, target_is_directory=True)
    found = scored(tree)
    assert found.exact["b"] in (pytest.approx(CLEAN[0]), pytest.approx(MISSED[0]))


# Where the tree begins


@pytest.mark.parametrize("level", [".", "logs", "logs/external_tuning"])
def test_the_tree_is_found_from_any_level_above(tmp_path: Path, level: str) -> None:
    folder = tmp_path / "logs" / "external_tuning"
    add_studies(folder, "a", OGBG, [300.0] * 5)
    add_studies(folder, "b", OGBG, SLOW)
    check(scored(tmp_path / level), CLEAN)
    check(scored(folder / "a", folder / "b"), CLEAN)
    check(scored(folder, tmp_path, folder / "b"), CLEAN)


@pytest.mark.parametrize(
    ("part", "n_trials"),
    [("b", 25), ("b/study_3", 5), ("b/study_3/ogbg_jax", 5), ("b/study_3/ogbg_jax/trial_1", 1)],
)
def test_a_part_of_a_submission_is_read_with_its_name_and_study(
    tree: Path, part: str, n_trials: int
) -> None:
    trials = read_runs([tree / part]).trials
    assert len(trials) == n_trials
    assert set(trials["submission"]) == {"b"}
    assert 3 in set(trials["study"])


def test_a_submission_scored_alone_is_told_so(tree: Path) -> None:
    board = score_runs(read_runs([tree / "b"]))
    assert board.table["score"].tolist() == [1.0]
    assert [note for note in board.notes if note.startswith("only one submission")]


def test_dirt_is_told_also_below_a_folder_that_is_called_like_a_study(tmp_path: Path) -> None:
    logs = tmp_path / "study_7" / "logs"
    clean_tree(logs / "external_tuning")
    (logs / "external_tuning" / "b" / "x.log").write_text("")
    found = scored(logs)
    check(found, CLEAN)
    assert found.dirt == [("loose file", "b/x.log", "left out")]


def test_without_a_folder_name_hyperparameters_or_several_trials_mean_external(
    tmp_path: Path,
) -> None:
    tuned, many, lone = (Place(submission=name, workload=OGBG) for name in ("t", "m", "l"))
    add_trial(tmp_path / "tuned", tuned, to_target(OGBG, 300.0))
    add_trial(tmp_path / "many", many, to_target(OGBG, 300.0), is_tuned=False)
    second = Place(submission="m", workload=OGBG, study=1, trial=2)
    add_trial(tmp_path / "many", second, to_target(OGBG, 300.0), is_tuned=False)
    add_trial(tmp_path / "lone", lone, to_target(OGBG, 300.0), is_tuned=False)
    rulesets = {name: read_runs([tmp_path / name]).ruleset for name in ("tuned", "many", "lone")}
    assert rulesets == {"tuned": "external", "many": "external", "lone": "self"}


def test_a_folder_name_above_tells_the_ruleset_whatever_the_trials_hold(tmp_path: Path) -> None:
    tuned = Place(submission="t", workload=OGBG)
    add_trial(tmp_path / "self_tuning", tuned, to_target(OGBG, 300.0))
    assert read_runs([tmp_path / "self_tuning" / "t"]).ruleset == "self"
    add_trial(tmp_path / "external_tuning", tuned, to_target(OGBG, 300.0), is_tuned=False)
    with pytest.raises(LogsError, match="choose one with --ruleset"):
        read_runs([tmp_path])
    assert read_runs([tmp_path], RunSelection(ruleset="external")).ruleset == "external"


def test_the_same_trees_listed_in_another_order_are_the_same_runs(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / "b" / "x.log").write_text("")
    (tree / "b" / "study_0" / "trial_1").mkdir()
    there = read_runs([tree])
    monkeypatch.setattr(os, "scandir", scandir_in_order(seed=None))
    back = read_runs([tree])
    assert back.trials.equals(there.trials)
    assert back.rows.equals(there.rows)
    assert back.dirt.equals(there.dirt)
