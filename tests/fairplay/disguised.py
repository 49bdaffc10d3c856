"""Small submissions whose source does not say what they do; running them shows it."""

from __future__ import annotations

from pacebench.fairplay.findings import Rule
from tests.fairplay.planted import ALGOPERF, MODE, TRAIN_MORE, Planted, planted

KEEPER = """
class Keeper:
    def __init__(self, run):
        self.run, self.batch = run, None
    def state_dict(self):
        if self.batch is not None:
            train_more(self.run, {}, self.batch)
        return {}
    def load_state_dict(self, tree):
        pass
"""
CLOCK = """
def cells(function):
    return [getattr(c, LETTERS[1]) for c in getattr(function, LETTERS[0]) or ()]
def cheapen(function):
    for value in cells(function):
        if hasattr(value, "_spent"):
            value._spent["evaluation"] += value._spent["submission"]
            value._spent["submission"] = 0.0
        elif callable(value) and hasattr(value, LETTERS[0]):
            cheapen(value)
        elif hasattr(value, "charged_seconds"):
            cheapen(value.charged_seconds)
"""

DISGUISED = (
    planted(
        "patches_by_a_function_of_its_own",
        init="put(torch.cuda, lambda *device: None)",
        more="def put(module, value):\n    setattr(module, 'synchronize', value)",
        probed=Rule.PATCHING,
    ),
    planted(
        "changes_what_a_function_runs",
        imports="import time\ndef nothing(device=None): ...",
        init="put(torch.cuda.synchronize, nothing)",
        more="def put(function, other):\n    setattr(function, NAME, getattr(other, NAME))\n"
        "NAME = '_'.join(['', '', 'code', '', ''])",
        probed=Rule.PATCHING,
    ),
    planted(
        "waits_for_no_array_jax",
        "jax",
        init="type(jax.tree.leaves(params)[0]).block_until_ready = lambda array: array",
        probed=Rule.PATCHING,
    ),
    planted(
        "moves_seconds_to_the_evaluation",
        imports="LETTERS = [f'__{w}__' if w == 'closure' else w for w in\n"
        "           ('closure', 'cell' + chr(95) + 'contents')]",
        before="cheapen(run.seconds_used)\n    sum(float(torch.rand(2000, 2000).sum()) "
        "for _ in range(10))",
        more=CLOCK,
        probed=Rule.PATCHING,
    ),
    planted(
        "works_while_a_checkpoint_is_written",
        imports=MODE,
        init="state['keeper'] = Keeper(run)",
        after="state['keeper'].batch = batch",
        more=TRAIN_MORE + KEEPER,
        probed=Rule.DEFERRED_WORK,
    ),
    planted(
        "leaves_an_idle_thread",
        imports="import asyncio, importlib",
        init="made = getattr(importlib.import_module('thr' + 'eading'), 'Thread')\n"
        "    made(target=asyncio.new_event_loop().run_forever, daemon=True).start()",
        probed=Rule.THREAD,
    ),
    Planted(
        name="edits_the_history_by_a_function_algoperf",
        framework="torch",
        style="algoperf",
        code=ALGOPERF.format(
            imports="def put(rows):\n    for row in rows: row[1]['validation/accuracy'] = 1.0\n",
            batch_size="64",
            before="put(eval_results)",
        ),
        probed=Rule.HISTORY,
    ),
)
