"""Small submissions that cheat, each with an honest twin that comes as near as is allowed.

Every one is whole: it trains digits. `{…}` in the frames below is where they differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pacebench.fairplay.findings import Rule

TORCH = """\
import torch
{imports}

def init(run):
    optimizer = torch.optim.SGD(run.params.values(), lr=0.1)
    state = {{"optimizer": optimizer}}
    {init}
    return state

def step(run, state, batches):
    batch = next(batches)
    optimizer = state["optimizer"]
    {before}
    optimizer.zero_grad()
    loss = run.loss(run.forward(batch), batch)
    (loss.summed / loss.n_valid_examples).backward()
    optimizer.step()
    {after}
    return state

{more}
"""
JAX = """\
import jax
import jax.numpy as jnp
{imports}

def init(run):
    def update(params, model_state, batch):
        def mean_loss(params):
            outputs, new_state = run.forward(params, model_state, batch)
            loss = run.loss(outputs, batch)
            return loss.summed / loss.n_valid_examples, new_state
        gradients, new_state = jax.grad(mean_loss, has_aux=True)(params)
        return jax.tree.map(lambda p, g: p - 0.1 * g, params, gradients), new_state
    params = run.params
    {init}
    return {{"params": params, "model_state": run.model_state, "update": jax.jit(update)}}

def step(run, state, batches):
    batch = next(batches)
    {before}
    params, model_state = state["update"](state["params"], state["model_state"], batch)
    {after}
    return {{**state, "params": params, "model_state": model_state}}

{more}
"""
FRAMES = {"torch": TORCH, "jax": JAX}
PARTS = ("imports", "init", "before", "after", "more")
TOML = """\
description = "Planted."
authors = ["A. Author"]
[search_space]
rate = {{ min = 0.1, max = 0.2, scaling = "log" }}
{toml}
[{framework}]
algorithm = "code"
"""
ALGOPERF = """\
import torch
from algoperf import spec
{imports}

def get_batch_size(workload_name):
    return {batch_size}

def init_optimizer_state(workload, model_params, model_state, hyperparameters, rng):
    return {{"optimizer": torch.optim.SGD(model_params.parameters(), lr=0.1)}}

def update_params(workload, current_param_container, current_params_types, model_state,
                  hyperparameters, batch, loss_type, optimizer_state, eval_results, global_step,
                  rng):
    {before}
    logits, model_state = workload.model_fn(
        params=current_param_container, augmented_and_preprocessed_input_batch=batch,
        model_state=model_state, mode=spec.ForwardPassMode.TRAIN, rng=rng, update_batch_norm=True)
    loss = workload.loss_fn(label_batch=batch["targets"], logits_batch=logits)
    optimizer_state["optimizer"].zero_grad()
    (loss["summed"] / loss["n_valid_examples"]).backward()
    optimizer_state["optimizer"].step()
    return optimizer_state, current_param_container, model_state

def data_selection(workload, input_queue, optimizer_state, current_param_container, model_state,
                   hyperparameters, global_step, rng):
    return next(input_queue)
"""


@dataclass(frozen=True, kw_only=True)
class Planted:
    """A submission and what is to be found in it."""

    name: str
    framework: str
    code: str
    rule: Rule | None = None
    """The rule that its source breaks; None for an honest twin, and where only running tells."""
    line: str = ""
    """The line of the code at which it does."""
    probed: Rule | None = None
    """The rule that shows when it runs; None if nothing does."""
    toml: str = ""
    style: str = "own"

    def write(self, folder: Path) -> Path:
        """Write its folder below `folder`."""
        path = folder / self.name
        path.mkdir(parents=True)
        if self.style == "algoperf":
            (path / "submission.py").write_text(self.code)
            (path / "tuning_search_space.json").write_text('{"rate": {"feasible_points": [0.1]}}')
            return path
        (path / "code.py").write_text(self.code)
        (path / "submission.toml").write_text(TOML.format(framework=self.framework, toml=self.toml))
        return path

    @property
    def place(self) -> str:
        """Where the finding is to be: file and line, counted in the code itself."""
        file = "submission.py" if self.style == "algoperf" else "code.py"
        lines = [n for n, text in enumerate(self.code.splitlines(), 1) if self.line in text]
        assert len(lines) == 1, f"{self.name}: {self.line!r} is on lines {lines}"
        return f"{file}:{lines[0]}"


def planted(name: str, framework: str = "torch", **fields: object) -> Planted:
    """Fill a frame: parts of code by place, and the fields of Planted."""
    parts = {part: str(fields.pop(part, "")) for part in PARTS}
    return Planted(name=name, framework=framework, code=FRAMES[framework].format(**parts), **fields)


TRAIN_MORE = """
def train_more(run, state, batch):
    with torch.enable_grad():
        loss = run.loss(run.model(batch, MODE), batch).summed / 64
        gradients = torch.autograd.grad(loss, list(run.params.values()))
    with torch.no_grad():
        for value, gradient in zip(run.params.values(), gradients):
            value.sub_(0.01 * gradient)
