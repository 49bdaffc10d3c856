"""A plan comes back from its JSON as it was, and a damaged one is named and refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from pacebench.errors import PlanError
from pacebench.plan import plan_from_json
from tests.support import PLAN


def test_a_plan_reads_back_as_it_was() -> None:
    plan = replace(PLAN, hyperparameters={"rate": 1e-3, "betas": None, "name": "x", "fast": True})
    assert plan_from_json(plan.to_json(), "here") == plan


def test_a_whole_number_of_seconds_may_be_written_without_its_point() -> None:
    raw = json.loads(PLAN.to_json())
    raw["wall_limit_seconds"] = raw["rules"]["budget_seconds"] = 100
    assert plan_from_json(json.dumps(raw), "here").rules.budget_seconds == 100.0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("study", "x"),
        ("seed", 1.5),
        ("batch_size", True),
        ("submission", 3),
        ("sizes", {"train": "many"}),
        ("sizes", [1, 2]),
        ("authors", [1]),
        ("authors", "A. Author"),
        ("is_compiled", 1),
        ("hyperparameters", None),
        ("wall_limit_seconds", "long"),
        ("data_dir", 7),
    ],
)
def test_a_field_of_another_type_is_named(field: str, value: Any) -> None:
    raw = json.loads(PLAN.to_json()) | {field: value}
    with pytest.raises(PlanError, match=f"here is damaged: {field} is "):
        plan_from_json(json.dumps(raw), "here")


@pytest.mark.parametrize("rules", [None, [], {"version": "mini"}])
def test_damaged_rules_are_named(rules: Any) -> None:
    raw = json.loads(PLAN.to_json()) | {"rules": rules}
    with pytest.raises(PlanError, match="here has missing or unknown fields: "):
        plan_from_json(json.dumps(raw), "here")


def test_a_rule_of_another_type_is_named() -> None:
    raw = json.loads(PLAN.to_json())
    raw["rules"]["step_hint"] = "1000"
    with pytest.raises(PlanError, match="step_hint is '1000'; delete its folder and run again"):
        plan_from_json(json.dumps(raw), "here")
