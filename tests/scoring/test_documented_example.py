"""The example of docs/scoring.md gives what the page says, by both methods."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from scoring import EXACT, PUBLISHED, Method, ScoreRules, read_runs, score_runs
from tests.scoring.study_folders import add_studies
from tests.support import REPOSITORY

STUDIES: dict[str, dict[str, list[float | None]]] = {
    "A": {"w1": [20, 30, 40], "w2": [50, 50, 60], "v": [40, 40, 40]},
    "B": {"w1": [60, 45, None], "w2": [25, 25, 30], "v": [200, 200, 200]},
    "C": {"w1": [30], "w2": [75, 80, 90], "v": [50, 50, 50]},
}
RULES = ScoreRules(
    version="example", base_workloads=("w1", "w2"), held_out={"v": "w2"}, n_studies=3, n_trials=1
)


@pytest.mark.parametrize(
    ("method", "wanted"),
    [
        (EXACT, {"A": 0.8333, "B": 0.3333, "C": 0.1333}),
        (PUBLISHED, {"A": 1.0000, "B": 0.3359, "C": 0.9015}),
    ],
)
def test_the_example_gives_the_scores_that_the_page_works_out(
    method: Method, wanted: dict[str, float], tmp_path: Path
) -> None:
    for submission, workloads in STUDIES.items():
        for workload, seconds in workloads.items():
            studies = [[time] for time in seconds]
            add_studies(tmp_path, submission, workload, studies, n_studies=3, budget_seconds=1000.0)
    runs = replace(read_runs([tmp_path]), rules=RULES)
    table = score_runs(runs, method=method).table.set_index("submission")
    assert {name: round(score, 4) for name, score in table["score"].items()} == wanted
    page = (REPOSITORY / "docs/scoring.md").read_text()
    for name, score in wanted.items():
        assert re.search(rf"\| {name} \|.*\*\*{score:.4f}\*\*|{name} {score:.4f}", page)