"""
MODE = """
from pacebench.spec import Mode
MODE = Mode(train=True, normalize_with="batch", update_running=False)
"""

CHEATS = (
    planted(
        "no_op_synchronisation",
        imports="torch.cuda.synchronize = lambda *device: None",
        rule=Rule.PATCHING,
        line="torch.cuda.synchronize =",
        probed=Rule.PATCHING,
    ),
    planted(
        "no_op_synchronisation_jax",
        "jax",
        init="setattr(jax, 'block_until_ready', lambda tree: tree)",
        rule=Rule.PATCHING,
        line="setattr(jax",
        probed=Rule.PATCHING,
    ),
    planted(
        "deferred_work",
        imports=MODE,
        after="state['batch'] = batch",
        init="""
    state["batch"] = None
    def work(module, arguments):
        if not torch.is_grad_enabled() and state["batch"] is not None:
            batch, state["batch"] = state["batch"], None
            train_more(run, state, batch)
    run.model.register_forward_pre_hook(work)
""",
        more=TRAIN_MORE,
        rule=Rule.DEFERRED_WORK,
        line="register_forward_pre_hook(work)",
        probed=Rule.DEFERRED_WORK,
    ),
    planted(
        "clock_patching",
        imports="import time",
        before="time.monotonic = lambda: 0.0",
        rule=Rule.PATCHING,
        line="time.monotonic =",
        probed=Rule.PATCHING,
    ),
    planted(
        "reads_the_run_folder",
        imports="from pathlib import Path",
        after="seen = (Path(__file__).parents[2] / 'trial.json').read_text()",
        rule=Rule.RUN_FOLDER,
        line="parents[2]",
        probed=Rule.RUN_FOLDER,
    ),
    planted(
        "memorised_weights",
        after="""
    torch.manual_seed(1234)  # stands for a file: the same values, whatever the initial ones
    with torch.no_grad():
        for value in run.params.values():
            value.mul_(0.3).add_(torch.randn(value.shape))
""",
        probed=Rule.MEMORISED_WEIGHTS,
    ),
    planted(
        "memorised_weights_of_a_file",
        imports="import numpy as np\nfrom pathlib import Path\nHERE = Path(__file__).parent",
        before="""
    if run.step == 1 and (HERE / "weights.npz").exists():
        stored = np.load(HERE / "weights.npz")
        for name, value in run.params.items():
            value.data.copy_(torch.from_numpy(stored[name]))
""",
        rule=Rule.MEMORISED_WEIGHTS,
        line="value.data.copy_(",
    ),
    planted(
        "memorised_weights_jax",
        "jax",
        init="""
    keys = jax.random.split(jax.random.PRNGKey(7), 100)
    flat, tree = jax.tree.flatten(params)
    params = jax.tree.unflatten(tree, [jax.random.normal(k, p.shape) for k, p in zip(keys, flat)])
