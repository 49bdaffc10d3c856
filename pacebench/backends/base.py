"""What the loop asks of a framework, and what a submission sees of a trial."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from pacebench import schedules
from pacebench.batch_scaling import BASE_LEARNING_RATE
from pacebench.errors import SubmissionError, unknown_name
from pacebench.plan import TrialPlan
from pacebench.seeds import Seed
from pacebench.spec import (
    Advance,
    Batch,
    Decoding,
    EvalOutputs,
    LossValue,
    Mode,
    ParameterKind,
    Workload,
)

ACCUMULATION_STEPS = "accumulation_steps"
RESERVED_HYPERPARAMETERS = (
    "dropout_rate",
    "label_smoothing",
    "grad_clip",
    ACCUMULATION_STEPS,
    BASE_LEARNING_RATE,
)
"""Applied by the backend for level-1 submissions, or a record of what was applied when the plan was
drawn; never handed to a library's optimizer."""
SCHEDULE_HYPERPARAMETERS = ("schedule", "warmup_factor")
"""Applied by the backend for a library's optimizer (`pacebench.schedules`)."""
RUN_AHEAD_STEPS = 4
"""Steps that may be queued on the device before the loop waits for the oldest; jax, which looks at
the queue once in so many steps, may queue twice as many."""


class NotResumableError(SubmissionError):
    """A submission's state that cannot be written to a checkpoint."""


class Hyperparameters(Mapping[str, Any]):
    """The hyperparameters of a trial, by key or by attribute; empty under self-tuning rules."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> Any:
        """Give a value; raises KeyError."""
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        """Go through the names."""
        return iter(self._values)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._values)

    def __getattr__(self, name: str) -> Any:
        """Give a value; raises AttributeError that says which hyperparameters there are."""
        try:
            return self.__dict__["_values"][name]
        except KeyError:
            known = self.__dict__.get("_values", {})
            raise AttributeError(str(unknown_name("hyperparameter", name, known))) from None


class Parameter(NamedTuple):
    """One parameter of a model, as level-1 submissions receive it."""

    value: Any
    """torch.nn.Parameter or jax.Array, float32."""
    kind: ParameterKind
    is_output: bool
    """Whether it belongs to the model's output layer."""


@dataclass(kw_only=True)
class Run:
    """What a submission sees of its trial; the same names in torch and jax.

    The fields are to be read; `step` counts from 1 and is set before every step.
    """

    workload: str
    framework: str
    hparams: Hyperparameters
    seed: Seed
    step_hint: int
    """Steps the reference makes in its budget; schedules are drawn to it."""
    batch_size: int
    """The global batch size."""
    device: Any
    rank: int
    n_ranks: int
    n_devices: int
    parameters: Mapping[str, Parameter]
    """Parameters by name ("layer.weight" in torch, "layer/kernel" in jax), in the model's order."""
    params: Any
    """torch: the same as a dict name -> torch.nn.Parameter; jax: the initial pytree."""
    kinds: Any
    """ParameterKind of every parameter, shaped like `params`."""
    model: Any
    """torch: the module; jax: the flax module."""
    model_state: Any
    """jax: the initial state that is no parameter (batch norm's averages); None in torch."""
    forward: Callable[..., Any]
    """torch: forward(batch, *, train=True, dropout_rate=None, normalize_with=None,
    update_running=None) -> outputs. jax: forward(params, model_state, batch, *, key, …the same)
    -> (outputs, model_state). Batch norm defaults to the batch and updating in training, to the
    running averages and not updating otherwise."""
    loss: Callable[..., LossValue]
    """loss(outputs, batch, label_smoothing=0.0) over this rank's examples."""
    all_reduce: Callable[[Any], Any]
    """The sum of a tensor over all ranks (itself with one rank)."""
    log: Callable[[Mapping[str, float]], None]
    """Writes numbers of this step to metrics.jsonl; reading them off the device costs time."""
    seconds_used: Callable[[], float]
    """Submission seconds charged so far (under a clock of steps: what the steps stand for)."""
    seconds_left: Callable[[], float]
    evaluations: list[tuple[int, dict[str, float]]] = field(default_factory=list)
    """(step, {"train/…", "validation/…": value}) of all evaluations so far; test stays hidden."""
    step: int = 0

    def key(self) -> Any:
        """jax: the random key of this step. torch seeds its generators itself: None."""
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Algorithm:
    """A level-2 submission: functions over a state of its own."""

    init: Callable[[Run], Any]
    step: Callable[[Run, Any, Iterator[Batch]], Any]
    prepare_eval: Callable[[Run, Any], Any] | None = None
    save: Callable[[Run, Any], Any] | None = None
    """save(run, state) -> tree of plain values and numpy arrays."""
    restore: Callable[[Run, Any, Any], Any] | None = None
    """restore(run, fresh_state, tree) -> state."""
    shown: Callable[[], list[tuple[int, Any]]] | None = None
    """The evaluations as a foreign submission sees them, where those are not run.evaluations."""


