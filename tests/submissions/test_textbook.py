"""What the textbook's optimizers do, against slow references from the papers."""

from __future__ import annotations

import builtins
import importlib
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pacebench import schedules
from pacebench.backends.base import Hyperparameters, Parameter
from pacebench.spec import ParameterKind
from tests.submissions import textbook_references as references

Array = NDArray[np.float64]
N_STEPS = 13  # SOAP turns its bases after 10
STEP_HINT = 15
RNG = np.random.default_rng(0)
START = {"matrix": RNG.normal(size=(4, 3)), "vector": RNG.normal(size=3)}
GRADIENTS = [{n: RNG.normal(size=x.shape) for n, x in START.items()} for _ in range(N_STEPS)]
KINDS = {"matrix": ParameterKind.WEIGHT, "vector": ParameterKind.BIAS}


def made(name: str, framework: str, parameters: Mapping[str, Any], point: Any) -> Any:
    """What `make` of a built-in gives."""
    module = importlib.import_module(f"submissions.{name}.{name}_{framework}")
    return module.make(parameters, point, SimpleNamespace(step_hint=STEP_HINT))


def torch_end(
    name: str,
    point: Any,
    start: Mapping[str, Array] = START,
    gradients: Sequence[Mapping[str, Array]] = GRADIENTS,
    kinds: Mapping[str, ParameterKind] = KINDS,
    outputs: Sequence[str] = (),
) -> tuple[dict[str, Array], Any]:
    """The parameters after a step from each of the gradients, and the optimizer."""
    values = {n: torch.nn.Parameter(torch.from_numpy(x).float()) for n, x in start.items()}
    parameters = {n: Parameter(v, kinds[n], n in outputs) for n, v in values.items()}
    optimizer, schedule = made(name, "torch", parameters, point)
    for step in gradients:
        for n, gradient in step.items():
            values[n].grad = torch.from_numpy(gradient).float()
        optimizer.step()
        schedule.step()
    return {n: v.detach().numpy() for n, v in values.items()}, optimizer


def jax_end(name: str, point: Any) -> dict[str, Array]:
    """The parameters after a step from each of the gradients."""
    import jax
    import optax

    values: Any = {n: jax.numpy.asarray(x, "float32") for n, x in START.items()}
    optimizer = made(name, "jax", {}, point)

    @jax.jit
    def step(values: Any, state: Any, gradients: Any) -> Any:
        updates, state = optimizer.update(gradients, state, values)
        return optax.apply_updates(values, updates), state

    state = optimizer.init(values)
    for gradients in GRADIENTS:
        values, state = step(values, state, gradients)
    return {n: np.asarray(v) for n, v in values.items()}


def rates(schedule: str, point: Any, peak: float | None = None) -> list[float]:
    factors = schedules.table(schedule, STEP_HINT, point.get("warmup_factor", 0.0))
    return [(peak or point.get("learning_rate", 1.0)) * float(f) for f in factors[:N_STEPS]]


def expected(reference: references.Reference, schedule: str, point: Any) -> dict[str, Array]:
    """What a reference gives for each tensor by itself."""
    return {
        n: reference(point, rates(schedule, point), x, [g[n] for g in GRADIENTS])
        for n, x in START.items()
    }


POINT = {"learning_rate": 0.1, "one_minus_beta1": 0.2, "weight_decay": 0.3, "warmup_factor": 0.2}


@pytest.mark.parametrize(
    ("name", "schedule", "changes"),
    [
        ("lion", "cosine", {}),
        ("ademamix", "cosine", {"alpha": 4.0, "step_hint": STEP_HINT}),
        ("adafactor", "cosine", {"learning_rate": 1.0}),  # 1/√t is less
        ("adafactor", "cosine", {}),
        ("soap", "cosine", {"max_dimension": 4}),
        ("shampoo", "constant", {"max_dimension": 4}),
        ("shampoo", "constant", {"max_dimension": 3}),
        ("adam", "cosine", {}),
        ("adam_8bit", "cosine", {}),  # small tensors keep 32 bits
    ],
)
def test_the_steps_in_torch_are_the_papers(
    name: str, schedule: str, changes: dict[str, Any]
) -> None:
    point = Hyperparameters({**POINT, **changes})
    reference = getattr(references, name.removesuffix("_8bit"))
    ends, _ = torch_end(name, point)
    for n, x in expected(reference, schedule, point).items():
        np.testing.assert_allclose(ends[n], x, rtol=2e-4, atol=2e-5)


def test_the_steps_of_lamb_are_the_papers() -> None:
    point = Hyperparameters(POINT)
    ends = jax_end("lamb", point)
    for n, x in expected(references.lamb, "linear", point).items():
        np.testing.assert_allclose(ends[n], x, rtol=2e-4, atol=2e-5)


def test_the_steps_of_prodigy_are_the_papers() -> None:
    """The first steps are 1e-6 long, of which float32 keeps two digits in x near 1."""
    point = Hyperparameters({"d_coefficient": 1.5, "weight_decay": 0.3})
    order = ("matrix", "vector")
    gradients = [[np.abs(g[n]) for n in order] for g in GRADIENTS]  # they agree, so d grows
    start = [np.float32(START[n]).astype(float) for n in order]
    wanted = references.prodigy(point, rates("cosine", point), start, gradients)
    ends, optimizer = torch_end(
        "prodigy", point, gradients=[dict(zip(order, g, strict=True)) for g in gradients]
    )
    assert optimizer.param_groups[0]["d"] > 1e-5
    for n, x, x0 in zip(order, wanted, start, strict=True):
        np.testing.assert_allclose(ends[n] - x0, x - x0, rtol=1e-2)