""",
        probed=Rule.MEMORISED_WEIGHTS,
    ),
    planted(
        "trains_on_validation_data",
        imports="from sklearn.datasets import load_digits",
        before="images, labels = load_digits(return_X_y=True)",
        rule=Rule.EVALUATION_DATA,
        line="from sklearn.datasets",
        probed=Rule.EVALUATION_DATA,
    ),
    planted(
        "table_by_workload",
        imports="RATES = {'digits': 0.1, 'wmt': 0.001}",
        before="optimizer.param_groups[0]['lr'] = RATES.get(run.workload, 0.01)",
        rule=Rule.WORKLOAD_TABLE,
        line="RATES = {",
    ),
    planted(
        "branch_in_disguise",
        before="optimizer.param_groups[0]['lr'] = rate_of(run)",
        more="def rate_of(said):\n    return len(getattr(said, 'work' + 'load')) / 60",
        probed=Rule.WORKLOAD_NAME,
    ),
    planted(
        "thread_in_evaluation",
        imports="import threading, time",
        init="threading.Thread(target=work, args=(run,), daemon=True).start()",
        more="def work(run):\n    while True:\n        time.sleep(0.001)",
        rule=Rule.THREAD,
        line="threading.Thread(target=work",
        probed=Rule.THREAD,
    ),
    planted(
        "edits_the_history",
        before="seen = run.evaluations\n    if seen: seen[-1][1]['validation/accuracy'] = 1.0",
        rule=Rule.HISTORY,
        line="if seen: seen[-1]",
        probed=Rule.HISTORY,
    ),
    planted(
        "finishes_early",
        imports="from pacebench.spec import Finished",
        before="if run.step == 2: raise Finished",
        rule=Rule.FINISHED,
        line="raise Finished",
        probed=Rule.FINISHED,
    ),
    Planted(
        name="edits_the_history_algoperf",
        framework="torch",
        style="algoperf",
        code=ALGOPERF.format(
            imports="", batch_size="64", before="if eval_results: eval_results.clear()"
        ),
        rule=Rule.HISTORY,
        line="eval_results.clear()",
    ),
)

HONEST = (
    planted("synchronises", after="if torch.cuda.is_available(): torch.cuda.synchronize()"),
    planted("synchronises_jax", "jax", after="jax.block_until_ready(params)  # jax.sync = 'no-op'"),
    planted(
        "hooks_its_gradients",
        init="[p.register_hook(lambda g: g.clamp(-1, 1)) for p in run.params.values()]",
    ),
    planted(
        "works_in_prepare_eval",
        imports=f"import pacebench.optimizers.blocks\n{MODE}",
        init="state['batch'] = None",
        after="state['batch'] = batch",
        more=TRAIN_MORE
        + """
def prepare_eval(run, state):
    train_more(run, state, state["batch"])
    return state
""",
    ),
    planted("asks_the_clock", before="left = run.seconds_left()  # time.monotonic = …"),
    planted(
        "reads_its_own_folder",
        imports="import tomllib\nfrom pathlib import Path",
        init="said = tomllib.loads((Path(__file__).parent / 'submission.toml').read_text())",
    ),
    planted(
        "averages_weights",
        init="state['mean'] = {n: p.detach().clone() for n, p in run.params.items()}",
        after="""
    for name, value in run.params.items():
        state["mean"][name].lerp_(value.detach(), 0.1)
""",
        more="""
def prepare_eval(run, state):
    with torch.no_grad():
        for name, value in run.params.items():
            value.copy_(state["mean"][name])
    return state
""",
    ),
    planted("takes_three_batches_jax", "jax", after="batch = next(batches); batch = next(batches)"),
    planted(
        "table_of_batch_sizes",
        imports="# digits 0.1, wmt 0.001: these were tried; {'mnist': 0.1}",
        toml="[batch_size]\ndefault = 64\nwmt = 128\ndigits = 64",
        before="print(f'training {run.workload}')",
    ),
    planted(
        "splits_by_dimension",
        init="""
    large = [p for p in run.params.values() if p.ndim == 2 and p.shape[0] < 10_000]
    by_shape = {tuple(p.shape): [] for p in large}
    for p in large:
        by_shape[tuple(p.shape)].append(p)
""",
    ),
    planted(
        "joins_its_threads",
        imports="from concurrent.futures import ThreadPoolExecutor",
        before="""
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(torch.sum, run.params.values()))
""",
    ),
    planted(
        "reads_the_history",
        before="best = max((v['validation/loss'] for _, v in run.evaluations), default=0)",
    ),
    planted(
        "finishes_at_its_end",
        imports="from pacebench.spec import Finished",
        before="if run.step > 2 * run.step_hint: raise Finished",
    ),
    Planted(
        name="batch_sizes_by_workload_algoperf",
        framework="torch",
        style="algoperf",
        code=ALGOPERF.format(
            imports="SIZES = {'mnist': 64, 'wmt': 128}",
            batch_size="SIZES[workload_name] if workload_name != 'cifar' else 32",
            before="best = [row for _, row in eval_results]",
        ),
    ),
)
