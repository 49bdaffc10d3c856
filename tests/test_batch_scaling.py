"""Learning rates follow the batch size by the metadata's rule, and the plan says so."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from pacebench.batch_scaling import read_batch_size, scaled
from pacebench.errors import SubmissionError
from pacebench.plugins import find_submission
from pacebench.spec import LearningRateScaling, Submission
from tests.support import draw

TOML = """
search_space = {{ points = [{{ {rate} = 0.2, momentum = 0.9 }}] }}
self_tuning = {{ {rate} = 0.3, momentum = 0.8 }}
batch_size = {{ {batch_size} }}
[torch]
make = "m:make"
"""


def written(folder: Path, batch_size: str, rate: str = "learning_rate") -> Submission:
    """A submission folder with these metadata, as it is found."""
    folder.mkdir(exist_ok=True)
    (folder / "submission.toml").write_text(TOML.format(batch_size=batch_size, rate=rate))
    (folder / "m.py").write_text("import torch\n\n\ndef make(parameters, hparams, run): ...\n")
    return find_submission(str(folder))


# digits trains with 128 where a submission names no size: 2 times the base, √2 = 1.41421356.
@pytest.mark.parametrize(
    ("rule", "batch_size", "factor"),
    [
        ("linear", "base = 64", 2.0),
        ("sqrt", "base = 64", 1.41421356),
        ("linear", "base = 256", 0.5),
        ("sqrt", "base = 256, digits = 16", 0.25),
        ("linear", "base = 256, default = 1024, mnist = 8", 4.0),
        ("linear", "base = 128", 1.0),
    ],
)
def test_a_drawn_learning_rate_is_scaled_and_kept_beside_what_was_drawn(
    tmp_path: Path, rule: str, batch_size: str, factor: float
) -> None:
    found = written(tmp_path / "s", f'{batch_size}, learning_rate_scaling = "{rule}"')
    for ruleset, rate, momentum in (("external", 0.2, 0.9), ("self", 0.3, 0.8)):
        (planned, *_) = draw(found, trials=1, ruleset=ruleset)
        assert planned.plan.hyperparameters == {
            "learning_rate": pytest.approx(rate * factor, rel=1e-8),
            "base_learning_rate": rate,
            "momentum": momentum,
        }


def test_without_a_rule_the_point_is_as_drawn(tmp_path: Path) -> None:
    (planned,) = draw(written(tmp_path / "s", "default = 1024"), trials=1)
    assert planned.plan.hyperparameters == {"learning_rate": 0.2, "momentum": 0.9}
    assert planned.plan.batch_size == 1024


def test_the_workloads_and_the_sizes_know_nothing_of_the_rule(tmp_path: Path) -> None:
    found = written(tmp_path / "s", 'base = 64, digits = 32, learning_rate_scaling = "sqrt"')
    assert found.batch_sizes == {"digits": 32}
    assert found.learning_rate_scaling == LearningRateScaling(rule="sqrt", base=64)


@pytest.mark.parametrize(
    ("batch_size", "message"),
    [
        ('learning_rate_scaling = "sqrt"', "give both"),
        ("base = 64", "give both"),
        ('learning_rate_scaling = "sqr", base = 64', "did you mean 'sqrt'"),
        ("learning_rate_scaling = 2, base = 64", "unknown learning_rate_scaling '2'"),
        ('learning_rate_scaling = "sqrt", base = 0', "positive integer"),
        ('learning_rate_scaling = "sqrt", base = 6.4', "positive integer"),
    ],
)
def test_a_table_that_cannot_be_meant_is_refused(
    tmp_path: Path, batch_size: str, message: str
) -> None:
    with pytest.raises(SubmissionError, match=message):
        written(tmp_path / "s", batch_size)


@pytest.mark.parametrize("raw", [True, "64", 0, [64], {"default": True}])
def test_batch_sizes_are_positive_integers(raw: Any) -> None:
    with pytest.raises(SubmissionError, match="here: batch_size must be a positive integer"):
        read_batch_size(raw, "here")


def test_a_space_without_a_learning_rate_cannot_be_scaled(tmp_path: Path) -> None:
    found = written(tmp_path / "s", 'learning_rate_scaling = "sqrt", base = 64', rate="lr")
    with pytest.raises(SubmissionError, match=r"needs a hyperparameter 'learning_rate'.*lr, mom"):
        draw(found, trials=1)


def test_a_librarys_optimizer_is_not_handed_the_record() -> None:
    from pacebench.backends.base import library_hyperparameters

    scaling = LearningRateScaling(rule="linear", base=1)
    point = scaled({"learning_rate": 1.0, "accumulation_steps": 2, "b1": 0.5}, scaling, 3)
    assert library_hyperparameters(point) == {"learning_rate": 3.0, "b1": 0.5}


def test_a_scaling_changes_nothing_but_the_point(tmp_path: Path) -> None:
    found = written(tmp_path / "s", 'learning_rate_scaling = "sqrt", base = 64')
    (planned,) = draw(found, trials=1)
    (plain,) = draw(dataclasses.replace(found, learning_rate_scaling=None), trials=1)
    assert planned.plan != plain.plan
    assert (
        dataclasses.replace(planned.plan, hyperparameters=plain.plan.hyperparameters) == plain.plan
    )
