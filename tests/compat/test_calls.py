"""What the harness calls of a submission, with what, and what it makes of the answers."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from pacebench.compat.functions import functions_of, hyperparameters_of, returned_point
from pacebench.errors import SubmissionError
from pacebench.rows import Reason
from tests.compat.helpers import (
    STYLES,
    SUBMISSIONS,
    TORCH_PARTS,
    foreign_imports,
    open_submission,
    plan_of,
    run_submission,
    write_submission,
)

UPDATE = TORCH_PARTS["update_params"]


def _meta(folder):
    return json.loads((folder / "meta.json").read_text())


def test_training_complete_keeps_the_state_and_ends_after_an_evaluation(tmp_path):
    stop = "logits, model_state = workload.model_fn("
    source = write_submission(
        tmp_path / "stops",
        update_params=UPDATE.replace(
            stop, f"if global_step == 4:\n        raise spec.TrainingCompleteError\n    {stop}"
        ),
    )
    trial, reason = run_submission(source, plan_of(source), tmp_path / "run")
    assert reason is Reason.FINISHED
    assert [row.step for row in trial.store.rows()] == [1, 5]
    shorter, _ = run_submission(
        write_submission(tmp_path / "goes_on"), plan_of(source), tmp_path / "other",
        interrupted_after=4,
    )  # fmt: skip
    for name, value in trial.backend.run.model.state_dict().items():
        assert torch.equal(value, shorter.backend.run.model.state_dict()[name])


def test_steps_are_counted_from_zero_and_counted_before_prepare_for_eval(tmp_path):
    record = "workload.metrics_logger.append_scalar_metrics({'updated': global_step}, global_step)"
    source = write_submission(
        tmp_path / "counts",
        update_params=UPDATE.replace("    logits,", f"    {record}\n    logits,"),
        prepare_for_eval=f"""
def prepare_for_eval(workload, current_param_container, current_params_types, model_state,
                     hyperparameters, loss_type, optimizer_state, eval_results, global_step, rng):
    {record.replace("updated", "prepared")}
    return optimizer_state, current_param_container, model_state
""",
    )
    run_submission(source, plan_of(source), tmp_path / "run")
    text = (tmp_path / "run" / "metrics.jsonl").read_text()
    lines = [json.loads(line)["metrics"] for line in text.splitlines()]
    assert [line["updated"] for line in lines if "updated" in line] == list(range(12))
    assert [line["prepared"] for line in lines if "prepared" in line] == [1, 11, 12]


def test_data_selection_may_return_the_iterator(tmp_path):
    twice = UPDATE.replace("    logits,", "    next(batch)\n    batch = next(batch)\n    logits,")
    source = write_submission(
        tmp_path / "iterates",
        data_selection=TORCH_PARTS["data_selection"].replace("next(input_queue)", "input_queue"),
        update_params=twice,
    )
    trial, reason = run_submission(source, plan_of(source), tmp_path / "run")
    assert reason is Reason.MAX_STEPS
    assert trial.backend.save_state()["position"] == 24


def test_train_state_goes_to_those_who_ask_for_it():
    class Module:
        def f(self):
            """Stand in for the other functions."""

        init_optimizer_state = data_selection = get_batch_size = f

        @staticmethod
        def update_params(workload, rng, train_state=None):
            """Ask."""

    assert functions_of(Module, "it").takes_train_state
    Module.update_params = staticmethod(lambda workload, **rest: None)
    assert not functions_of(Module, "it").takes_train_state


def test_evaluations_are_one_live_list_without_test_results(tmp_path):
    record = "optimizer_state.setdefault('lists', []).append(eval_results)"
    source = write_submission(
        tmp_path / "reads",
        update_params=UPDATE.replace("    logits,", f"    {record}\n    logits,"),
    )
    with foreign_imports():
        trial = open_submission(source, plan_of(source), tmp_path / "run")
        backend = trial.backend
        backend.step(1)
        backend.prepare_eval()
        backend.run.evaluations.append((1, {"validation/accuracy": 0.5}))
        backend.step(2)
        first, second = backend._state.optimizer_state["lists"]
    assert first is second
    ((step, row),) = first
    assert step == 1
    assert row["validation/accuracy"] == 0.5
    # One step of a step hint of 100 for 10 s stands for 0.1 s under a clock of steps.
    assert row["score"] == row["accumulated_submission_time"] == 0.1
    assert row["validation/num_examples"] == 397


def test_hyperparameters_are_a_named_tuple_or_none():
    values = hyperparameters_of("external", {"learning_rate": 0.1, "beta": 0.9})
    assert values._fields == ("learning_rate", "beta")
    assert values.learning_rate == 0.1
    assert not hasattr(values, "grad_clip")
    assert hyperparameters_of("self", {}) is None
    with pytest.raises(SubmissionError, match="cannot be a named tuple"):
        hyperparameters_of("external", {"class": 1})


@pytest.mark.parametrize("missing", ["init_optimizer_state", "update_params", "data_selection"])
def test_a_missing_function_is_named(missing, tmp_path):
    source = write_submission(tmp_path / "lacks", **{missing: ""})
    with foreign_imports(), pytest.raises(SubmissionError, match=f"has no function {missing};"):
        open_submission(source, plan_of(source), tmp_path / "run")


def test_a_wrong_number_of_returned_values_is_told():
    with pytest.raises(SubmissionError, match="update_params returned None; it must return"):
        returned_point(None, "update_params")
    with pytest.raises(SubmissionError, match="returned 2 values"):
        returned_point((1, 2), "update_params")


def test_a_wrong_order_of_returned_values_is_told(tmp_path):
    wrong = "return current_param_container, optimizer_state, model_state"
    source = write_submission(
        tmp_path / "swaps",
        update_params=UPDATE.replace(
            "return optimizer_state, current_param_container, model_state", wrong
        ),
    )
    with pytest.raises(SubmissionError, match="returned a dict for the parameters"):
        run_submission(source, plan_of(source), tmp_path / "run")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("return (tree, None), params,", "return params, (tree, None),", "and comes first in"),
        ("return (tree, None), params,", "return tree, params,", "a pair"),
        ("params, model_state\n\n\ndef prep", "model_state, params\n\n\ndef prep", "other shapes"),
    ],
)
def test_a_wrong_return_in_jax_is_told(old, new, message, tmp_path):
    source = tmp_path / "jax_wrong"
    source.mkdir()
    for file in ("rule.py", "submission.py"):
        text = (SUBMISSIONS / "jax_sharded_lion" / file).read_text()
        (source / file).write_text(text.replace(old, new))
    plan = plan_of(source, STYLES["jax_sharded_lion"])
    with pytest.raises(SubmissionError, match=message):
        run_submission(source, plan, tmp_path / "run")


def test_another_module_that_is_returned_is_what_is_evaluated(tmp_path):
    average = """
