"""What in a table of trials is not as a full plan has it, and which trials do not count for it.

Nothing here stops a score: every case becomes a status of its trials and a row of the table of
dirt, which `pacebench score` prints and `--strict` refuses.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from scoring.score_rules import Columns, ScoreRules, columns_of

NOT_SCORED = "workload that is not scored"
OTHER_FRAMEWORK = "trial in a second framework"
BEYOND_PLAN = "trial beyond the plan"
NO_EFFECT = "no effect"
"""The effect of what cannot change a score; all else is refused by `--strict`."""
_COUNTS_AS_MISSED = "counts as missed"
_CELL = ["submission", "workload"]


def scored_columns(trials: pd.DataFrame, rules: ScoreRules) -> Columns:
    """Give the workloads that decide the score of these trials."""
    return columns_of(set(trials["workload"].unique()), rules)


def with_set_aside(trials: pd.DataFrame, rules: ScoreRules) -> pd.DataFrame:
    """Give the trials with `set_aside` filled in: why a trial does not count, or empty.

    Of a workload in two frameworks those of the framework count in which the submission has more
    evaluated trials (of equals the first by name); of more studies or trials than planned those
    with the lowest numbers.
    """
    reason = pd.Series("", index=trials.index, dtype="object")
    columns = scored_columns(trials, rules)
    reason[~trials["workload"].isin(columns.names)] = NOT_SCORED
    reason[(reason == "") & _is_second_framework(trials)] = OTHER_FRAMEWORK
    left = trials[reason == ""]
    is_beyond = number_in(left, _CELL, "study") >= left["n_studies"]
    is_beyond |= number_in(left, [*_CELL, "study"], "trial") >= left["n_trials"]
    reason[left.index[is_beyond]] = BEYOND_PLAN
    return trials.assign(set_aside=reason.astype("str"))


def _is_second_framework(trials: pd.DataFrame) -> pd.Series[bool]:
    n_frameworks = trials.groupby(_CELL)["framework"].transform("nunique")
    if not (n_frameworks > 1).any():
        return n_frameworks > 1
    evaluated = trials[trials["n_rows"] > 0].groupby(["submission", "framework"]).size()
    count = evaluated.reset_index(name="n").sort_values(
        ["submission", "n", "framework"], ascending=[True, False, True]
    )
    main = count.drop_duplicates("submission").set_index("submission")["framework"]
    main_of = trials["submission"].map(main).fillna(trials["framework"].min())
    return (n_frameworks > 1) & (trials["framework"] != main_of)


def number_in(trials: pd.DataFrame, group: list[str], name: str) -> pd.Series[int]:
    """Give for each trial the place of its `name` among the different ones in its group, from 0."""
    return trials.groupby(group)[name].rank(method="dense").astype("int64") - 1


def dirt_in(
    trials: pd.DataFrame, rows: pd.DataFrame, rules: ScoreRules
) -> Iterator[dict[str, str]]:
    """Give records of `scoring.tables.DIRT_COLUMNS` for what the tables themselves show."""
    aside = trials[trials["set_aside"] != ""].groupby(["set_aside", *_CELL]).size()
    for reason, submission, workload, n in aside.reset_index().itertuples(index=False):
        yield _dirt(reason, submission, workload, _trials(n), "left out")
    counting = trials[trials["set_aside"] == ""]
    yield from _missing(counting, rules)
    frameworks = counting.groupby("submission")["framework"].unique()
    for submission, names in frameworks.items():
        if len(names) > 1:
            where = f"{submission}: {', '.join(sorted(names))}"
            yield {
                "kind": "workloads in several frameworks",
                "submission": str(submission),
                "where": where,
                "effect": NO_EFFECT,
            }
    yield from _late(counting, rows)


def _missing(trials: pd.DataFrame, rules: ScoreRules) -> Iterator[dict[str, str]]:
    facts = trials.groupby(_CELL).agg(
        n=("trial", "size"),
        n_studies=("study", "nunique"),
        planned_studies=("n_studies", "max"),
        planned_trials=("n_trials", "max"),
    )
    there = dict(zip(facts.index, facts.itertuples(index=False, name=None), strict=True))
    names = scored_columns(trials, rules).names
    for submission in sorted(trials["submission"].unique()):
        for workload in names:
            cell = (submission, workload)
            if cell not in there:
                yield _dirt("no trial", *cell, "", _COUNTS_AS_MISSED)
                continue
            n, n_studies, planned_studies, planned_trials = there[cell]
            if n_studies < planned_studies:
                detail = f"{n_studies} of {planned_studies}"
                yield _dirt("missing studies", *cell, detail, _COUNTS_AS_MISSED)
            if n < n_studies * planned_trials:
                detail = f"{n} of {n_studies * planned_trials}"
                yield _dirt("missing trials", *cell, detail, "fewer tries")


def _late(trials: pd.DataFrame, rows: pd.DataFrame) -> Iterator[dict[str, str]]:
    """Give the evaluations after the budget; they matter where they alone met the target."""
    place = trials.index.get_indexer(pd.Index(rows["trial_id"]))
    counts = place >= 0
    budget = trials["budget"].to_numpy()[place]
    is_late = counts & (rows["time"].to_numpy() > budget)
    if not is_late.any():
        return
    sign = np.where(trials["larger_is_better"].to_numpy(dtype=bool), 1.0, -1.0)[place]
    is_met = sign * rows["validation"].to_numpy() >= sign * trials["target"].to_numpy()[place]
    late = pd.Series(False, index=trials.index)
    late.iloc[place[is_late & is_met]] = True
    late.iloc[place[counts & ~is_late & is_met]] = False
    rest = pd.Series(False, index=trials.index)
    rest.iloc[place[is_late]] = True
    kinds = (
        ("target reached after the budget", late, "does not count"),
        ("evaluations after the budget", rest & ~late, NO_EFFECT),
    )
    for kind, is_there, effect in kinds:
        n_in = trials[is_there].groupby(_CELL).size().reset_index()
        for submission, workload, n in n_in.itertuples(index=False):
            yield _dirt(kind, submission, workload, _trials(n), effect)


def _dirt(kind: str, submission: str, workload: str, detail: str, effect: str) -> dict[str, str]:
    where = f"{submission} on {workload}" + (f": {detail}" if detail else "")
    return {"kind": kind, "submission": submission, "where": where, "effect": effect}


def _trials(n: int) -> str:
    return f"{n} trial{'' if n == 1 else 's'}"
