"""How long a trial takes from its launch to the end of its first step, and how much memory.

    python -m benchmarks.start [--rounds 5]

Launches `pacebench trial` on digits with one step in each framework, taking turns. The time is the
process's whole wall time less what came after the step (evaluation, logging, checkpoint), so the
supervisor and both starts of Python are in it. Goals on 2 cores: at most 5 s and 0.7 GB resident
in torch, at most 7 s in jax. The reference in the same run is a script that imports the framework
and makes one step of the same model.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.support import spread

BARE = {
    "torch": """
import torch
m = torch.nn.Sequential(torch.nn.Linear(64, 1024), torch.nn.ReLU(), torch.nn.Linear(1024, 1024),
                        torch.nn.ReLU(), torch.nn.Linear(1024, 10))
o = torch.optim.AdamW(m.parameters())
torch.nn.functional.cross_entropy(m(torch.rand(128, 64)), torch.zeros(128, dtype=int)).backward()
o.step()
""",
    "jax": """
import jax, optax, jax.numpy as jnp
from flax import linen as nn
m = nn.Sequential([nn.Dense(1024), nn.relu, nn.Dense(1024), nn.relu, nn.Dense(10)])
p = jax.jit(m.init)(jax.random.PRNGKey(0), jnp.ones((128, 64)))
o = optax.adamw(1e-3)
def loss(p):
    logits = m.apply(p, jnp.ones((128, 64)))
    return optax.softmax_cross_entropy_with_integer_labels(logits, jnp.zeros(128, int)).mean()
def step(p, s):
    u, s = o.update(jax.grad(loss)(p), s, p)
    return optax.apply_updates(p, u), s
jax.block_until_ready(jax.jit(step)(p, o.init(p)))
""",
}
SUBMISSIONS = {"torch": "adamw", "jax": "adamw_jax"}


def launch(command: list[str], cwd: str) -> tuple[float, float]:
    """Run a command; gives wall seconds and the largest resident GB of any of its processes."""
    start = time.monotonic()
    process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command} failed with status {status}")
    unit = 1 if sys.platform == "darwin" else 1024
    return time.monotonic() - start, usage.ru_maxrss * unit / 1e9


def our_start(framework: str) -> tuple[float, float]:
    """Launch a trial of one step."""
    with tempfile.TemporaryDirectory() as folder:
        plan = [sys.executable, "-m", "pacebench", "run", SUBMISSIONS[framework], "--plan-only"]
        plan += ["--workload", "digits", "--rules", "dev", "--trials", "1", "--max-steps", "1"]
        subprocess.run(plan, cwd=folder, check=True, stdout=subprocess.DEVNULL)
        trial = next(Path(folder).glob("runs/**/trial.json")).parent
        wall, memory = launch([sys.executable, "-m", "pacebench", "trial", str(trial)], folder)
        timing = json.loads((trial / "timing.jsonl").read_text().splitlines()[-1])
        after = sum(timing[s] for s in ("evaluation", "logging", "checkpoint", "other"))
        return wall - after, memory


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    for framework in SUBMISSIONS:
        ours, bare = [], []
        for _ in range(rounds):
            ours.append(our_start(framework))
            bare.append(launch([sys.executable, "-c", BARE[framework]], "."))
        print(f"{framework}: launch to the end of the first step")
        for what, index in (("seconds", 0), ("resident GB", 1)):
            ours_text, bare_text = (spread([m[index] for m in ms]) for ms in (ours, bare))
            print(f"  {what}: {ours_text}; a bare script: {bare_text}")


if __name__ == "__main__":
    main()