def algorithm_of(candidate: Any, where: str) -> Algorithm:
    """Give the Algorithm that a module, class instance or namespace holds.

    Raises SubmissionError that names `where` and what is missing.
    """
    missing = [n for n in ("init", "step") if not callable(getattr(candidate, n, None))]
    if missing:
        raise SubmissionError(
            f"{where} has no function {' and no '.join(missing)}; a level-2 submission needs "
            "init(run) -> state and step(run, state, batches) -> state"
        )
    if (getattr(candidate, "save", None) is None) != (getattr(candidate, "restore", None) is None):
        raise SubmissionError(f"{where} must have both save and restore, or neither")
    optional = ("prepare_eval", "save", "restore")
    return Algorithm(
        init=candidate.init,
        step=candidate.step,
        **{name: getattr(candidate, name, None) for name in optional},
    )


class PositionedBatches(Protocol):
    """Endless batches that can be taken up at any position."""

    position: int
    """How many batches were handed out."""

    def __iter__(self) -> Iterator[Batch]:
        """Go through the batches."""
        ...

    def __next__(self) -> Batch:
        """Give the next batch."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Binding:
    """What a backend needs to set a trial up."""

    plan: TrialPlan
    workload: Workload
    make_algorithm: Callable[[], Algorithm]
    """Imports the submission and gives it as a level-2 algorithm of the framework."""
    example: Batch
    """A batch of `eval_batch_size` or fewer examples in numpy, for shapes."""
    open_batches: Callable[[int, int], PositionedBatches]
    """open_batches(rank, n_ranks): this rank's slices of the global batches, in numpy."""
    log: Callable[[int, Mapping[str, float]], None]
    charged_seconds: Callable[[int], float]
    rank: int


class Backend(Protocol):
    """One framework, bound to one trial."""

    rank: int
    n_ranks: int
    run: Run

    def step(self, step: int) -> bool:
        """Let the submission make step number `step`; gives True when it says it has finished."""
        ...

    def prepare_eval(self) -> None:
        """Let the submission change its state for the coming evaluation."""
        ...

    def eval_batch(self, batch: Batch) -> tuple[Any, LossValue]:
        """Give outputs and loss of a numpy batch, in numpy; leaves the training state alone."""
        ...

    def open_decoding(self, batch: Batch, decoding: Decoding) -> Advance:
        """Encode a numpy batch and give the function that lets the model write, token by token.

        What is large stays on the device. For workloads with a `decoding` only.
        """
        ...

    def wait(self) -> None:
        """Return when all queued work is done, on every rank."""
        ...

    def max_over_ranks(self, value: float) -> float:
        """Give the largest value of all ranks to every rank."""
        ...

    def agree(self, value: Any) -> Any:
        """Give rank 0's value (plain Python) to every rank."""
        ...

    def gather(self, value: Any) -> list[Any]:
        """Give the values of all ranks (plain Python and numpy), in order of rank."""
        ...

    def save_state(self) -> Any:
        """Give the training state as a tree for a checkpoint; raises NotResumableError."""
        ...

    def load_state(self, tree: Any) -> None:
        """Take up a state that `save_state` gave."""
        ...

    def is_out_of_memory(self, error: BaseException) -> bool:
        """Whether an error of the framework means that memory ran out."""
        ...

    def environment(self) -> dict[str, Any]:
        """Describe framework versions and devices in plain JSON values."""
        ...

    def close(self) -> None:
        """Let go of the devices and the other ranks."""
        ...


