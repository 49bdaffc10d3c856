"""Rule versions: the shipped files, the numbers of a trial, and what is refused."""

from __future__ import annotations

import math
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacebench.errors import RulesError, UnknownNameError
from tuning.rules import RULESETS, Rules, load_rules, rules_versions

ALGOPERF = ("algoperf-0.5", "algoperf-0.6")
WITHOUT_TEST_SET = {"finewebedu_lm", "gpt2_124m", "finewebedu_lm_mini"}
BASE = {
    "criteo1tb",
    "fastmri",
    "imagenet_resnet",
    "imagenet_vit",
    "librispeech_conformer",
    "librispeech_deepspeech",
    "ogbg",
    "wmt",
}
SMALL = """\
version = "small-1"
title = "For tests"
studies = 2
trials = 3
self_tuning_trials = 1
budget_factor = { external = 1, self = 2.5 }
max_steps_factor = { external = 1.0, self = 1.5 }
budget_check = "at_eval"
eval_when_over_budget = false
stop_at = "validation_and_test"
diverged_after_evaluations = 4
halton_sharing = "split_over_studies"
matmul_precision = "default"
base_workloads = ["toy"]
held_out = ["toy_wide"]
held_out_gate = true
tau_max = 4
near_best_factor = 4.0
workloads_from = ["dev"]

[workloads.toy]
metric = "wer"
larger_is_better = false
validation_target = 0.25
test_target = 0.3
budget_seconds = 100
step_hint = 1001
eval_period_seconds = 7
reference_hardware = "a calculator"

[workloads.toy_wide]
variant_of = "toy"
validation_target = 0.2
"""


def write_rules(folder: Path, text: str) -> Path:
    """Write a rules file and give its path."""
    path = folder / "own.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_shipped_versions_are_these() -> None:
    assert rules_versions() == ["algoperf-0.5", "algoperf-0.6", "dev", "lm", "mini"]


@pytest.mark.parametrize("version", ["algoperf-0.5", "algoperf-0.6", "dev", "lm", "mini"])
def test_every_shipped_version_gives_complete_trials(version: str) -> None:
    rules = load_rules(version)
    assert rules.version == version
    assert set(rules.base_workloads) | set(rules.held_out) <= set(rules.workloads)
    for name, limits in rules.workloads.items():
        assert (limits.test_target is None) == (name in WITHOUT_TEST_SET), name
        assert limits.eval_period_seconds < limits.budget_seconds, name
        assert name.startswith(limits.variant_of or name)
        for ruleset in RULESETS:
            trial = rules.effective(name, ruleset)
            assert (trial.version, trial.ruleset) == (version, ruleset)


@pytest.mark.parametrize("version", ALGOPERF)
def test_algoperf_has_eight_base_workloads_with_three_variants_each(version: str) -> None:
    rules = load_rules(version)
    assert set(rules.base_workloads) == BASE
    variants = [limits.variant_of for limits in rules.workloads.values() if limits.variant_of]
    assert sorted(variants) == sorted(3 * list(BASE))
    assert set(rules.workloads) >= {"digits", "mnist", "cifar"}


# AlgoPerf's published numbers (facts of v0.5.0 and v0.6): workload, targets, seconds and steps of
# v0.5, of v0.6, evaluation period.
PUBLISHED = [
    ("criteo1tb", 0.123735, 0.126041, (7703, 10666), (7703, 10666), 120),
    ("fastmri", 0.723653, 0.740633, (8859, 36189), (4430, 18094), 80),
    ("imagenet_resnet", 1 - 0.22569, 1 - 0.344, (63008, 186666), (66159, 195999), 510),
    ("imagenet_vit", 1 - 0.22691, 1 - 0.3481, (77520, 186666), (69768, 167999), 420),
    ("librispeech_conformer", 0.085884, 0.052981, (61068, 80000), (58015, 76000), 1440),
    ("librispeech_deepspeech", 0.119936, 0.074143, (55506, 48000), (44405, 38400), 1440),
    ("ogbg", 0.28098, 0.268729, (18477, 80000), (12011, 52000), 240),
    ("wmt", 30.8491, 30.7219, (48151, 133333), (43336, 120000), 840),
    ("mnist", 0.97, 0.97, (60, 7813), (60, 7813), 10),
    ("cifar", 0.85, 0.85, (3600, 4883), (3600, 4883), 600),
]


