"""Names whose use is against the rules, or for a person to look at: tables, and their reader."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from pacebench.fairplay.findings import Found, Level, Rule
from pacebench.fairplay.names import Names, Scope, words

_LATE = "it runs when the trial does not call the submission"


class Meaning(NamedTuple):
    """What using a name means."""

    rule: Rule
    level: Level
    reason: str


def _table(*groups: tuple[Rule, Level, str, str]) -> dict[str, Meaning]:
    return {
        name: Meaning(rule, level, reason)
        for rule, level, reason, names in groups
        for name in names.split()
    }


IMPORTS = _table(
    (
        Rule.NETWORK,
        Level.DENY,
        "a trial has no network: nothing may come in or go out",
        "socket socketserver ssl http urllib.request urllib3 requests aiohttp httpx ftplib smtplib "
        "imaplib poplib telnetlib xmlrpc paramiko boto3 botocore grpc zmq websockets wandb "
        "comet_ml neptune huggingface_hub gdown torch.hub google.cloud",
    ),
    (
        Rule.EVALUATION_DATA,
        Level.DENY,
        "data comes from the batches handed over and from nowhere else",
        "workloads sklearn.datasets torchvision.datasets torchaudio.datasets tensorflow_datasets "
        "datasets keras.datasets tensorflow.keras.datasets torchtext.datasets ogb "
        "pacebench.data pacebench.opening pacebench.plugins pacebench.shards "
        "algoperf.workloads algoperf.data_utils algorithmic_efficiency.workloads "
        "algorithmic_efficiency.data_utils",
    ),
    (
        Rule.INTERNALS,
        Level.DENY,
        "the benchmark's own parts are not the submission's; pacebench.spec, "
        "pacebench.schedules and pacebench.optimizers are",
        "pacebench",
    ),
    (Rule.INTERNALS, Level.DENY, "it reads and writes this process's memory", "ctypes cffi"),
)
"""Modules whose import tells; the longest name counts."""
ALLOWED_IMPORTS = (
    "pacebench.spec",
    "pacebench.schedules",
    "pacebench.optimizers",
    "pacebench.errors.SubmissionError",
)

USES = _table(
    (
        Rule.TIMER,
        Level.WARN,
        "it reads or waits for time; run.seconds_used() and run.seconds_left() are the clock",
        "time timeit datetime.datetime.now datetime.datetime.utcnow datetime.datetime.today "
        "datetime.date.today os.times resource.getrusage",
    ),
    (
        Rule.PROCESS,
        Level.DENY,
        "a process of its own works where the clock does not look",
        "subprocess os.system os.popen os.fork os.forkpty os.spawnl os.spawnle os.spawnlp "
        "os.spawnlpe os.spawnv os.spawnve os.spawnvp os.spawnvpe os.execl os.execle os.execlp "
        "os.execlpe os.execv os.execve os.execvp os.execvpe os.posix_spawn os.posix_spawnp "
        "multiprocessing torch.multiprocessing concurrent.futures.ProcessPoolExecutor pty "
        "joblib.Parallel ray dask pexpect",
    ),
    (
        Rule.THREAD,
        Level.WARN,
        "it starts a thread; one that lives into an evaluation works while the clock stands still",
        "threading.Thread threading.Timer _thread concurrent.futures.ThreadPoolExecutor asyncio "
        "multiprocessing.pool.ThreadPool multiprocessing.dummy torch.jit.fork torch.jit._fork "
        "logging.handlers.QueueListener",
    ),
    (
        Rule.INTERNALS,
        Level.DENY,
        "it looks for objects that the trial did not hand over",
        "gc.get_objects gc.get_referrers gc.get_referents sys._getframe sys._current_frames "
        "sys.modules sys.setprofile sys.settrace threading.setprofile threading.settrace "
        "sys.addaudithook inspect.currentframe inspect.stack inspect.trace inspect.getouterframes "
        "inspect.getinnerframes inspect.getclosurevars inspect.getgeneratorlocals "
        "inspect.getcoroutinelocals inspect.getasyncgenlocals traceback.walk_stack tracemalloc "
        "threading.enumerate threading._active",
    ),
    (
        Rule.RUN_FOLDER,
        Level.DENY,
        "the command line names the trial's folder, which is not the submission's to know",
        "sys.argv sys.orig_argv",
    ),
    (
        Rule.RUN_FOLDER,
        Level.WARN,
        "a command line's options name folders and the workload, which the trial does not tell",
        "absl.flags.FLAGS",
    ),
    (
        Rule.INTERNALS,
        Level.WARN,
        "it lists what an object holds, also what the trial did not hand over",
        "inspect.getmembers inspect.getmembers_static inspect.getattr_static",
    ),
    (
        Rule.DEFERRED_WORK,
        Level.DENY,
        _LATE,
        "signal gc.callbacks threading.excepthook sys.excepthook",
    ),
    (
        Rule.DEFERRED_WORK,
        Level.WARN,
        _LATE,
        "atexit weakref.finalize torch.nn.modules.module.register_module_forward_hook "
        "torch.nn.modules.module.register_module_forward_pre_hook",
    ),
    (
        Rule.DYNAMIC_CODE,
        Level.DENY,
        "code that is made when it runs cannot be read before",
        "builtins.exec builtins.eval builtins.compile marshal types.FunctionType types.CodeType "
        "runpy importlib.reload importlib.util importlib.machinery sys.meta_path sys.path_hooks "
        "code codeop",
    ),
    (
        Rule.DYNAMIC_CODE,
        Level.WARN,
        "what it finds cannot be read off the source",
        "builtins.globals builtins.__dict__ torch.utils.cpp_extension operator.attrgetter "
        "operator.methodcaller",
    ),
    (
        Rule.SETTINGS,
        Level.WARN,
        "precision, threads and cores are the rules' and the plan's to say",
        "torch.set_float32_matmul_precision torch.set_num_threads torch.set_num_interop_threads "
        "os.sched_setaffinity os.nice jax.default_matmul_precision",
    ),
)
"""Names whose use tells, with all that is below them; the longest name counts."""
EXEMPT = (
    "multiprocessing.cpu_count",
    "time.struct_time",
    "asyncio.Future",
    "importlib.util.find_spec",
)
TYPES = ("types.FunctionType", "types.CodeType")
"""Asking whether something is one is no use; making one is."""

OPEN_DOORS = words(
    "__closure__ cell_contents __globals__ __self__ __code__ __subclasses__ __builtins__ f_back "
    "f_locals f_globals gi_frame cr_frame ag_frame tb_frame"
)
"""Attributes by which Python code reaches what was not handed to it."""
_EVALUATING = re.compile(r"@workload\.(build_input_queue|eval_model)")
"""AlgoPerf's runner opens data and evaluates by these; `_private` ones are denied anyway."""
_PRIVATE = re.compile(r"@(run|batches|workload)\.(_|__dict__|gi_|open_sources)")
_HOOKS = ("register_forward_hook", "register_forward_pre_hook")


