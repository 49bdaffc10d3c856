"""What a submission may read of its trial: evaluations, train state, and a place to log numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pacebench.backends.base import Run


class History:
    """AlgoPerf's `eval_results`: one list for the whole trial, brought up to date on demand.

    Its times are submission seconds. Test metrics stay hidden, as from every submission here.
    """

    def __init__(self, run: Run, sizes: Mapping[str, int]) -> None:
        self.eval_results: list[tuple[int, dict[str, float]]] = []
        self.seconds_at: dict[int, float] = {}
        """Submission seconds at each evaluation, by step; saved in checkpoints."""
        self._run = run
        self._n_validation = sizes["validation"]

    def note_evaluation(self) -> None:
        """Remember the time used: an evaluation follows."""
        self.seconds_at[self._run.step] = self._run.seconds_used()

    def update(self) -> list[tuple[int, dict[str, float]]]:
        """Add the evaluations that have been made since; gives the list."""
        for step, metrics in self._run.evaluations[len(self.eval_results) :]:
            seconds = self.seconds_at.get(step, 0.0)
            row = {
                **metrics,
                "validation/num_examples": self._n_validation,
                "score": seconds,
                "total_duration": seconds,
                "accumulated_submission_time": seconds,
                "accumulated_eval_time": 0.0,
                "accumulated_logging_time": 0.0,
                "global_step": step,
                "preemption_count": 0,
            }
            self.eval_results.append((step, row))
        return self.eval_results


class TrainState(Mapping[str, Any]):
    """AlgoPerf's `train_state`: read-only, and always as of now. Its times are submission seconds.

    `test_goal_reached` is always False, since test results stay hidden.
    """

    def __init__(self, run: Run, history: History, workload: Any) -> None:
        self._run = run
        self._history = history
        self._workload = workload
        self._values = {
            "validation_goal_reached": self._has_reached_validation_goal,
            "test_goal_reached": lambda: False,
            "is_time_remaining": lambda: run.seconds_left() > 0,
            "last_eval_time": lambda: max(history.seconds_at.values(), default=0.0),
            "training_complete": lambda: False,
            "accumulated_submission_time": run.seconds_used,
            "accumulated_eval_time": lambda: 0.0,
            "accumulated_logging_time": lambda: 0.0,
            "last_step_end_time": run.seconds_used,
        }

    def __getitem__(self, name: str) -> Any:
        """Give the value as of now."""
        return self._values[name]()

    def __iter__(self) -> Iterator[str]:
        """Go through the names."""
        return iter(self._values)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._values)

    def _has_reached_validation_goal(self) -> bool:
        rows = self._history.update()
        return any(self._workload.has_reached_validation_target(row) for _, row in rows)


class MetricsLogger:
    """AlgoPerf's `metrics_logger`: numbers of a step, written with pacebench's own step."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def append_scalar_metrics(
        self,
        metrics: Mapping[str, Any],
        global_step: int,  # noqa: ARG002 (0-based there; the row has the step as in rows.jsonl)
        preemption_count: int | None = None,  # noqa: ARG002
        is_eval: bool = False,  # noqa: ARG002
    ) -> None:
        """Write numbers, Python's or arrays of one element; reading a device's costs time."""
        self._run.log({name: _number(value) for name, value in metrics.items()})


def _number(value: Any) -> float:
    item = getattr(value, "item", None)  # numpy's, torch's and jax's arrays, without their import
    return float(value if item is None else item())
