"""The reader of source finds planted cheats at their lines, and nothing in what is honest."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path

import pytest

from pacebench.fairplay.findings import Found, Level, Rule, in_order, worst
from pacebench.fairplay.source import MAX_FILE_BYTES
from pacebench.fairplay.verdict import read_source, verdict, verdict_json, workload_names
from tests.fairplay.planted import CHEATS, HONEST, Planted
from tests.support import REPOSITORY

SEEN_IN_SOURCE = [cheat for cheat in CHEATS if cheat.rule is not None]
SHIPPED = [
    *sorted(p for p in (REPOSITORY / "submissions").iterdir() if (p / "submission.toml").is_file()),
    *sorted(p for p in (REPOSITORY / "tests/compat/submissions").iterdir() if p.is_dir()),
]


def bad(found: list[Found]) -> list[Found]:
    return [one for one in found if one.level is not Level.ALLOW]


def read(folder: Path, code: str, name: str = "code.py") -> list[Found]:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code)
    return read_source(folder)


@pytest.mark.parametrize("cheat", SEEN_IN_SOURCE, ids=lambda c: c.name)
def test_a_planted_cheat_is_found_at_its_line(cheat: Planted, tmp_path: Path) -> None:
    found = bad(read_source(cheat.write(tmp_path)))
    assert (cheat.rule, cheat.place) in {(one.rule, one.place) for one in found}
    assert all("\n" not in one.reason for one in found)


@pytest.mark.parametrize("twin", HONEST, ids=lambda c: c.name)
def test_nothing_is_found_in_its_honest_twin(twin: Planted, tmp_path: Path) -> None:
    assert bad(read_source(twin.write(tmp_path))) == []


@pytest.mark.parametrize("folder", SHIPPED, ids=lambda p: p.name)
def test_nothing_is_found_in_what_is_shipped(folder: Path) -> None:
    assert bad(read_source(folder)) == []


@pytest.mark.parametrize("name", ["optax.contrib", "pytorch_optimizer.optimizer", "schedulefree"])
def test_no_rule_is_broken_by_a_librarys_optimizers(name: str) -> None:
    if importlib.util.find_spec(name.partition(".")[0]) is None:
        pytest.skip(f"{name} is not installed")
    root = importlib.util.find_spec(name.partition(".")[0]).submodule_search_locations[0]
    found = read_source(Path(root, *name.split(".")[1:]))
    assert [one for one in found if one.level is Level.DENY] == []


# One line each, in a step; which rule, and how bad.
LINES = {
    "import time as t; t.perf_counter()": (Rule.TIMER, Level.WARN),
    "from time import monotonic as m; m()": (Rule.TIMER, Level.WARN),
    "import time; clock = getattr(time, 'monotonic'); clock()": (Rule.TIMER, Level.WARN),
    "import datetime; datetime.datetime.now()": (Rule.TIMER, Level.WARN),
    "import time; setattr(time, 'monotonic', int)": (Rule.PATCHING, Level.DENY),
    "import time; time.__dict__['monotonic'] = int": (Rule.PATCHING, Level.DENY),
    "import time; vars(time).update(monotonic=int)": (Rule.PATCHING, Level.DENY),
    "__import__('time').monotonic = int": (Rule.PATCHING, Level.DENY),
    "import importlib; importlib.import_module('jax').jit = int": (Rule.PATCHING, Level.DENY),
    "import sys; sys.modules['time'].monotonic = int": (Rule.PATCHING, Level.DENY),
    "import sys; sys.modules['pacebench.clock'].Clock": (Rule.INTERNALS, Level.DENY),
    "from pacebench.clock import Clock": (Rule.INTERNALS, Level.DENY),
    "from pacebench.errors import DataError": (Rule.INTERNALS, Level.DENY),
    "from unittest import mock; mock.patch('time.monotonic')": (Rule.PATCHING, Level.DENY),
    "import gc; gc.get_objects()": (Rule.INTERNALS, Level.DENY),
    "import inspect; inspect.currentframe()": (Rule.INTERNALS, Level.DENY),
    "run.forward.__self__.wait": (Rule.INTERNALS, Level.DENY),
    "getattr(run.forward, '__self__')": (Rule.INTERNALS, Level.DENY),
    "run._evaluations": (Rule.INTERNALS, Level.DENY),
    "batches.gi_frame.f_locals": (Rule.INTERNALS, Level.DENY),
    "batches._source.read": (Rule.INTERNALS, Level.DENY),
    "run.seconds_used = int": (Rule.TRIAL_STATE, Level.DENY),
    "batches.position = 0": (Rule.TRIAL_STATE, Level.DENY),
    "setattr(run, 'step', 1)": (Rule.TRIAL_STATE, Level.DENY),
    "run.model.forward = int": (Rule.DEFERRED_WORK, Level.DENY),
    "import atexit; atexit.register(int)": (Rule.DEFERRED_WORK, Level.WARN),
    "import signal; signal.setitimer(0, 1)": (Rule.DEFERRED_WORK, Level.DENY),
    "import subprocess; subprocess.run(['true'])": (Rule.PROCESS, Level.DENY),
    "import os; os.system('true')": (Rule.PROCESS, Level.DENY),
    "import socket": (Rule.NETWORK, Level.DENY),
    "from urllib.request import urlopen": (Rule.NETWORK, Level.DENY),
    "import importlib; importlib.import_module('requests')": (Rule.NETWORK, Level.DENY),
    "import importlib; importlib.import_module('requests').get(run)": (Rule.NETWORK, Level.DENY),
    "import torch; torch.hub.load_state_dict_from_url('a')": (Rule.NETWORK, Level.DENY),
    "import torchvision; torchvision.datasets.MNIST('a')": (Rule.EVALUATION_DATA, Level.DENY),
    "import pacebench.spec; pacebench.clock.Clock": (Rule.INTERNALS, Level.DENY),
    "import pacebench.spec; pacebench.spec.Finished": None,
    "import os; os.environ['SECRET']": (Rule.ENVIRONMENT, Level.WARN),
    "from os import environ as e; e.get('SECRET')": (Rule.ENVIRONMENT, Level.WARN),
    "import os; os.environ.get('RANK')": (Rule.ENVIRONMENT, Level.ALLOW),
    "import os; os.environ['TRITON_CACHE_DIR'] = '/a'": (Rule.COMPILE_CACHE, Level.DENY),
    "import jax; jax.config.update('jax_compilation_cache_dir', 'a')": (
        Rule.COMPILE_CACHE,
        Level.DENY,
    ),
    "import torch; torch.backends.cuda.matmul.allow_tf32 = True": (Rule.SETTINGS, Level.WARN),
    "import torch; torch.backends.cudnn.benchmark = True": (Rule.SETTINGS, Level.ALLOW),
    "exec('x = 1')": (Rule.DYNAMIC_CODE, Level.DENY),
    "eval('1')": (Rule.DYNAMIC_CODE, Level.DENY),
    "import importlib; importlib.import_module('ti' + 'me')": (Rule.DYNAMIC_CODE, Level.WARN),
    "import time; getattr(time, 'mono' + 'tonic')": (Rule.DYNAMIC_CODE, Level.WARN),
    "open('/etc/passwd')": (Rule.FILES, Level.WARN),
    "from pathlib import Path; Path('notes').write_text('x')": (Rule.FILES, Level.WARN),
    "open(__file__ + '/../../../end.json')": (Rule.RUN_FOLDER, Level.DENY),
    "name = 'rows.jsonl'": (Rule.RUN_FOLDER, Level.DENY),
    "import sys; sys.argv[-1]": (Rule.RUN_FOLDER, Level.DENY),
    "import os; open(os.path.dirname(os.path.dirname(__file__)) + '/x')": (
        Rule.RUN_FOLDER,
        Level.DENY,
    ),
    "run.workload == 'digits'": (Rule.WORKLOAD_NAME, Level.DENY),
    "name = run.workload; fast = name.startswith('dig')": (Rule.WORKLOAD_NAME, Level.DENY),
    "rate = 1.0 if 'wm' in run.workload else 0.1": (Rule.WORKLOAD_NAME, Level.DENY),
    "hash(run.workload)": (Rule.WORKLOAD_NAME, Level.WARN),
    "getattr(run.hparams, f'rate_{run.workload}')": (Rule.WORKLOAD_NAME, Level.DENY),
    "[n for n in ('x', 'y') if n == 'mnist']": (Rule.WORKLOAD_NAME, Level.DENY),
    "rates = dict(mnist=0.1, wmt=0.2)": (Rule.WORKLOAD_TABLE, Level.DENY),
    "rates = {'lr': {'mnist': 0.1}}": (Rule.WORKLOAD_TABLE, Level.DENY),
    "x = sum(p.numel() for p in run.params.values()) == 50890": (Rule.FINGERPRINT, Level.DENY),
    "x = sum(p.numel() for p in run.params.values()) > 50890": (Rule.FINGERPRINT, Level.WARN),
    "x = [p for p in run.params.values() if p.shape == (784, 128)]": (
        Rule.FINGERPRINT,
        Level.DENY,
    ),
    "n = len(run.params); x = {52: 0.1, 161: 0.2}[n]": (Rule.FINGERPRINT, Level.DENY),
    "fast = run.step_hint == 19450": (Rule.FINGERPRINT, Level.DENY),
    "fast = 19000 < run.step_hint < 20000": (Rule.FINGERPRINT, Level.WARN),
    "x = hash(tuple(p.shape for p in run.params.values()))": (Rule.FINGERPRINT, Level.DENY),
    "x = 'blocks.3.conv.weight' in run.params": (Rule.FINGERPRINT, Level.WARN),
    "weights = " + repr([0.5] * 600): (Rule.MEMORISED_WEIGHTS, Level.WARN),
    "run.model.load_state_dict(state['w']); state['w'] = 1": None,
    "import torch; w = torch.load(__file__[:-7]); run.model.load_state_dict(w)": (
        Rule.MEMORISED_WEIGHTS,
        Level.DENY,
    ),
    "x = run.params['a'].shape[0] == 1": None,
    "shape = tuple(state); shape = tuple(shape); x = run.params['a'].shape == shape": None,
    "shape = tuple(state); shape = tuple(shape); x = shape == (784, 128)": None,
    "scale = max(run.params['a'].shape) ** 0.5": None,
    "f = lambda now=__import__('time').monotonic: now()": (Rule.TIMER, Level.WARN),
    "seen = run.evaluations; seen += [(1, {})]": (Rule.HISTORY, Level.DENY),
    "import os; 'SECRET' in os.environ": (Rule.ENVIRONMENT, Level.WARN),
    "from functools import *": (Rule.DYNAMIC_CODE, Level.WARN),
    "import gc; gc.collect()": None,
    "x = sum(run.params['a'].shape) > 1": None,
    "import types; isinstance(run.loss, types.FunctionType)": None,
    "import types; types.FunctionType(state, {})": (Rule.DYNAMIC_CODE, Level.DENY),
    "import importlib.util; importlib.util.find_spec('torch')": None,
    "import math; run.log({'rate': math.exp(0.1)})": None,
    "raise ValueError(f'{run.workload} has no bias')": None,
    "half = run.step >= run.step_hint // 2": None,
    "import torch; torch.compile(run.model); run.model.eval()": None,
    # What is put together from constants is read as what it comes to.
    "__import__('ti' + 'me').monotonic = int": (Rule.PATCHING, Level.DENY),
    "setattr(__import__('time'), ''.join(['mono', 'tonic']), int)": (Rule.PATCHING, Level.DENY),
    "import importlib; importlib.import_module('sklearn.' + 'datasets').load_digits()": (
        Rule.EVALUATION_DATA,
        Level.DENY,
    ),
    "getattr(run, 'evalu' f'ations').clear()": (Rule.HISTORY, Level.DENY),
    "getattr(run.log, '__clo' + 'sure__')": (Rule.INTERNALS, Level.DENY),
    "x = ''.join([state, '_a']) + 'b'; run.log({x: 1.0, '' + '': 2.0})": None,
    "import inspect; inspect.getgeneratorlocals(batches)": (Rule.INTERNALS, Level.DENY),
    "import inspect; inspect.getmembers(run)": (Rule.INTERNALS, Level.WARN),
    "from absl import flags; folder = flags.FLAGS.experiment_dir": (Rule.RUN_FOLDER, Level.WARN),
    "import torch; later = torch.jit.fork(int, state)": (Rule.THREAD, Level.WARN),
    "list.append(run.evaluations, (1, {}))": (Rule.HISTORY, Level.DENY),
    "import operator; operator.setitem(run.evaluations[-1][1], 'a', 1)": (
        Rule.HISTORY,
        Level.DENY,
    ),
    "dict.update(state, a=1); rows = list(run.evaluations); rows.append(1)": None,
    "from pathlib import Path; x = [(p / 'a').read_text() for p in Path(__file__).parents]": (
        Rule.RUN_FOLDER,
        Level.DENY,
    ),
    "import os; os.path.getsize(os.path.dirname(os.path.dirname(__file__)) + '/x')": (
        Rule.RUN_FOLDER,
        Level.DENY,
    ),
    "import os; os.path.exists('/usr/lib')": None,
    "x = 'digits' in run.model.__module__": (Rule.WORKLOAD_NAME, Level.DENY),
    "text = str(run.model); fast = 'Perceptron' in text": (Rule.WORKLOAD_NAME, Level.WARN),
    "print(str(run.model), repr(run.model))": None,
    "x = run.step_hint < 800 or run.step_hint < 20_000": (Rule.FINGERPRINT, Level.WARN),
    "x = run.step_hint < 800 or 800 > run.step_hint": None,
    "shapes = [p.shape for p in run.params.values()]; x = (784, 128) in shapes": (
        Rule.FINGERPRINT,
        Level.DENY,
    ),
    "import json; run.params['a'].copy_(json.loads(state))": (Rule.MEMORISED_WEIGHTS, Level.DENY),
    "import json; state['rate'] = json.loads(state['text'])": None,
    f"weights = [{[0.5] * 300}][0], 1; more = {[0.5] * 300}": (
        Rule.MEMORISED_WEIGHTS,
        Level.WARN,
    ),
}


@pytest.mark.parametrize("line", LINES, ids=lambda line: line[:60])
def test_a_line_is_judged_by_its_rule(line: str, tmp_path: Path) -> None:
    found = read(tmp_path, f"def step(run, state, batches):\n    {line}\n    return state\n")
    expected = LINES[line]
    if expected is None:
        assert bad(found) == []
    else:
        assert expected in {(one.rule, one.level) for one in found}
        assert {one.place for one in found} == {"code.py:2"}


MATCHED = {"(rows, columns)": [], "(3, 3, *_)": [], "(784, 128)": [Level.DENY]}


@pytest.mark.parametrize("pattern", MATCHED)
def test_a_match_of_a_shape_is_judged_by_its_sizes(pattern: str, tmp_path: Path) -> None:
    code = f"def f(p):\n    match p.shape:\n        case {pattern}:\n            return p\n"
    found = read(tmp_path, code)
    assert [one.level for one in found if one.rule is Rule.FINGERPRINT] == MATCHED[pattern]


ENDS = {
    "raise Finished": Level.DENY,
    "if run.step > 40: raise Finished": Level.DENY,
    "if state['loss'] < 0.1: raise Finished": Level.WARN,
    "if run.seconds_left() < 1: raise Finished": Level.ALLOW,
    "if any(m['validation/loss'] < 1 for _, m in run.evaluations): raise Finished": Level.ALLOW,
    "end = 2 * run.step_hint\n    if run.step == end: raise Finished('done')": Level.ALLOW,
    "if run.step < run.step_hint: return state\n    raise Finished": Level.ALLOW,
    "error = Finished()\n    if run.step > 40: raise error": Level.DENY,
    "class Done(Finished): ...\n    if run.step > 40: raise Done": Level.DENY,
    "if run.step > 40 and run.hparams.rate > 0: raise Finished": Level.DENY,
    "if run.step > run.hparams.n_steps: raise Finished": Level.ALLOW,
    "if run.step > 0.03 * run.step_hint: raise Finished": Level.DENY,
    "if run.step > run.step_hint / 20: raise Finished": Level.DENY,
    "if run.step > run.step_hint / 20 and run.evaluations[-1]: raise Finished": Level.ALLOW,
    "if run.step > 0.9 * run.step_hint: raise Finished": Level.ALLOW,
    "x = run.loss(state, 1)\n    if run.step > 1 and x.summed < 0.1: raise Finished": Level.DENY,
    "x = run.loss(state, 1)\n    if run.seconds_left() > 1 > x[0]: raise Finished": Level.DENY,
    "x = run.loss(state, 1)\n    if run.step > 1 and x.summed > 9: raise Finished": Level.WARN,
    "def stop(): raise Finished\n    if run.step > 40: stop()": Level.DENY,
    "try: next(state['rates'])\n    except StopIteration: raise Finished from None": Level.WARN,
}


@pytest.mark.parametrize("code", ENDS)
def test_an_end_is_judged_by_what_it_depends_on(code: str, tmp_path: Path) -> None:
    head = "from pacebench.spec import Finished\ndef step(run, state, batches):\n    "
    found = [f for f in read(tmp_path, head + code + "\n") if f.rule is Rule.FINISHED]
    assert [one.level for one in found] == [ENDS[code]]


def test_an_argument_that_is_called_like_a_module_is_not_the_module(tmp_path: Path) -> None:
    code = "import time\ndef f(time):\n    time.monotonic = 1\n    return time.monotonic()\n"
    assert bad(read(tmp_path, code)) == []


def test_arguments_are_known_by_their_place_whatever_they_are_called(tmp_path: Path) -> None:
    code = "def step(r, s, b):\n    r.evaluations.clear()\n    b.position = 0\n"
    found = read(tmp_path, code)
    assert {(f.rule, f.place) for f in found} == {
        (Rule.HISTORY, "code.py:2"),
        (Rule.TRIAL_STATE, "code.py:3"),
    }


def test_a_name_of_another_file_is_what_it_is_there(tmp_path: Path) -> None:
    read(tmp_path, "from pacebench.spec import Finished as Stop\nimport time as t\nx = 0\n", "a.py")
    code = "from .a import Stop\nfrom . import a\ndef step(run, state, batches):\n    a.x = 1\n"
    code += "    a.t.monotonic = int\n    if run.step > 40: raise Stop\n"
    found = [f for f in bad(read(tmp_path, code)) if f.place.startswith("code.py")]
    assert {(f.rule, f.place) for f in found} == {
        (Rule.PATCHING, "code.py:5"),
        (Rule.TIMER, "code.py:5"),
        (Rule.FINISHED, "code.py:6"),
    }


def test_a_function_for_batch_sizes_leaves_nothing_behind(tmp_path: Path) -> None:
    head = "KEPT = {}\ndef get_batch_size(workload_name):\n    sizes = {}\n    sizes['a'] = 1\n    "
    found = bad(read(tmp_path, head + "KEPT['rate'] = {'mnist': 0.1}[workload_name]\n"))
    assert {(f.rule, f.place) for f in found} == {(Rule.WORKLOAD_NAME, "code.py:5")}
    found = bad(read(tmp_path, head + "KEPT.update(name=workload_name)\n"))
    assert {(f.rule, f.place) for f in found} == {(Rule.WORKLOAD_NAME, "code.py:5")}
    assert bad(read(tmp_path, head + "return {'mnist': 64}[workload_name]\n")) == []


def test_many_numbers_in_a_data_file_are_told(tmp_path: Path) -> None:
    (tmp_path / "few.json").write_text(json.dumps([0.5] * 100))
    (tmp_path / "many.json").write_text(json.dumps({"a": [[0.5] * 300] * 2}))
    (found,) = read_source(tmp_path)
    assert (found.rule, found.place) == (Rule.MEMORISED_WEIGHTS, "many.json:1")
    assert found.level is Level.WARN


def test_a_table_in_a_data_file_is_found_and_metadata_is_not_one(tmp_path: Path) -> None:
    (tmp_path / "submission.toml").write_text("[batch_size]\nmnist = 64\nwmt = 128\n")
    (tmp_path / "rates.json").write_text('{"all": [{"wmt": 0.1}]}')
    (found,) = read_source(tmp_path)
    assert (found.rule, found.place) == (Rule.WORKLOAD_TABLE, "rates.json:1")


def test_a_file_in_a_deeper_folder_may_read_the_submissions_own(tmp_path: Path) -> None:
    line = "from pathlib import Path\ntext = (Path(__file__).parent{} / 'a.json').read_text()\n"
    read(tmp_path, line.format(".parent"), "deep/code.py")
    assert bad(read_source(tmp_path)) == []
    (found,) = bad(read(tmp_path, line.format(".parent.parent"), "deep/code.py"))
    assert (found.rule, found.place) == (Rule.RUN_FOLDER, "deep/code.py:2")


def test_whatever_lies_in_the_folder_the_reader_gives_findings(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("def (:\n")
    (tmp_path / "binary.py").write_bytes(bytes(range(256)))
    (tmp_path / "huge.py").write_bytes(b"#" * (MAX_FILE_BYTES + 1))
    (tmp_path / "deep.py").write_text("x = " + "(" * 5000 + ")" * 5000)
    (tmp_path / "long.py").write_text("x = " + " + ".join(["a.b"] * 400) + "\n")
    (tmp_path / "chain.py").write_text("x = y" + ".z" * 900 + "\n")
    (tmp_path / "ring.py").write_text("a = b\nb = a\na = a.c(b)\nb = b.d\nfor a in b: a.e = b\n")
    (tmp_path / "self.py").write_text("s = tuple(s)\nt = [t]\nx = s == (99,), p.shape == t\n")
    (tmp_path / "value.py").write_text("x.evaluations = a" + "()" * 1500 + "\n")
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "library.so").write_bytes(b"\x7fELF")
    (tmp_path / "weights.npz").write_bytes(b"PK")
    (tmp_path / "dangling.py").symlink_to("nowhere.py")
    (tmp_path / "ring").symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(tmp_path / "pipe.py")
    found = read_source(tmp_path)
    unread = {f.place.split(":")[0] for f in found if f.rule is Rule.UNREAD}
    wanted = {"broken.py", "binary.py", "huge.py", "deep.py", "library.so", "dangling.py"}
    assert unread == wanted | {"pipe.py"}
    assert [f.place for f in found if f.rule is Rule.MEMORISED_WEIGHTS] == ["weights.npz:1"]
    assert worst(found) is Level.WARN


def test_every_file_of_the_repository_can_be_read() -> None:
    packages = ("pacebench", "submissions", "scoring")
    found = [one for name in packages for one in read_source(REPOSITORY / name)]
    assert not [one for one in found if one.rule is Rule.UNREAD]
    assert all(one.reason and one.place for one in found)
    assert len(found) > 100  # the benchmark itself does all that a submission may not


def test_the_same_source_gives_the_same_bytes(tmp_path: Path) -> None:
    folder = CHEATS[0].write(tmp_path)
    first = verdict_json(folder)
    assert verdict_json(folder) == first
    said = verdict(folder)
    assert said["level"] == "deny"
    assert [f["place"] for f in said["findings"]] == [CHEATS[0].place]


def test_the_worst_comes_first_and_each_once() -> None:
    def found(level: Level, place: str) -> Found:
        return Found(rule=Rule.TIMER, place=place, level=level, reason="r")

    several = [
        found(Level.ALLOW, "a.py:2"),
        found(Level.WARN, "a.py:10"),
        found(Level.WARN, "a.py:9"),
        found(Level.DENY, "b.py:1"),
        found(Level.DENY, "b.py:1"),
    ]
    places = [(one.place, one.level) for one in in_order(several)]
    assert places == [
        ("b.py:1", "deny"),
        ("a.py:9", "warn"),
        ("a.py:10", "warn"),
        ("a.py:2", "allow"),
    ]
    assert worst(several) is Level.DENY
    assert worst([]) is Level.ALLOW


def test_workloads_are_known_by_our_names_and_algoperfs() -> None:
    assert {"digits", "wmt_mini", "imagenet_resnet", "finewebedu_lm"} <= workload_names()
