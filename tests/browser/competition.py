"""A small competition on disk: misses, gaps, ties, a gate, and names that try to break a page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from scoring import Runs, read_runs
from scoring.score_rules import ScoreRules
from tests.scoring.run_folders import Left, evaluation, plan, write_trial

SCRIPT = "</script><script>document.title = 'broken'</script>"
MARKUP = "<img src=x onerror=\"document.title='broken'\">"
HOSTILE = (
    SCRIPT,
    "__proto__",
    "constructor",
    "../../x",
    "\u2028line\u202eright",
    "\ud800",
    "n" * 10_000,
)
"""Submissions of which each misses something."""
PLAIN = ("swift", "steady", "twin", "sparse", "idle")
WORKLOADS = ("digits", "digits_wide", MARKUP, "__proto__")
"""digits_wide is the gate of digits."""
N_STUDIES, N_TRIALS = 3, 2

# By submission the seconds to the target on each of WORKLOADS; None never reaches it. The first
# study is a second faster and the last one a second slower; the second trial takes twice as long.
# On the gate sparse takes exactly 4 times as long as the best and passes, __proto__ just does not.
SECONDS: dict[str, tuple[float | None, ...]] = {
    "swift": (10.0, 20.0, 30.0, None),
    "steady": (20.0, 21.0, 20.0, 20.0),
    "twin": (20.0, 21.0, 20.0, 20.0),
    "sparse": (15.0, 80.0, 25.0, 30.0),
    "__proto__": (26.0, 81.0, None, 40.0),
    "idle": (None, None, None, None),
}


def read_competition(folder: Path) -> Runs:
    """Write the competition into an empty folder and read it."""
    names = (*PLAIN, *HOSTILE)
    for s, name in enumerate(names):
        times = SECONDS.get(name, (25.0 + s, 30.0, None if s % 2 else 28.0 + s, 40.0))
        for w, seconds in enumerate(times):
            for study in range(N_STUDIES):
                if (name, study) == ("sparse", 2) and w > 1:
                    continue
                for trial in range(1, N_TRIALS + 1 if name in PLAIN else 2):
                    place = {"study": study, "trial": trial}
                    _write(folder / f"{s}_{w}_{study}_{trial}", name, w, seconds, place)
    runs = read_runs([folder])
    rules = ScoreRules(
        version=runs.rules.version,
        base_workloads=tuple(w for w in WORKLOADS if w != "digits_wide"),
        held_out={"digits_wide": "digits"},
        n_studies=N_STUDIES,
        n_trials=N_TRIALS,
    )
    return replace(runs, rules=rules)


def _write(folder: Path, name: str, w: int, seconds: float | None, place: dict[str, int]) -> None:
    hit = None if seconds is None else (seconds + place["study"] - 1) * place["trial"]
    values = [(1.0, 0.3), (8.0, 0.87)]
    if hit is not None:
        values += [(hit - 0.5, 0.89), (hit, 0.9)]
    trial_plan = plan(
        submission=name,
        workload=WORKLOADS[w],
        n_studies=N_STUDIES,
        n_trials=N_TRIALS,
        authors=(MARKUP,),
        description=f"{SCRIPT} described",
        hyperparameters={"learning_rate": 0.1, MARKUP: SCRIPT},
        **place,
    )
    rows = [evaluation(int(10 * time) + w, time, value) for time, value in values]
    reason = "target" if hit is not None and hit <= 100 else "budget"
    write_trial(folder, trial_plan, rows, Left(reason=reason, message=MARKUP if w else ""))
