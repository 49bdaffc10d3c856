"""Hostile and broken submissions: a reason in the folder, and the other trials go on."""

from __future__ import annotations

import html.parser
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pacebench.store import RunStore

GOOD = """\
import torch
def make(parameters, hparams, run):
    return torch.optim.SGD([p.value for p in parameters.values()], lr=hparams.lr)
"""
SPACE = """\
[search_space]
lr = { min = 0.01, max = 0.1, scaling = "log" }
[torch]
make = "code:make"
"""
LEVEL_2 = """\
import torch
def init(run):
    return {"optimizer": torch.optim.SGD(run.params.values(), lr=0.1)}
def step(run, state, batches):
"""
LEVEL_2_TOML = SPACE.replace('make = "code:make"', 'algorithm = "code"')


def plugin(folder: Path, code: str, toml: str = SPACE) -> Path:
    folder.mkdir(parents=True)
    (folder / "code.py").write_text(code)
    (folder / "submission.toml").write_text(toml)
    return folder


def pacebench(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", "-m", "pacebench", *map(str, arguments)]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=200
    )


def run(
    tmp_path: Path, *plugins: Path, options: tuple[str, ...] = ()
) -> tuple[int, dict[str, dict]]:
    """Run plugins on digits for five steps; gives the exit code and how each ended."""
    limits = ("--trials", "1", "--max-steps", "5", "--rules", "dev", "--workload", "digits")
    done = pacebench("run", *plugins, *limits, *options, cwd=tmp_path)
    assert "Traceback" not in done.stdout + done.stderr
    ends = {}
    for path in sorted(tmp_path.glob("runs/**/trial.json")):
        name = json.loads(path.read_text())["submission"]
        ends[name] = RunStore(path.parent).end()
    return done.returncode, ends


STEP_BODIES = {
    "raises": (
        "    raise RuntimeError('no <b>good</b>')\n",
        "error",
        "RuntimeError: no <b>good</b>",
    ),
    "exits": ("    import sys; sys.exit(3)\n", "error", "SystemExit: 3"),
    "leaves": ("    import os; os._exit(7)\n", "error", "exit code [7]"),
    "kills_itself": ("    import os; os.kill(os.getpid(), 9)\n", "killed", "SIGKILL"),
    "runs_out_of_memory": ("    torch.zeros(10**15)\n", "out_of_memory", "can't allocate memory"),
    "needs_a_hyperparameter": (
        "    run.hparams.learning_rate\n",
        "error",
        "unknown hyperparameter",
    ),
}


@pytest.mark.parametrize("name", STEP_BODIES)
def test_a_step_that_fails_is_a_result_with_its_reason_and_the_others_go_on(
    tmp_path: Path, name: str
) -> None:
    body, reason, words = STEP_BODIES[name]
    bad = plugin(tmp_path / name, LEVEL_2 + body, LEVEL_2_TOML)
    good = plugin(tmp_path / "good", GOOD)
    code, ends = run(tmp_path, bad, good)
    assert code == 1
    assert ends[name]["reason"] == reason
    assert words in ends[name]["message"]
    assert ends["good"]["reason"] == "max_steps"
    folder = next(tmp_path.glob(f"runs/**/{name}/**/trial_1"))
    if reason == "error" and "exit code" not in words:
        assert words.split(":")[0] in (folder / "traceback.txt").read_text()


def test_a_submission_that_blames_the_data_stops_no_other(tmp_path: Path) -> None:
    body = "    from pacebench.errors import DataError\n    raise DataError('not my fault')\n"
    bad = plugin(tmp_path / "blames", LEVEL_2 + body, LEVEL_2_TOML)
    good = plugin(tmp_path / "good", GOOD)
    code, ends = run(tmp_path, bad, good)
    assert code == 1
    assert ends["blames"] is None  # it can be run again, and does the same
    assert ends["good"]["reason"] == "max_steps"


def test_a_loss_that_is_not_a_number_ends_as_diverged(tmp_path: Path) -> None:
    body = "    for p in run.params.values(): p.data.fill_(float('nan'))\n    return state\n"
    bad = plugin(tmp_path / "nan", LEVEL_2 + body, LEVEL_2_TOML)
    code, ends = run(tmp_path, bad)
    assert code == 0  # a diverged trial is a result, not a failure
    assert ends["nan"]["reason"] == "diverged"


