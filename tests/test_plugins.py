"""Every way of naming a submission, and what is said when it cannot be found."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import sys
from pathlib import Path

import pytest

from pacebench.errors import PlanError, SubmissionError, UnknownNameError
from pacebench.plugins import find_submission, installed_submissions, resolve
from tests.support import draw

MAKE = "import {framework}\ndef make(parameters, hparams, run):\n    return None\n"
TOML = (
    'description = "d"\n[search_space]\nlr = {{ min = 0.1, max = 1.0, scaling = "log" }}\n{tables}'
)


def test_a_folder_with_two_frameworks_gives_two_submissions_and_names_the_first(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    tables = '[torch]\nmake = "a:make"\n[jax]\nmake = "b:make"\n'
    (folder / "submission.toml").write_text(TOML.format(tables=tables))
    found = find_submission(str(folder))
    assert (found.name, found.framework, found.style, found.address) == (
        "mine",
        "torch",
        "make",
        "a:make",
    )


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_a_single_file_tells_its_framework_by_its_imports(tmp_path: Path, framework: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(MAKE.format(framework=framework))
    found = find_submission(str(path))
    assert (found.name, found.framework, found.style) == ("mine", framework, "make")


def test_an_algoperf_folder_is_known_by_its_submission_file(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "submission.py").write_text("import jax\ndef update_params(): pass\n")
    (folder / "tuning_search_space.json").write_text('[{"learning_rate": 0.1}]')
    found = find_submission(str(folder))
    assert (found.style, found.framework, found.search_space) == (
        "algoperf",
        "jax",
        [{"learning_rate": 0.1}],
    )


def test_an_algoperf_folder_among_self_tuning_ones_is_self_tuning(tmp_path: Path) -> None:
    for ruleset, values in (("self_tuning", {}), ("external_tuning", None)):
        folder = tmp_path / ruleset / "theirs"
        folder.mkdir(parents=True)
        (folder / "submission.py").write_text("import jax\ndef update_params(): pass\n")
        (folder / "tuning_search_space.json").write_text('[{"learning_rate": 0.1}]')
        assert find_submission(str(folder)).self_tuning == values


def test_any_submission_can_be_given_another_name(tmp_path: Path) -> None:
    folders = [tmp_path / version / "baseline" for version in ("old", "new")]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "submission.py").write_text("import jax\ndef update_params(): pass\n")
    found = [find_submission(f"baseline_{f.parent.name}={f}") for f in folders]
    assert [s.name for s in found] == ["baseline_old", "baseline_new"]
    assert [s.source for s in found] == folders
    assert find_submission("mine=optax:lion").name == "mine"
    with pytest.raises(SubmissionError, match="the name '' cannot be a submission's"):
        find_submission(f"={folders[0]}")
    (tmp_path / "a=b").mkdir()
    (tmp_path / "a=b" / "submission.py").write_text("import jax\ndef update_params(): pass\n")
    with pytest.raises(SubmissionError, match="the name 'a=b' cannot be"):  # it is a folder
        find_submission(str(tmp_path / "a=b"))


@pytest.mark.parametrize(
    ("named", "framework"), [("torch.optim:AdamW", "torch"), ("optax:lion", "jax")]
)
def test_a_librarys_class_is_named_by_its_address(named: str, framework: str) -> None:
    found = find_submission(named, [{"lr": 0.1}])
    assert (found.name, found.framework, found.style) == (
        named.replace(":", "."),
        framework,
        "library",
    )
    assert found.search_space == [{"lr": 0.1}]


def test_an_installed_package_is_found_without_being_imported_and_a_broken_one_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    package = tmp_path / "their_package"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (package / "submission.toml").write_text(
        'name = "theirs"\n' + TOML.format(tables='[torch]\nmake = "code:make"\n')
    )
    info = tmp_path / "their_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[pacebench]\ntheirs = their_package\nbroken = no_such_package\n"
    )
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    importlib.invalidate_caches()
    found = installed_submissions()
    assert found["theirs"].source == package
    assert "adamw" in found
    assert "no_such_package is no package here" in caplog.text


MISTAKES = {
    "adamww": (UnknownNameError, "did you mean 'adamw'?"),
    "./nowhere": (SubmissionError, "no such file or folder"),
    "no_such_library:Adam": (SubmissionError, "no module 'no_such_library' is installed"),
    "torch.optim:": (SubmissionError, "named like torch.optim:AdamW"),
    "{tmp}/empty": (SubmissionError, "holds neither submission.toml nor submission.py"),
    "{tmp}/nothing.py": (SubmissionError, "defines neither make"),
    "{tmp}/broken.py": (SubmissionError, "does not parse"),
    "{tmp}/both.py": (SubmissionError, "cannot tell the framework"),
    "{tmp}/text.txt": (SubmissionError, "is not a Python file"),
}


@pytest.mark.parametrize("named", MISTAKES)
def test_a_mistake_in_the_name_is_one_clear_line(named: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "nothing.py").write_text("import torch\n")
    (tmp_path / "broken.py").write_text("def make(:\n")
    (tmp_path / "both.py").write_text("import torch, jax\ndef make(): pass\n")
    (tmp_path / "text.txt").write_text("")
    kind, words = MISTAKES[named]
    with pytest.raises(kind) as error:
        find_submission(named.format(tmp=tmp_path))
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_a_framework_that_is_not_installed_is_said_before_anything_runs() -> None:
    absent = dataclasses.replace(find_submission("adamw"), framework="no_such_framework")
    with pytest.raises(PlanError, match=r"'adamw' needs no_such_framework.*pip install"):
        draw(absent)


def test_an_address_that_leads_nowhere_says_so() -> None:
    with pytest.raises(SubmissionError, match="no attribute 'Nothing'"):
        resolve("pacebench.spec:Nothing")
    with pytest.raises(SubmissionError, match="is it installed"):
        resolve("no_such_module:x")
