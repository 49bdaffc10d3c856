"""Reading folders of runs: what is found, what is left out, and what is refused in which words."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from pacebench.algoperf_tree import find_trials
from pacebench.errors import LogsError, PacebenchError
from pacebench.rows import END_FILE, META_FILE, PLAN_FILE, ROWS_FILE, SITE_MARKER
from scoring import RunSelection, read_runs
from scoring.tables import ROW_COLUMNS, TRIAL_COLUMNS
from tests.scoring.run_folders import Left, add_trial, plan, write_trial


def test_tables_have_the_documented_columns_and_dtypes(tmp_path: Path) -> None:
    add_trial(tmp_path, [(1.0, 0.5), (2.0, math.nan)])
    runs = read_runs([tmp_path])
    for table, columns in ((runs.trials, TRIAL_COLUMNS), (runs.rows, ROW_COLUMNS)):
        assert list(table.columns) == list(columns)
        assert all(table[name].dtype == dtype for name, dtype in columns.items() if dtype != "str")
    assert runs.rows["step"].tolist() == [10, 20]
    assert runs.rows["validation"].tolist()[0] == 0.5
    assert math.isnan(runs.rows["validation"].tolist()[1])
    assert (runs.rules.version, runs.ruleset, runs.unit) == ("house", "external", "seconds")


def test_tables_keep_their_dtypes_without_any_evaluation(tmp_path: Path) -> None:
    add_trial(tmp_path, [], Left(reason=None, hardware_class=None))
    runs = read_runs([tmp_path])
    assert runs.rows.empty
    assert {name: str(dtype) for name, dtype in runs.rows.dtypes.items()} == ROW_COLUMNS
    assert runs.trials["reason"].tolist() == [""]


def test_runs_are_found_from_any_level_and_each_once(tmp_path: Path) -> None:
    one = add_trial(tmp_path, [(1.0, 0.5)], trial=1)
    add_trial(tmp_path, [(1.0, 0.5)], trial=2)
    assert len(read_runs([tmp_path]).trials) == 2
    assert len(read_runs([tmp_path / "house" / "external_tuning" / "adamw"]).trials) == 2
    assert len(read_runs([one]).trials) == 1
    assert len(read_runs([tmp_path, one, tmp_path]).trials) == 2


def test_order_of_paths_does_not_matter(tmp_path: Path) -> None:
    add_trial(tmp_path / "a", [(1.0, 0.5)], submission="b")
    add_trial(tmp_path / "b", [(2.0, 0.5)], submission="a")
    there = read_runs([tmp_path / "a", tmp_path / "b"])
    back = read_runs([tmp_path / "b", tmp_path / "a"])
    assert there.trials["submission"].tolist() == ["a", "b"]
    assert there.trials.equals(back.trials)
    assert there.rows.equals(back.rows)


def test_a_website_below_is_passed_over_but_can_be_read_itself(tmp_path: Path) -> None:
    add_trial(tmp_path, [(1.0, 0.5)])
    add_trial(tmp_path / "site" / "trials", [(1.0, 0.5)])
    (tmp_path / "site" / SITE_MARKER).write_text("")
    assert len(read_runs([tmp_path]).trials) == 1
    assert len(read_runs([tmp_path / "site"]).trials) == 1


def test_a_cut_off_last_line_is_left_out_and_marked(tmp_path: Path) -> None:
    add_trial(tmp_path, [(1.0, 0.5)], Left(cut_line='{"step": 20, "seco'))
    runs = read_runs([tmp_path])
    assert runs.trials["is_truncated"].tolist() == [True]
    assert len(runs.rows) == 1


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "[1]",
        '{"step": 1}',
        '{"step": 1, "metrics": {}}',
        '{"step": 1, "seconds": "x", "metrics": {}}',
        '{"step": 1, "seconds": 1, "metrics": [0]}',
        '{"step": 1, "seconds": Infinity, "metrics": {}}',
        '{"step": 1, "seconds": 1' + 400 * "0" + ', "metrics": {}}',
        '{"step": 1, "seconds": 1, "metrics": {"a": 1' + 400 * "0" + "}}",
        '{"step": 1' + 30 * "0" + ', "seconds": 1, "metrics": {}}',
        90_000 * "[",
    ],
    ids=lambda line: line[:40],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: str) -> None:
    folder = add_trial(tmp_path, [(1.0, 0.5)])
    with (folder / ROWS_FILE).open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(LogsError, match=r"rows\.jsonl, line 2, is not an evaluation"):
        read_runs([tmp_path])


@pytest.mark.parametrize("name", [END_FILE, META_FILE])
@pytest.mark.parametrize("text", ["{", "[]", 90_000 * "["], ids=lambda text: text[:5])
def test_a_damaged_json_file_is_named(tmp_path: Path, name: str, text: str) -> None:
    folder = add_trial(tmp_path, [(1.0, 0.5)])
    (folder / name).write_text(text)
    with pytest.raises(LogsError, match=name):
        read_runs([tmp_path])


def test_an_end_without_reason_is_refused(tmp_path: Path) -> None:
    folder = add_trial(tmp_path, [(1.0, 0.5)])
    (folder / END_FILE).write_text("{}")
    with pytest.raises(LogsError, match="names no reason"):
        read_runs([tmp_path])


def test_a_plan_of_another_version_is_refused(tmp_path: Path) -> None:
    folder = add_trial(tmp_path, [(1.0, 0.5)])
    raw = json.loads((folder / PLAN_FILE).read_text())
    (folder / PLAN_FILE).write_text(json.dumps({**raw, "schema_version": 99}))
    with pytest.raises(PacebenchError, match="99"):
        read_runs([tmp_path])


def test_an_absent_or_empty_folder_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(LogsError, match=r"no folder .*nowhere; give the folder"):
        read_runs([tmp_path / "nowhere"])
    with pytest.raises(LogsError, match=r"no trials in .*'pacebench run' writes them"):
        read_runs([tmp_path])


def test_mixed_rules_need_a_choice_and_are_listed(tmp_path: Path) -> None:
    add_trial(tmp_path, [(1.0, 0.5)], version="dev")
    add_trial(tmp_path, [(1.0, 0.5)], version="mini", trial=1)
    add_trial(tmp_path, [(1.0, 0.5)], version="mini", trial=2)
    with pytest.raises(LogsError, match=r"dev external \(1 trials\), mini external \(2 trials\)"):
        read_runs([tmp_path])
    assert len(read_runs([tmp_path], RunSelection(rules="mini")).trials) == 2
    with pytest.raises(LogsError, match=r"no trials under --rules other; there are: dev"):
        read_runs([tmp_path], RunSelection(rules="other"))


def test_mixed_rulesets_need_a_choice(tmp_path: Path) -> None:
    add_trial(tmp_path, [(1.0, 0.5)], ruleset="external")
    add_trial(tmp_path, [(1.0, 0.5)], ruleset="self")
    with pytest.raises(LogsError, match=r"choose one with --ruleset \(external or self\)"):
        read_runs([tmp_path])
    assert len(read_runs([tmp_path], RunSelection(ruleset="self")).trials) == 1


def test_mixed_clocks_are_refused(tmp_path: Path) -> None:
    add_trial(tmp_path, [(1.0, 0.5)])
    add_trial(tmp_path, [(1, 0.5)], submission="lion", clock="steps")
    with pytest.raises(LogsError, match="1 trials charged in seconds, 1 trials charged in steps"):
        read_runs([tmp_path])


def test_mixed_hardware_needs_permission_and_unstarted_trials_do_not_mix(tmp_path: Path) -> None:
    add_trial(tmp_path, [(1.0, 0.5)], trial=1)
    add_trial(tmp_path, [], Left(reason=None, hardware_class=None), trial=2)
    assert len(read_runs([tmp_path]).trials) == 2
    add_trial(tmp_path, [(1.0, 0.5)], Left(hardware_class="gpu"), trial=3)
    with pytest.raises(LogsError, match=r"\(1 on cpu-2, 1 on gpu\).*--allow-mixed-hardware"):
        read_runs([tmp_path])
    allowed = RunSelection(is_mixed_hardware_allowed=True)
    assert len(read_runs([tmp_path], allowed).trials) == 3


def test_the_same_trial_in_two_folders_is_refused(tmp_path: Path) -> None:
    add_trial(tmp_path / "a", [(1.0, 0.5)])
    add_trial(tmp_path / "b", [(1.0, 0.5)])
    with pytest.raises(LogsError, match="the same trial is there twice"):
        read_runs([tmp_path])


def test_of_a_workload_in_two_frameworks_the_one_with_more_trials_counts(tmp_path: Path) -> None:
    add_trial(tmp_path, [(1.0, 0.5)], framework="jax")
    for trial in (1, 2):
        add_trial(tmp_path, [(1.0, 0.5)], trial=trial, n_trials=2)
    runs = read_runs([tmp_path])
    aside = runs.trials.set_index("framework")["set_aside"]
    assert aside["jax"] == "trial in a second framework"
    assert aside["torch"].tolist() == ["", ""]
    found = runs.dirt[["kind", "where", "effect"]].to_numpy().tolist()
    assert ["trial in a second framework", "adamw on digits: 1 trial", "left out"] in found


def test_different_targets_on_a_workload_are_refused(tmp_path: Path) -> None:
    add_trial(tmp_path, [(1.0, 0.5)])
    add_trial(tmp_path, [(1.0, 0.5)], submission="lion", validation_target=0.8)
    with pytest.raises(LogsError, match=r"different targets \(accuracy 0\.8, accuracy 0\.9\)"):
        read_runs([tmp_path])


def test_the_plan_names_the_trial_whatever_its_folder_is_called(tmp_path: Path) -> None:
    write_trial(tmp_path / "trial_1", plan(submission="../../x"), [])
    assert read_runs([tmp_path]).trials["submission"].tolist() == ["../../x"]


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_own_runs_are_not_taken_for_logs_of_algoperf(framework: str, tmp_path: Path) -> None:
    folder = add_trial(tmp_path, [(1, 0.5), (2, 0.95)], framework=framework)
    tree = find_trials(tmp_path)
    assert tree.own_runs == [str(folder)]
    assert (tree.places, tree.dirt) == ([], [])