def prepare_for_eval(workload, current_param_container, current_params_types, model_state,
                     hyperparameters, loss_type, optimizer_state, eval_results, global_step, rng):
    import copy
    other = copy.deepcopy(current_param_container)
    for parameter in other.parameters():
        parameter.data.fill_(0.5)
    return optimizer_state, other, model_state
"""
    source = write_submission(tmp_path / "copies", prepare_for_eval=average)
    trial, _ = run_submission(source, plan_of(source), tmp_path / "run")
    assert all((p == 0.5).all() for p in trial.backend.run.model.parameters())
    assert "a module of its own" in _meta(tmp_path / "run")["not_resumable_because"]


def test_a_module_of_other_shapes_is_told(tmp_path):
    source = write_submission(
        tmp_path / "other",
        update_params=UPDATE.replace(
            "return optimizer_state, current_param_container",
            "return optimizer_state, torch.nn.Linear(1, 1)",
        ),
    )
    with pytest.raises(SubmissionError, match="other parameters than the workload's"):
        run_submission(source, plan_of(source), tmp_path / "run")


@pytest.mark.parametrize(
    ("held", "reason"),
    [
        ("next(model_params.parameters())", "is a parameter of the model"),
        ("object()", "is a object, which has no state_dict"),
    ],
)
def test_what_cannot_be_saved_makes_a_trial_not_resumable(held, reason, tmp_path):
    source = write_submission(
        tmp_path / "holds",
        init_optimizer_state=TORCH_PARTS["init_optimizer_state"].replace(
            '{"optimizer"', f'{{"held": {held}, "optimizer"'
        ),
    )
    _, ended = run_submission(source, plan_of(source), tmp_path / "run")
    assert ended is Reason.MAX_STEPS
    assert reason in _meta(tmp_path / "run")["not_resumable_because"]


def test_rng_is_a_pair_of_words_that_depends_on_seed_and_step(tmp_path):
    found = []
    for name in ("torch_momentum", "jax_sharded_lion"):
        source = SUBMISSIONS / name
        with foreign_imports():
            trial = open_submission(source, plan_of(source), tmp_path / name)
            session = trial.backend._algorithm.init.__self__.session
            found.append([np.asarray(session._rng("update", step)) for step in (0, 0, 1)])
    for (first, again, other), dtype in zip(found, (np.int32, np.uint32), strict=True):
        assert first.shape == (2,)
        assert first.dtype == dtype
        assert (first == again).all()
        assert (first != other).any()
    assert (found[0][0] >= 0).all()
