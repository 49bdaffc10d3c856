"""Importing a submission: AlgoPerf's names and its own, in its process only."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import jax
import pytest

from pacebench.compat.foreign import generation_of_loaded, import_submission
from tests.compat.helpers import SUBMISSIONS, foreign_imports


def _write(folder, **files):
    for name, text in files.items():
        path = folder / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return folder


def _child(code):
    """What a child process prints as JSON."""
    command = [sys.executable, "-P", "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_names_are_there_in_the_submissions_process_only():
    found = _child(
        f"""
        import json, sys
        from pathlib import Path
        import jax, jax.numpy as jnp
        before = "algoperf" in sys.modules, hasattr(jax, "tree_map")
        from pacebench.compat.foreign import import_submission
        import_submission(Path({str(SUBMISSIONS / "jax_pmap_adam")!r}), "submission", "jax")
        import algoperf.spec, algorithmic_efficiency.spec, jraph
        from algoperf.jax_sharding_utils import get_batch_dim_sharding
        clipped = jnp.clip(jnp.arange(4), a_min=1, a_max=2).tolist()
        clipped += jnp.clip(jnp.arange(4), 1, 2).tolist()
        tree = jax.tree_map(lambda a, b: a + b, [1, 2], [10, 20])
        same = algoperf.spec is algorithmic_efficiency.spec
        axis = get_batch_dim_sharding().spec[0]
        print(json.dumps([before, clipped, tree, same, axis]))
        """
    )
    assert found == [[False, False], [1, 1, 2, 2] * 2, [11, 22], True, "batch"]
    assert "algoperf" not in sys.modules
    assert "algorithmic_efficiency" not in sys.modules
    assert not hasattr(jax, "tree_map")
    with pytest.raises(TypeError):
        jax.numpy.clip(1, a_min=0)


def test_a_submission_imports_itself_by_its_repositorys_names(tmp_path):
    source = _write(
        tmp_path / "mine",
        submission="""
            import torch
            import submissions.self_tuning.mine.parts.rule as long
            from submissions.self_tuning.mine import helper
            from submissions_algorithms.old.team.mine.parts.rule import RULE
            from .parts import rule
            from .helper import VALUE
        """,
        helper="VALUE = 3",
        parts__rule="RULE = object()",
    )
    with foreign_imports():
        module = import_submission(source, "submission", "torch")
    assert module.long is module.rule
    assert module.RULE is module.rule.RULE
    assert module.helper.VALUE is module.VALUE


def test_a_renamed_folder_still_finds_its_own_modules(tmp_path):
    source = _write(
        tmp_path / "copy_of_it",
        submission="from submissions.external_tuning.its_old_name.helper import VALUE",
        helper="VALUE = 3",
    )
    with foreign_imports():
        assert import_submission(source, "submission", "torch").VALUE == 3


def test_folders_inside_serve_as_roots_of_the_import_path(tmp_path):
    source = _write(
        tmp_path / "rooted",
        submission="""
            from pace_test_utils.numbers import ONE
            from pace_test_utils import numbers
            import pace_test_types
        """,
        deep__pace_test_utils__numbers="import pace_test_types\nONE = pace_test_types.ONE",
        deep__pace_test_types="ONE = object()",
    )
    with foreign_imports():
        module = import_submission(source, "submission", "torch")
    assert module.ONE is module.pace_test_types.ONE is module.numbers.ONE


def test_of_folders_of_one_name_the_one_that_holds_what_is_imported_serves(tmp_path):
    source = _write(
        tmp_path / "twice",
        submission="from pace_test_tools.shapes import TWO\nimport pace_test_tools.numbers",
        examples__pace_test_tools__numbers="ONE = 1",
        optimizers__pace_test_tools__numbers="ONE = 1",
        optimizers__pace_test_tools__shapes="TWO = 2",
    )
    with foreign_imports():
        assert import_submission(source, "submission", "torch").TWO == 2


@pytest.mark.parametrize("name", ["submissions.team.mine.missing", "algoperf.data_utils"])
def test_a_module_that_is_not_there_is_not_found(name, tmp_path):
    source = _write(tmp_path / "mine", submission=f"import {name}")
    with foreign_imports(), pytest.raises(ModuleNotFoundError):
        import_submission(source, "submission", "torch")


@pytest.mark.parametrize(
    ("text", "is_v05", "uses_pmap"),
    [
        ("from algorithmic_efficiency import spec", True, False),
        ("import algoperf.spec", False, False),
        ("from algoperf import spec\nimport jax\nf = jax.pmap(abs)", False, True),
        ("from algorithmic_efficiency import spec\nfrom jax import pmap", True, True),
        ("import jax  # not jax.pmap\n'jax.pmap'\nf = jax.jit(abs)", False, False),
        (
            "try:\n from algoperf import spec\nexcept ImportError:\n"
            " from algorithmic_efficiency import spec",
            False,
            False,
        ),
    ],
)
def test_the_generation_is_told_from_the_code(text, is_v05, uses_pmap, tmp_path):
    source = _write(tmp_path / "mine", submission=text, unused="import jax\njax.pmap(abs)")
    with foreign_imports():
        import_submission(source, "submission", "jax")
        generation = generation_of_loaded()
    assert (generation.is_v05, generation.uses_pmap) == (is_v05, uses_pmap)


def test_over_devices_batch_norms_averages_are_averaged_and_the_first_replica_is_evaluated():
    found = _child(
        """
        import json
        from types import SimpleNamespace
        import jax
        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_num_cpu_devices", 2)
        import numpy as np
        from pacebench.compat.jax_layouts import PmapLayout
        from pacebench.compat.jax_sharding_utils import get_replicate_sharding
        whole = get_replicate_sharding()
        layout = PmapLayout(SimpleNamespace(n_devices=2, device=whole))
        params = layout.placed({"w": jax.device_put(np.arange(3.0), whole)})
        step = jax.pmap(lambda p, b: {"w": p["w"] + b["x"].sum()}, "batch", donate_argnums=0)
        batches = layout.placed_batches(iter([{"x": np.array([1.0, 2.0, 10.0, 20.0])}]))
        params = step(params, next(batches))
        state = {"batch_stats": params, "other": params}
        evaluated, state = layout.evaluable(params, state)
        assert evaluated["w"].sharding.is_equivalent_to(whole, 1)
        found = [params["w"], evaluated["w"], state["batch_stats"]["w"], state["other"]["w"]]
        print(json.dumps([a.tolist() for a in found]))
        """
    )
    # Device 0 adds 1 + 2, device 1 adds 10 + 20, to 0, 1, 2.
    first, second, average = [3, 4, 5], [30, 31, 32], [16.5, 17.5, 18.5]
    assert found == [[first, second], first, average, first]


@pytest.mark.parametrize(("n_ranks", "sees_ranks"), [("1", False), ("2", True)])
def test_one_rank_alone_sees_no_ranks_as_without_torchrun(
    n_ranks, sees_ranks, monkeypatch, tmp_path
):
    for name, value in (("RANK", "0"), ("LOCAL_RANK", "0"), ("WORLD_SIZE", n_ranks)):
        monkeypatch.setenv(name, value)
    source = _write(
        tmp_path / "mine",
        submission="""
            import os
            import torch
            seen = [name in os.environ for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE")]
        """,
    )
    with foreign_imports():
        module = import_submission(source, "submission", "torch")
    assert module.seen == [sees_ranks] * 3


def test_cuda_means_the_cpu_where_there_is_none_and_only_for_who_says_it(tmp_path):
    silent = _write(tmp_path / "silent", submission="import torch")
    says = _write(
        tmp_path / "says",
        submission="""
            import torch
            counter = torch.tensor(1.0, device="cuda")
            other = torch.zeros(2, device=torch.device("cuda", 0)) + counter
            layer = torch.nn.Linear(2, 1).to("cuda").cuda()
            moved = layer(other.to("cuda:0", torch.float32).cuda())
            alike = torch.ones_like(other, device="cuda")
        """,
    )
    found = _child(
        f"""
        import json
        from pathlib import Path
        import torch
        from pacebench.compat.foreign import import_submission
        torch.cuda.is_available = lambda: False
        before = torch.zeros
        import_submission(Path({str(silent)!r}), "submission", "torch")
        untouched = torch.zeros is before
        import sys
        for name in [n for n in sys.modules if n.startswith("pacebench_submission")]:
            del sys.modules[name]
        module = import_submission(Path({str(says)!r}), "submission", "torch")
        made = module.counter, module.other, module.moved, module.alike
        kinds = {{tensor.device.type for tensor in made}}
        print(json.dumps([untouched, sorted(kinds), module.other.tolist()]))
        """
    )
    assert found == [True, ["cpu"], [1.0, 1.0]]