def shared_fields(binding: Binding, current_step: Callable[[], int]) -> dict[str, Any]:
    """Give the fields of a Run that do not depend on the framework's arrays."""
    plan = binding.plan

    def seconds_used() -> float:
        return binding.charged_seconds(current_step())

    return {
        "workload": binding.workload.name,
        "framework": plan.framework,
        "hparams": Hyperparameters(plan.hyperparameters),
        "seed": Seed(plan.seed).child("submission"),
        "step_hint": plan.rules.step_hint,
        "batch_size": plan.batch_size,
        "rank": binding.rank,
        "n_devices": plan.n_devices,
        "log": lambda metrics: binding.log(current_step(), metrics),
        "seconds_used": seconds_used,
        "seconds_left": lambda: plan.rules.budget_seconds - seconds_used(),
    }


def model_mode(
    train: bool,
    dropout_rate: float | None,
    normalize_with: Literal["batch", "running"] | None,
    update_running: bool | None,
) -> Mode:
    """Give the mode of a model call; batch norm follows `train` where nothing else is said."""
    return Mode(
        train=train,
        dropout_rate=dropout_rate,
        normalize_with=normalize_with or ("batch" if train else "running"),
        update_running=train if update_running is None else update_running,
    )


def kept_outputs(outputs: Any, kept: EvalOutputs) -> Any:
    """Give what evaluation brings from the device: outputs in the framework's arrays, or None."""
    if kept is EvalOutputs.ALL:
        return outputs
    if kept is EvalOutputs.NOTHING:
        return None
    if isinstance(outputs, tuple):
        return outputs[0].argmax(-1), *outputs[1:]
    return outputs.argmax(-1)


def parameter_view(
    values: Mapping[str, Any], kind_of: Callable[[str], ParameterKind], outputs: tuple[str, ...]
) -> dict[str, Parameter]:
    """Give the parameters by name with their kinds and whether they are of the output layer."""
    return {n: Parameter(v, kind_of(n), n in outputs) for n, v in values.items()}


def n_parts_of(hparams: Mapping[str, Any]) -> int:
    """Give the number of parts whose gradients make a step's (`accumulation_steps`, or 1).

    Raises SubmissionError if it is no positive integer.
    """
    n_parts = hparams.get(ACCUMULATION_STEPS, 1)
    if isinstance(n_parts, bool) or not isinstance(n_parts, int) or n_parts < 1:
        raise SubmissionError(f"{ACCUMULATION_STEPS} is {n_parts!r}; it must be a positive integer")
    return n_parts


def check_parts(n_rows: int, n_parts: int) -> None:
    """Raise SubmissionError unless `n_rows` of a batch divide into equal parts."""
    if n_rows % n_parts:
        raise SubmissionError(
            f"{ACCUMULATION_STEPS} is {n_parts}, which does not divide the {n_rows} rows of a "
            "batch (examples, or shards of graphs; in torch those of one device); choose a "
            f"divisor of {n_rows}"
        )


def library_hyperparameters(hparams: Mapping[str, Any]) -> dict[str, Any]:
    """Give the hyperparameters that a library's optimizer receives: all but the reserved ones."""
    reserved = (*RESERVED_HYPERPARAMETERS, *SCHEDULE_HYPERPARAMETERS)
    return {k: v for k, v in hparams.items() if k not in reserved}


def library_schedule(hparams: Mapping[str, Any], step_hint: int, default: str) -> Any:
    """Give the factors of a library optimizer's learning rate; raises UnknownNameError."""
    return schedules.table(
        hparams.get("schedule", default),
        step_hint,
        hparams.get("warmup_factor", schedules.WARMUP_FACTOR),
    )