def test_a_trial_that_hangs_is_ended_by_the_wall_limit(tmp_path: Path) -> None:
    bad = plugin(tmp_path / "hangs", LEVEL_2 + "    while True: pass\n", LEVEL_2_TOML)
    code, ends = run(tmp_path, bad, options=("--wall-limit", "6"))
    assert code == 1
    assert ends["hangs"]["reason"] == "hung"


@pytest.mark.skipif(sys.platform != "linux", reason="finding orphans needs Linux's subreaper")
def test_processes_that_a_submission_leaves_behind_are_killed(tmp_path: Path) -> None:
    mark = f"pacebench-test-{os.getpid()}"
    body = (
        "    import subprocess, sys\n"
        f"    subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)', '{mark}'],"
        " start_new_session=True)\n"
        "    return state\n"
    )
    bad = plugin(tmp_path / "forks", LEVEL_2 + body, LEVEL_2_TOML)
    code, ends = run(tmp_path, bad)
    assert (code, ends["forks"]["reason"]) == (0, "max_steps")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        left = [p for p in psutil.process_iter(["cmdline"]) if mark in (p.info["cmdline"] or [])]
        if not left:
            break
    assert left == []


BAD_METADATA = {
    "huge": ("x = '" + "y" * 2_000_000 + "'", "larger than 1000000 bytes"),
    "html name": ("name = '<script>alert(1)</script>'\n" + SPACE, "cannot be a submission's"),
    "path name": ("name = '../../escape'\n" + SPACE, "cannot be a submission's"),
    "not toml": ("name = ", "is not valid TOML"),
    "unknown key": ("autors = []\n" + SPACE, "did you mean 'authors'"),
    "no code": ("name = 'x'", "names no code"),
    "two styles": (SPACE + "algorithm = 'code'\n", "exactly one of"),
    "bad batch": ("batch_size = 0\n" + SPACE, "positive integer"),
    "bad space": (SPACE.replace("min = 0.01", "min = 1.0"), "min"),
    "no space": ("[torch]\nmake = 'code:make'\n", "has no search space"),
}


@pytest.mark.parametrize("name", BAD_METADATA)
def test_bad_metadata_is_one_clear_line_before_anything_runs(tmp_path: Path, name: str) -> None:
    toml, words = BAD_METADATA[name]
    bad = plugin(tmp_path / "bad", GOOD, toml)
    done = pacebench("run", bad, "--workload", "digits", "--rules", "dev", cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "runs").exists()


class Tags(html.parser.HTMLParser):
    """Collects the names of the tags of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.add(tag)


def test_html_in_texts_and_errors_stays_text_on_the_page(tmp_path: Path) -> None:
    evil = "<blink>evil</blink>"
    toml = f'description = "{evil}"\nauthors = ["{evil}"]\n' + LEVEL_2_TOML
    bad = plugin(tmp_path / "evil", LEVEL_2 + f"    raise RuntimeError('{evil}')\n", toml)
    good = plugin(tmp_path / "good", GOOD)
    run(tmp_path, bad, good)
    done = pacebench("report", "runs", "--out", "site", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    seen = set()
    for page in (tmp_path / "site").rglob("*.html"):
        tags = Tags()
        tags.feed(page.read_text())
        seen |= tags.tags
    assert "table" in seen
    assert "blink" not in seen
    assert "&lt;blink&gt;" in "".join(p.read_text() for p in (tmp_path / "site").rglob("*.html"))


def test_code_that_changed_since_the_plan_is_refused(tmp_path: Path) -> None:
    folder = plugin(tmp_path / "good", GOOD)
    run(tmp_path, folder)
    (folder / "code.py").write_text(GOOD + "# changed\n")
    limits = ("--trials", "1", "--max-steps", "5", "--rules", "dev", "--workload", "digits")
    done = pacebench("run", folder, *limits, cwd=tmp_path)
    assert done.returncode == 2
    assert "has changed since" in done.stderr


def test_the_users_folder_is_not_on_the_import_path(tmp_path: Path) -> None:
    """A folder named like one of ours, or like a library, in the working directory is ignored."""
    for name in ("submissions", "workloads", "tuning", "torch", "numpy"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('the wrong one')\n")
    code, ends = run(tmp_path, Path("adamw"))
    assert code == 0
    assert ends["adamw"]["reason"] == "max_steps"