@pytest.mark.parametrize(("name", "validation", "test", "v05", "v06", "period"), PUBLISHED)
def test_base_workloads_have_the_published_numbers(
    *, name: str, validation: float, test: float, v05: Any, v06: Any, period: int
) -> None:
    for version, (seconds, steps) in zip(ALGOPERF, (v05, v06), strict=True):
        limits = load_rules(version).workload(name)
        assert (limits.validation_target, limits.test_target) == (validation, test)
        assert (limits.budget_seconds, limits.step_hint) == (seconds, steps)
        assert limits.eval_period_seconds == period


# AlgoPerf's published targets of the six held-out workloads of v0.5.
HELD_OUT = {
    "criteo1tb_embed_init": ("criteo1tb", 0.129657, 0.131967),
    "fastmri_tanh": ("fastmri", 0.717840, 0.734505),
    "imagenet_resnet_large_bn_init": ("imagenet_resnet", 0.76526, 0.6423),
    "librispeech_conformer_layernorm": ("librispeech_conformer", 0.09731, 0.05996),
    "ogbg_model_size": ("ogbg", 0.269446, 0.253051),
    "wmt_glu_tanh": ("wmt", 29.6517, 29.0515),
}


def test_held_out_workloads_of_v05_inherit_all_but_their_targets() -> None:
    rules = load_rules("algoperf-0.5")
    assert set(rules.held_out) == set(HELD_OUT)
    assert rules.held_out_gate
    for name, (base_name, validation, test) in HELD_OUT.items():
        variant, base = rules.workload(name), rules.workload(base_name)
        assert variant.variant_of == base_name
        assert (variant.validation_target, variant.test_target) == (validation, test)
        for field in ("metric", "larger_is_better", "budget_seconds", "step_hint"):
            assert getattr(variant, field) == getattr(base, field)


def test_scoring_targets_stand_where_the_leaderboard_used_others() -> None:
    # facts_text_graph_ctr.md, Targets: v0.5 ran to 29.6517 and 29.8611, its scoring used v0.6's.
    differing = {
        name: (limits.validation_target, limits.scoring_validation_target)
        for name, limits in load_rules("algoperf-0.5").workloads.items()
        if limits.scoring_validation_target is not None
    }
    assert differing == {
        "wmt_glu_tanh": (29.6517, 29.5779),
        "wmt_attention_temp": (29.8611, 29.3379),
    }
    newer = load_rules("algoperf-0.6")
    assert newer.workload("wmt_glu_tanh").validation_target == 29.5779
    assert newer.workload("wmt_attention_temp").validation_target == 29.3379


def test_v05_and_v06_differ_in_how_a_trial_flows() -> None:
    older, newer, dev = (load_rules(version) for version in (*ALGOPERF, "dev"))
    assert [r.studies for r in (older, newer, dev)] == [5, 3, 1]
    assert [r.trials_per_study("external") for r in (older, newer, dev)] == [5, 5, 5]
    assert [r.trials_per_study("self") for r in (older, newer, dev)] == [1, 1, 1]
    assert [r.budget_check for r in (older, newer, dev)] == ["every_step", "at_eval", "every_step"]
    assert [r.eval_when_over_budget for r in (older, newer, dev)] == [True, False, True]
    assert [r.diverged_after_evaluations for r in (older, newer, dev)] == [0, 0, 2]
    both = "validation_and_test"
    assert [r.stop_at for r in (older, newer, dev)] == [both, both, "validation"]
    assert [r.matmul_precision for r in (older, newer, dev)] == ["default", "default", "highest"]


def test_the_language_models_have_the_published_targets_and_step_hint() -> None:
    # facts_text_graph_ctr.md, "Targets" and "Budgets and sizes"; 3.28 is the speedruns' target.
    rules = load_rules("lm")
    limits = rules.workload("finewebedu_lm")
    assert (limits.metric, limits.larger_is_better) == ("ppl", False)
    assert (limits.validation_target, limits.step_hint) == (22.2995, 72000)
    assert (limits.budget_seconds, limits.eval_period_seconds) == (31967, 2571)
    speedrun = rules.workload("gpt2_124m")
    assert (speedrun.metric, speedrun.validation_target) == ("loss", 3.28)
    assert rules.base_workloads == ("finewebedu_lm",)