def test_muon_takes_hidden_matrices_and_filters_and_adamw_the_rest() -> None:
    """By kinds; bfloat16 keeps 8 bits, so a step of Muon is right to about a hundredth."""
    kinds = {
        "dense": ParameterKind.WEIGHT,
        "wide": ParameterKind.ATTENTION_QKV,
        "filters": ParameterKind.CONV_WEIGHT,
        "embedding": ParameterKind.EMBEDDING,
        "output": ParameterKind.WEIGHT,
        "vector": ParameterKind.LAYER_NORM_SCALE,
        "positions": ParameterKind.WEIGHT,
    }
    shapes = dict.fromkeys(kinds, (8, 5)) | {
        "wide": (5, 8), "filters": (6, 3, 1, 2), "vector": (5,), "positions": (1, 4, 5)
    }  # fmt: skip
    start = {n: RNG.normal(size=shape) for n, shape in shapes.items()}
    gradients = [{n: RNG.normal(size=x.shape) for n, x in start.items()} for _ in range(3)]
    point = Hyperparameters({**POINT, "adamw_learning_rate": 0.01})
    ends, _ = torch_end("muon", point, start, gradients, kinds, outputs=("output",))
    for n, x in start.items():
        is_muons = n in ("dense", "wide", "filters")
        flat = (len(x), -1) if is_muons else x.shape
        reference = references.muon if is_muons else references.muons_adamw
        peak = point.learning_rate if is_muons else point.adamw_learning_rate
        steps = [g[n].reshape(flat) for g in gradients]
        wanted = reference(point, rates("wsd", point, peak)[:3], x.reshape(flat), steps)
        tolerance = 0.01 if is_muons else 1e-5
        np.testing.assert_allclose(ends[n].reshape(flat), wanted, rtol=0, atol=tolerance)
        assert np.abs(wanted - x.reshape(flat)).max() > 10 * tolerance


def test_sam_takes_the_gradient_where_its_own_points() -> None:
    """f(a, b) = Σ 3 a² + Σ b² / 2 from a = (1, 0), b = 8: g = (6, 0, 8), ‖g‖ = 10, ρ = 0.5.

    So ε = (0.3, 0, 0.4) and the gradients there are 6 · 1.3 = 7.8, 0 and 8.4; with a rate of 0.1
    and a decay of 0.2, which is taken at w, a = 1 - 0.1 (7.8 + 0.2) and b = 8 - 0.1 (8.4 + 1.6).
    """
    from submissions.sam import sam_torch

    a = torch.nn.Parameter(torch.tensor([1.0, 0.0]))
    b = torch.nn.Parameter(torch.tensor([8.0]))
    unused = torch.nn.Parameter(torch.tensor([5.0]))
    updated, logged = [], []

    def forward(batch: Any, update_running: bool) -> Any:
        updated.append(update_running)
        return batch * (3 * a.square().sum() + b.square().sum() / 2)

    run: Any = SimpleNamespace(
        hparams=Hyperparameters({**POINT, "rho": 0.5, "weight_decay": 0.2, "warmup_factor": 0.0}),
        params={"a": a, "b": b, "unused": unused},
        step=1,
        step_hint=STEP_HINT,
        forward=forward,
        loss=lambda out, _: SimpleNamespace(summed=out, n_valid_examples=torch.tensor(4.0)),
        all_reduce=lambda tensor: tensor,
        log=logged.append,
    )
    sam_torch.step(run, sam_torch.init(run), iter([torch.tensor(4.0)]))
    assert a.tolist() == pytest.approx([0.2, 0.0])
    assert b.tolist() == pytest.approx([7.0])
    assert unused.tolist() == [5.0]
    assert updated == [True, False]
    assert logged == [{"model_evaluations": 2}]


def test_adam_in_8_bits_keeps_large_tensors_in_bytes_and_still_makes_adams_steps() -> None:
    """Half a step apart at most: a moment keeps 8 bits and its block's scale.

    Gradients of one size, so that no value of v is small beside the largest of its block.
    """
    shape = (64, 64)
    start = {"matrix": RNG.normal(size=shape)}
    gradients = [{"matrix": RNG.choice([-1.0, 1.0], size=shape)} for _ in range(4)]
    point = Hyperparameters(POINT)
    ends, optimizer = torch_end("adam_8bit", point, start, gradients)
    wanted = references.adam(
        point, rates("cosine", point)[:4], start["matrix"], [g["matrix"] for g in gradients]
    )
    (state,) = optimizer.state.values()
    assert (state["state1"].dtype, state["state2"].dtype) == (torch.uint8, torch.uint8)
    np.testing.assert_allclose(ends["matrix"], wanted, rtol=0, atol=0.05)


def test_without_bitsandbytes_adam_in_8_bits_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real: Callable[..., Any] = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == "bitsandbytes":
            raise ModuleNotFoundError(f"No module named '{name}'", name="bitsandbytes")
        return real(name, *args, **kwargs)

    path = Path(importlib.import_module("submissions.adam_8bit").__path__[0]) / "adam_8bit_torch.py"
    spec = importlib.util.spec_from_file_location("without_bitsandbytes", path)
    assert spec is not None
    assert spec.loader is not None
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match=r"pip install 'pacebench\[8bit\]'"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