def meaning_of(dotted: str, table: Mapping[str, Meaning]) -> Meaning | None:
    """Give the meaning of a name, or of the longest part of it that has one."""
    if "()" in dotted:
        return None  # what a call gives: the call is judged
    parts = dotted.split(".")
    for n in range(len(parts), 0, -1):
        name = ".".join(parts[:n])
        if name in EXEMPT or name in ALLOWED_IMPORTS:
            return None
        if name in table:
            return table[name]
    return None


def find_uses(names: Names) -> Iterator[Found]:
    """Go through the findings that names alone give."""
    imported = tuple(f"{m}." for node, _ in names.nodes for m in _modules(node) if _is_told(m))
    for node, scope in names.nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from _imports(names, node)
        elif isinstance(node, ast.Name | ast.Attribute | ast.Subscript | ast.Call):
            yield from _use(names, node, scope)
        if isinstance(node, ast.Attribute):
            yield from _reached(names, node, scope, imported)
        elif isinstance(node, ast.FunctionDef) and node.name == "__del__":
            yield names.found(node, Rule.DEFERRED_WORK, "__del__", _LATE, Level.WARN)


def _is_told(module: str) -> bool:
    return meaning_of(module, IMPORTS) is not None


def _modules(node: ast.AST) -> list[str]:
    """Give the names that a statement imports, if they are not the submission's own files."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and not node.level:
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def _reached(
    names: Names, node: ast.Attribute, scope: Scope, imported: tuple[str, ...]
) -> Iterator[Found]:
    """Look at a module that is reached through one above it (`import torch; torch.hub.load`)."""
    if isinstance(names.parents.get(node), ast.Attribute):
        return  # the whole name is looked at once
    dotted = names.dotted(node, scope)
    meaning = meaning_of(dotted, IMPORTS)
    if meaning is not None and not dotted.startswith(imported):
        yield _told(names, node, meaning, f"reaches {dotted}")


def _imports(names: Names, node: ast.Import | ast.ImportFrom) -> Iterator[Found]:
    for module in _modules(node):
        if meaning := meaning_of(module, IMPORTS):
            yield _told(names, node, meaning, f"imports {module}")
        elif module.endswith(".*"):
            meaning = Meaning(Rule.DYNAMIC_CODE, Level.WARN, "its names cannot be told apart")
            yield _told(names, node, meaning, f"imports {module}")


def _use(names: Names, node: ast.expr, scope: Scope) -> Iterator[Found]:
    parent = names.parents.get(node)
    attribute = node.attr if isinstance(node, ast.Attribute) else ""
    if isinstance(parent, ast.Attribute) and attribute not in OPEN_DOORS:
        return  # the whole name is looked at once
    if isinstance(node, ast.Call):
        yield from _blind_lookup(names, node, scope)
    dotted = names.dotted(node, scope)
    is_made = isinstance(node, ast.Call | ast.Subscript)  # getattr(...), sys.modules[...]
    if is_made:
        if not dotted or dotted.endswith("()"):
            return
        attribute = dotted.rpartition(".")[2]
        if meaning := meaning_of(dotted, IMPORTS):
            yield _told(names, node, meaning, f"reaches {dotted}")
            return
    if _PRIVATE.match(dotted) or attribute in OPEN_DOORS:
        meaning = Meaning(
            Rule.INTERNALS, Level.DENY, "what the trial handed over is used by its public names"
        )
        yield _told(names, node, meaning, f"reads {dotted.lstrip('@') or attribute}")
    elif _EVALUATING.match(dotted):
        meaning = Meaning(
            Rule.EVALUATION_DATA,
            Level.DENY,
            "data comes from the batches handed over and from nowhere else",
        )
        yield _told(names, node, meaning, f"calls {dotted.lstrip('@')}")
    elif attribute in _HOOKS:
        meaning = Meaning(
            Rule.DEFERRED_WORK, Level.WARN, "a forward hook runs in evaluations too, uncharged"
        )
        yield _told(names, node, meaning, attribute)
    elif (meaning_ := meaning_of(dotted, USES)) is not None and _is_use(node, parent, dotted):
        if meaning_.rule is Rule.THREAD and _is_closed(names, node):
            meaning_ = Meaning(Rule.THREAD, Level.ALLOW, "a with statement ends its threads")
        yield _told(names, node, meaning_, dotted.removeprefix("builtins."))


def _is_use(node: ast.expr, parent: ast.AST | None, dotted: str) -> bool:
    """Whether this is more than the bare name of a module (an argument, a definition)."""
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        return False
    if dotted in TYPES:
        return isinstance(parent, ast.Call) and parent.func is node
    is_module = "." not in dotted
    return not is_module or isinstance(parent, ast.Assign | ast.Call)


def _is_closed(names: Names, node: ast.expr) -> bool:
    """Whether a pool is made by a with statement."""
    call = names.parents.get(node)
    return isinstance(call, ast.Call) and isinstance(names.parents.get(call), ast.withitem)


def _blind_lookup(names: Names, node: ast.Call, scope: Scope) -> Iterator[Found]:
    """Look at getattr and import by a name that is made when it runs."""
    function = names.dotted(node.func, scope)
    if function in ("builtins.__import__", "importlib.import_module"):
        if not (node.args and isinstance(node.args[0], ast.Constant)):
            meaning = Meaning(Rule.DYNAMIC_CODE, Level.WARN, "which module cannot be read")
            yield _told(names, node, meaning, "imports by a name made when it runs")
    elif (
        function == "builtins.getattr"
        and len(node.args) > 1
        and not isinstance(node.args[1], ast.Constant)
    ):
        base = names.dotted(node.args[0], scope)
        if base.startswith(("@run", "@batches", "@workload", "pacebench")) or any(
            base and f"{name}.".startswith(f"{base}.") for name in (*USES, *IMPORTS)
        ):
            meaning = Meaning(Rule.DYNAMIC_CODE, Level.WARN, "which attribute cannot be read")
            yield _told(names, node, meaning, f"getattr of {base.lstrip('@')} by a made-up name")


def _told(names: Names, node: ast.AST, meaning: Meaning, what: str) -> Found:
    return names.found(node, meaning.rule, what, meaning.reason, meaning.level)
