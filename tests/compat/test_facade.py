"""The workload that submissions see: model calls, losses, constants."""

from __future__ import annotations

from types import SimpleNamespace

import jax
import numpy as np
import pytest
import torch

from pacebench.compat import spec
from pacebench.compat.facade import default_dropout_rate, make_workload
from pacebench.compat.facade_jax import jax_calls
from pacebench.compat.facade_torch import torch_calls
from pacebench.spec import Loss, ParameterKind
from tests.support import PLAN
from workloads.digits import FULL as DIGITS

TRAIN, EVAL = spec.ForwardPassMode.TRAIN, spec.ForwardPassMode.EVAL


def _run(**fields):
    kinds = {"layer": {"kernel": ParameterKind.WEIGHT}}
    return SimpleNamespace(rank=0, params={}, kinds=kinds, **fields)


def _torch_mode(mode, is_v05=False, dropout_rate=None, **arguments):
    """The Mode with which model_fn calls the module, and whether gradients are on."""
    seen = []

    def module(batch, our_mode):
        seen.append((our_mode, torch.is_grad_enabled()))
        return batch

    run = SimpleNamespace(params={}, kinds={})
    calls = torch_calls(Loss.MEAN_SQUARED_ERROR, run, dropout_rate, is_v05)
    outputs, state = calls.model_fn(
        params=module,
        augmented_and_preprocessed_input_batch={"x": 1},
        model_state=None,
        mode=mode,
        rng=None,
        **arguments,
    )
    assert (outputs, state) == ({"x": 1}, None)
    return seen[0]


@pytest.mark.parametrize(
    ("is_v05", "updates", "normalize_with"),
    [
        (True, True, "batch"),
        (True, False, "running"),
        (False, True, "batch"),
        (False, False, "batch"),
    ],
)
def test_torch_batch_norm_follows_the_submissions_generation(is_v05, updates, normalize_with):
    mode, has_gradients = _torch_mode(TRAIN, is_v05, update_batch_norm=updates)
    assert mode.train
    assert has_gradients
    assert mode.normalize_with == normalize_with
    assert mode.update_running is updates


def test_torch_evaluation_uses_the_averages_without_gradients():
    mode, has_gradients = _torch_mode(EVAL, update_batch_norm=True)
    assert not mode.train
    assert not has_gradients
    assert (mode.normalize_with, mode.update_running) == ("running", False)


def test_a_named_dropout_rate_goes_before_the_bound_one():
    assert _torch_mode(TRAIN, update_batch_norm=True)[0].dropout_rate is None
    bound = {"dropout_rate": 0.3}
    assert _torch_mode(TRAIN, **bound, update_batch_norm=True)[0].dropout_rate == 0.3
    calls = torch_calls(Loss.CTC, SimpleNamespace(params={}, kinds={}), 0.3, True)
    seen = []
    calls.model_fn(lambda _, m: seen.append(m), {}, None, TRAIN, None, True, dropout_rate=0.0)
    assert seen[0].dropout_rate == 0.0


@pytest.mark.parametrize(
    ("mode", "updates", "overrule", "normalize_with", "update_running"),
    [
        (TRAIN, True, None, "batch", True),
        (TRAIN, False, None, "running", False),
        (TRAIN, True, True, "running", True),
        (TRAIN, False, False, "batch", False),
        (EVAL, True, False, "running", False),
    ],
)
def test_jax_batch_norm_follows_the_arguments(
    mode, updates, overrule, normalize_with, update_running
):
    seen = {}

    def forward(params, model_state, batch, **options):
        seen.update(options)
        return batch, {"batch_stats": 1}

    calls = jax_calls(Loss.CTC, _run(forward=forward), dropout_rate=0.2)
    result = calls.model_fn({}, "batch", {"batch_stats": 0}, mode, "rng", updates, overrule)
    assert result == ("batch", {"batch_stats": 1})
    assert (seen["normalize_with"], seen["update_running"]) == (normalize_with, update_running)
    assert seen["dropout_rate"] == 0.2
    assert seen["key"] == ("rng" if mode is TRAIN else None)