# Worked by hand: budget * factor * scale, and step hint * factor.
EFFECTIVE = [
    ("algoperf-0.5", "fastmri", "external", 1.0, 8859.0, 36189),
    ("algoperf-0.5", "fastmri", "self", 1.0, 26577.0, 108567),  # 3 * 8859, 3 * 36189
    ("algoperf-0.5", "ogbg_gelu", "self", 0.5, 27715.5, 240000),  # 3 * 18477 / 2, 3 * 80000
    ("algoperf-0.6", "fastmri", "external", 2.0, 8860.0, None),  # 2 * 4430
    ("algoperf-0.6", "wmt", "self", 1.0, 65004.0, None),  # 1.5 * 43336
    ("dev", "mnist", "self", 1.0, 180.0, None),  # 3 * 60
    ("algoperf-0.5", "mnist", "external", 1.0, 60.0, 7813),
]


@pytest.mark.parametrize(
    ("version", "workload", "ruleset", "scale", "budget_seconds", "max_steps"), EFFECTIVE
)
def test_factors_are_applied_as_worked_by_hand(
    *,
    version: str,
    workload: str,
    ruleset: str,
    scale: float,
    budget_seconds: float,
    max_steps: int | None,
) -> None:
    trial = load_rules(version).effective(workload, ruleset, scale)
    assert trial.budget_seconds == budget_seconds
    assert trial.max_steps == max_steps


def test_a_rules_file_of_ones_own_is_read_by_its_path(tmp_path: Path) -> None:
    rules = load_rules(write_rules(tmp_path, SMALL))
    assert (rules.version, rules.studies, rules.trials_per_study("external")) == ("small-1", 2, 3)
    assert list(rules.workloads) == ["toy", "toy_wide", "digits", "mnist", "cifar"]
    trial = rules.effective("toy_wide", "self", 2.0)
    assert (trial.metric, trial.larger_is_better) == ("wer", False)
    assert (trial.validation_target, trial.test_target) == (0.2, None)  # targets are its own
    assert trial.budget_seconds == 500.0  # 100 * 2.5 * 2
    assert trial.hint_seconds == 100.0  # before factor and scale
    assert trial.max_steps == 1502  # 1001 * 1.5 = 1501.5, rounded half to even
    assert (trial.step_hint, trial.eval_period_seconds) == (1001, 7.0)
    assert (trial.budget_check, trial.stop_at) == ("at_eval", "validation_and_test")
    assert (trial.eval_when_over_budget, trial.diverged_after_evaluations) == (False, 4)


def test_own_workloads_go_before_borrowed_ones(tmp_path: Path) -> None:
    text = SMALL.replace("toy_wide", "mnist")
    rules = load_rules(str(write_rules(tmp_path, text)))
    assert rules.workload("mnist").validation_target == 0.2


@given(scale=st.floats(1e-3, 1e3), ruleset=st.sampled_from(RULESETS))
def test_a_scale_changes_seconds_and_nothing_else(scale: float, ruleset: str) -> None:
    rules = load_rules("algoperf-0.5")
    plain, scaled = rules.effective("wmt", ruleset), rules.effective("wmt", ruleset, scale)
    assert math.isclose(scaled.budget_seconds, scale * plain.budget_seconds)
    assert scaled.max_steps == plain.max_steps
    assert scaled.eval_period_seconds == plain.eval_period_seconds


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf])
def test_a_scale_must_be_positive_and_finite(scale: float) -> None:
    with pytest.raises(RulesError, match="budget scale"):
        load_rules("dev").effective("mnist", "external", scale)


def test_unknown_names_come_with_a_suggestion() -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean 'algoperf-0\.5'"):
        load_rules("algoperf-05")
    rules = load_rules("dev")
    with pytest.raises(UnknownNameError, match=r"rules dev.*did you mean 'mnist'"):
        rules.workload("minst")
    with pytest.raises(UnknownNameError, match="did you mean 'external'"):
        rules.effective("mnist", "extern")
    with pytest.raises(UnknownNameError, match="ruleset 'both'"):
        rules.trials_per_study("both")


