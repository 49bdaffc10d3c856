"""The clock charges the work of steps, all of it and nothing else."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from pacebench.clock import Clock, Section
from pacebench.rows import Reason
from pacebench.trial import Progress, resume, run_trial
from tests.support import PLAN, FakeBackend, FakeTime, fake_trial, with_rules

STEP_SECONDS = 0.05


def run(folder: Path, **rules: object) -> tuple[FakeBackend, Progress, dict[str, float]]:
    """Run 100 steps of asynchronous work; gives the device, the progress and the sections."""
    backend = FakeBackend(time=FakeTime(), step_seconds=STEP_SECONDS)
    plan = with_rules(PLAN, **{"budget_seconds": 1e9, "max_steps": 100, **rules})
    trial = fake_trial(plan, backend, folder)
    progress = Progress()
    assert run_trial(trial, progress) is Reason.MAX_STEPS
    return backend, progress, trial.clock.sections()


@pytest.mark.parametrize("eval_period", [1e9, 1.0, 0.06], ids=["no evals", "some", "every step"])
def test_asynchronous_work_is_charged_in_full_with_and_without_evaluations(
    tmp_path: Path, eval_period: float
) -> None:
    _, progress, sections = run(tmp_path, eval_period_seconds=eval_period)
    assert sections["submission"] / 100 == pytest.approx(STEP_SECONDS, abs=0.002)
    assert progress.rows[-1].seconds == pytest.approx(sections["submission"])


def test_time_stops_during_evaluation(tmp_path: Path) -> None:
    _, progress, sections = run(tmp_path, eval_period_seconds=1.0)
    assert len(progress.rows) > 3
    assert sections["evaluation"] == pytest.approx(0.3 * len(progress.rows), rel=1e-6)


def test_sections_add_up_to_the_wall_time(tmp_path: Path) -> None:
    backend, _, sections = run(tmp_path)
    assert sum(sections.values()) == pytest.approx(backend.time() - 1000.0, abs=1e-9)


def test_compilation_in_the_first_step_is_charged(tmp_path: Path) -> None:
    backend = FakeBackend(time=FakeTime(), compile_seconds=7.0)
    trial = fake_trial(with_rules(PLAN, budget_seconds=1e9, max_steps=10), backend, tmp_path)
    run_trial(trial, Progress())
    cold = trial.clock.seconds(Section.SUBMISSION)
    assert cold == pytest.approx(7.0 + 10 * STEP_SECONDS, abs=0.02)


def test_set_up_is_not_charged_and_counts_from_the_launch(tmp_path: Path) -> None:
    time = FakeTime()
    clock = Clock(now=time, started_at=time() - 3.0)
    time.pass_by(2.0)
    clock.switch(Section.SUBMISSION)
    assert clock.sections() == {
        "set_up": 5.0,
        "submission": 0.0,
        "evaluation": 0.0,
        "logging": 0.0,
        "checkpoint": 0.0,
        "other": 0.0,
    }


def test_a_resumed_trial_is_charged_for_all_its_steps(tmp_path: Path) -> None:
    plan = with_rules(PLAN, budget_seconds=1e9, max_steps=100)
    first = FakeBackend(time=FakeTime())
    stops = iter([False] * 40 + [True])
    trial = dataclasses.replace(
        fake_trial(plan, first, tmp_path), is_interrupted=lambda: next(stops)
    )
    progress = Progress()
    assert run_trial(trial, progress) is None
    assert progress.step == 41

    second = FakeBackend(time=FakeTime())
    trial = fake_trial(plan, second, tmp_path)
    second.time.pass_by(60.0)  # set-up of the new process
    progress = resume(trial, trial.store.load_checkpoint())
    assert run_trial(trial, progress) is Reason.MAX_STEPS
    assert second.steps_made == 59
    assert trial.clock.seconds(Section.SUBMISSION) / 100 == pytest.approx(STEP_SECONDS, abs=0.002)


def test_two_jobs_at_once_are_each_charged_their_own_work(tmp_path: Path) -> None:
    """Two trials whose loops take turns in the same fake time, each on a device of its own."""
    time = FakeTime()
    backends = [FakeBackend(time=time), FakeBackend(time=time)]
    clocks = [Clock(now=time), Clock(now=time)]
    for clock, backend in zip(clocks, backends, strict=True):
        clock.device = backend
        clock.switch(Section.SUBMISSION)
    for step in range(1, 101):
        for backend in backends:
            backend.step(step)
    for clock in clocks:
        clock.switch(Section.EVALUATION)
    for clock in clocks:
        assert clock.seconds(Section.SUBMISSION) / 100 == pytest.approx(STEP_SECONDS, abs=0.002)


def test_the_charge_is_the_largest_of_all_ranks() -> None:
    time = FakeTime()

    class SlowerRank:
        def wait(self) -> None:
            """Return at once."""

        def max_over_ranks(self, value: float) -> float:
            return max(value, 9.0)

    clock = Clock(now=time)
    clock.device = SlowerRank()
    clock.switch(Section.SUBMISSION)
    time.pass_by(4.0)
    clock.switch(Section.EVALUATION)
    assert clock.seconds(Section.SUBMISSION) == 9.0


def test_a_clock_of_steps_writes_no_seconds(tmp_path: Path) -> None:
    backend = FakeBackend(time=FakeTime())
    plan = dataclasses.replace(with_rules(PLAN, max_steps=30), clock="steps")
    trial = fake_trial(plan, backend, tmp_path)
    run_trial(trial, Progress())
    # 100 steps stand for 10 s, so an evaluation follows every 10 steps
    assert [row.step for row in trial.store.rows()] == [1, 11, 21, 30]
    assert b"seconds" not in (tmp_path / "rows.jsonl").read_bytes()


def test_checkpoints_are_written_between_evaluations_too_and_not_charged(tmp_path: Path) -> None:
    plan = dataclasses.replace(PLAN, checkpoint_period_seconds=1.0)
    plan = with_rules(plan, budget_seconds=1e9, eval_period_seconds=1e9, max_steps=100)
    first = FakeBackend(time=FakeTime())
    stops = iter([False] * 70 + [True])

    def stop() -> bool:
        if next(stops):
            raise RuntimeError("pulled the plug")
        return False

    trial = dataclasses.replace(fake_trial(plan, first, tmp_path), is_interrupted=stop)
    with pytest.raises(RuntimeError):
        run_trial(trial, Progress())
    assert len(trial.store.rows()) == 1  # after step 1, so all checkpoints came after it

    second = FakeBackend(time=FakeTime())
    trial = fake_trial(plan, second, tmp_path)
    progress = resume(trial, trial.store.load_checkpoint())
    assert 51 <= progress.step <= 70  # a second of steps, or 20, were lost at the most
    step, seconds = progress.step, trial.clock.seconds(Section.SUBMISSION)
    assert seconds == pytest.approx(step * STEP_SECONDS, abs=0.2)  # waited for up to step 4 ahead
    assert run_trial(trial, progress) is Reason.MAX_STEPS
    assert second.steps_made == 100 - step
    assert trial.clock.seconds(Section.SUBMISSION) / 100 == pytest.approx(STEP_SECONDS, abs=0.002)


class SecondOfTwo(FakeBackend):
    """Rank 1, which does what rank 0 says: save after steps 3 and 5, end after step 6."""

    n_ranks = 2
    rank = 1

    def __init__(self) -> None:
        super().__init__(time=FakeTime(), n_ranks=2, rank=1)
        evaluate, save, go_on = "evaluate", "save", "continue"
        self.said = iter(
            [evaluate, False, go_on, save, None, go_on, save, None, evaluate, None, "nothing more"]
        )

    def agree(self, value: object) -> object:
        """Take rank 0's word."""
        assert value is None
        return next(self.said)


def test_ranks_save_when_rank_0_says_so_and_wait_until_it_has_written(tmp_path: Path) -> None:
    plan = with_rules(PLAN, budget_seconds=1e9, max_steps=6)
    backend = SecondOfTwo()
    assert run_trial(fake_trial(plan, backend, tmp_path), Progress()) is Reason.MAX_STEPS
    assert list(backend.said) == ["nothing more"]
    assert not (tmp_path / "checkpoint").exists()  # rank 0 writes