def test_a_model_without_state_takes_and_gives_none():
    def forward(params, model_state, batch, **options):
        assert model_state == {}
        return batch, model_state

    calls = jax_calls(Loss.CTC, _run(forward=forward), None)
    assert calls.model_fn({}, "batch", None, TRAIN, None, True) == ("batch", None)


def test_dropout_is_bound_for_v05_only(caplog):
    hyperparameters = SimpleNamespace(dropout_rate=0.25, aux_dropout_rate=0.25)
    assert default_dropout_rate(hyperparameters, is_v05=True) == 0.25
    assert default_dropout_rate(hyperparameters, is_v05=False) is None
    assert default_dropout_rate(None, is_v05=True) is None
    assert default_dropout_rate(SimpleNamespace(learning_rate=1), is_v05=True) is None
    assert not caplog.records
    hyperparameters.aux_dropout_rate = 0.5
    assert default_dropout_rate(hyperparameters, is_v05=True) == 0.25
    assert "aux_dropout_rate 0.5 is not used" in caplog.text


def test_the_loss_is_a_dict_of_sum_count_and_examples():
    logits_BC, targets_B = np.zeros((3, 4), np.float32), np.array([0, 1, 2])
    mask_B = np.array([1.0, 1.0, 0.0], np.float32)
    log_4 = 1.3862944  # ln 4: equal logits over four classes
    for calls, array in (
        (torch_calls(DIGITS.loss, SimpleNamespace(params={}, kinds={}), None, False), torch.tensor),
        (jax_calls(DIGITS.loss, _run(), None), jax.numpy.asarray),
    ):
        found = calls.loss_fn(
            label_batch=array(targets_B), logits_batch=array(logits_BC), mask_batch=array(mask_B)
        )
        assert float(found["summed"]) == pytest.approx(2 * log_4)
        assert float(found["n_valid_examples"]) == 2
        np.testing.assert_allclose(np.asarray(found["per_example"]), [log_4, log_4, 0], rtol=1e-6)


def _workload():
    logged = []
    run = _run(log=logged.append)
    return make_workload(PLAN, DIGITS, run, jax_calls(DIGITS.loss, run, None)), logged


def test_the_workload_is_hashed_by_identity_and_static_under_jit():
    workload, other = _workload()[0], _workload()[0]
    assert workload == workload  # noqa: PLR0124 (that is the question)
    assert workload != other
    assert len({workload, other}) == 2
    jitted = jax.jit(lambda w, x: w.step_hint * x, static_argnums=0)
    assert jitted(workload, 2) == 200
    assert jitted(workload, 3) == 300
    assert jitted._cache_size() == 1


def test_the_workloads_numbers_are_the_plans():
    workload, _ = _workload()
    assert (workload.step_hint, workload.eval_batch_size) == (100, 512)
    assert (workload.max_allowed_runtime_sec, workload.eval_period_time_sec) == (10, 1)
    assert isinstance(workload.max_allowed_runtime_sec, int)
    assert (workload.num_train_examples, workload.num_test_examples) == (1000, 400)
    assert workload.loss_type is spec.LossType.SOFTMAX_CROSS_ENTROPY
    assert workload.target_metric_name == "accuracy"


def test_targets_are_strict():
    workload, _ = _workload()
    assert workload.validation_target_value == 2.0
    assert not workload.has_reached_validation_target({"validation/accuracy": 2.0})
    assert workload.has_reached_validation_target({"validation/accuracy": 2.1})
    assert not workload.has_reached_test_target({"validation/accuracy": 9.0})


def test_logged_numbers_may_be_arrays_of_either_framework():
    workload, logged = _workload()
    torch_value = torch.tensor(1.5, requires_grad=True)
    metrics = {"a": torch_value, "b": jax.numpy.asarray(2.5), "c": np.float32(3.5), "d": 4}
    workload.metrics_logger.append_scalar_metrics(metrics, 7)
    assert logged == [{"a": 1.5, "b": 2.5, "c": 3.5, "d": 4.0}]


def test_the_enums_have_algoperfs_numbers():
    assert [t.value for t in spec.LossType] == [0, 1, 2, 3, 4]
    assert spec.LossType.CTC_LOSS.value == 3
    assert spec.ParameterType.ATTENTION_BIAS.value == 14
    assert (TRAIN.value, EVAL.value) == (0, 1)