# A line of SMALL, what stands there instead, and the words that the message must hold.
MISTAKES = [
    ("studies = 2\ntrials = 3\n", "", ["lacks studies, trials"]),
    ("studies = 2", "studys = 2", ["unknown key 'studys'", "mean 'studies'"]),
    ("studies = 2", "studies = 0", ["studies", "0", "1 or more"]),
    ("studies = 2", "studies = 2.5", ["studies", "2.5", "whole number"]),
    ("studies = 2", "studies = true", ["studies", "True", "whole number"]),
    ('"small-1"', '"../up"', ["version", "'../up'", "letters"]),
    ('"For tests"', '""', ["title", "text"]),
    ("self = 2.5", "self = -1", ["budget_factor", "above 0"]),
    ("self = 2.5", "own = 2.5", ["budget_factor", "external", "self"]),
    ("self = 1.5", "self = inf", ["max_steps_factor", "above 0"]),
    ('"at_eval"', '"often"', ["budget_check", "'often'", "'every_step' or 'at_eval'"]),
    ('"split_over_studies"', '"none"', ["halton_sharing", "'none'", "split_over_studies"]),
    ("held_out_gate = true", "held_out_gate = 1", ["held_out_gate", "true or false"]),
    ("tau_max = 4", "tau_max = 1", ["tau_max", "above 1"]),
    ('["dev"]', '["devv"]', ["workloads_from", "version 'devv'", "mean 'dev'"]),
    ('["dev"]', '"dev"', ["workloads_from", "list of names"]),
    ('["toy"]', '["tou"]', ["base_workloads", "workload 'tou'", "mean 'toy'"]),
    ('["toy_wide"]', '["toy_wibe"]', ["held_out", "mean 'toy_wide'"]),
    ('["toy_wide"]', '["mnist"]', ["held_out", "'mnist'", "variant_of"]),
    ("step_hint = 1001\n", "", ["workloads.toy", "lacks step_hint"]),
    ("step_hint =", "step_hints =", ["workloads.toy", "'step_hints'", "mean 'step_hint'"]),
    ("budget_seconds = 100", "budget_seconds = nan", ["workloads.toy", "budget_seconds", "nan"]),
    ("_target = 0.2\n", '_target = "0.2"\n', ["toy_wide", "validation_target", "number"]),
    ("validation_target = 0.2\n", "", ["toy_wide", "lacks validation_target"]),
    ('variant_of = "toy"', 'variant_of = "tou"', ["toy_wide", "variant_of", "mean 'toy'"]),
    ('variant_of = "toy"', 'variant_of = "toy_wide"', ["toy_wide", "variant_of"]),
    ('variant_of = "toy"', "variant_of = 3", ["toy_wide", "variant_of", "3"]),
    ("[workloads.toy]\n", "[workloads]\n", ["[workloads.NAME]"]),
    ("studies = 2", "studies = ", ["not valid TOML"]),
]


@pytest.mark.parametrize(("line", "instead", "words"), MISTAKES)
def test_a_mistake_in_a_rules_file_is_named(
    tmp_path: Path, line: str, instead: str, words: list[str]
) -> None:
    assert line in SMALL
    path = write_rules(tmp_path, SMALL.replace(line, instead, 1))
    with pytest.raises(RulesError) as caught:
        load_rules(path)
    assert [word for word in [str(path), *words] if word not in str(caught.value)] == []


def test_a_missing_rules_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RulesError, match=r"cannot read the rules .*none\.toml: No such file"):
        load_rules(tmp_path / "none.toml")


@pytest.mark.parametrize("version", ["algoperf-0.5", "algoperf-0.6", "dev", "lm", "mini"])
def test_numbers_of_the_files_have_a_source_beside_them(version: str) -> None:
    lines = files("tuning.rules").joinpath(f"{version}.toml").read_text("utf-8").splitlines()
    tables = [i for i, line in enumerate(lines) if line.startswith("[workloads.")]
    starts = [i for i in tables if "variant_of" not in lines[i + 1]]
    assert starts
    assert all(lines[i - 1].startswith("#") for i in starts)
    assert tomllib.loads("\n".join(lines))["version"] == version


def test_rules_cannot_be_changed() -> None:
    rules: Rules = load_rules("dev")
    with pytest.raises(AttributeError):
        rules.studies = 7  # type: ignore[misc]
