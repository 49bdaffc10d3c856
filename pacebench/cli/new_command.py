"""Write a plugin that runs as it is: a folder with submission.toml and a few lines of Python.

  pacebench new my_optimizer                          an optimizer in torch
  pacebench new my_optimizer --framework jax          an optax transformation
  pacebench new my_algorithm --level 2                the whole training step is yours

Level 1 gives an optimizer; the benchmark computes gradients, clips, smooths and drops out as the
hyperparameters say. Level 2 is init(run) -> state and step(run, state, batches) -> state, with
data selection and all. Then: pacebench check ./my_optimizer
"""

from __future__ import annotations

import argparse
import importlib.resources
import shutil
from pathlib import Path

from pacebench.errors import SubmissionError

HELP = "write a plugin that runs as it is"
STYLES = {1: ("make", "optimizer"), 2: ("algorithm", "algorithm")}
"""By level: the key in submission.toml (and the template's name), and the plugin's Python file."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("name", metavar="NAME", help="the submission's name, and its folder's")
    parser.add_argument("--framework", choices=("torch", "jax"), default="torch")
    parser.add_argument(
        "--level", type=int, choices=(1, 2), default=1, help="1: an optimizer; 2: the whole step"
    )
    parser.add_argument(
        "--out", type=Path, default=Path(), metavar="DIR", help="where to put it (here)"
    )


def run(args: argparse.Namespace) -> int:
    """Write the folder and say what to do next."""
    from pacebench.plugins import installed_submissions, read_folder

    if Path(args.name).name != args.name:
        raise SubmissionError(f"'{args.name}' is a path; give a name, and the folder with --out")
    if args.name in installed_submissions():
        raise SubmissionError(f"there is a submission '{args.name}' already; choose another name")
    folder = args.out / args.name
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise SubmissionError(
            f"{folder} exists and is not overwritten; choose another name or --out"
        ) from None
    _write(folder, args.framework, args.level)
    try:
        read_folder(folder)
    except SubmissionError:
        shutil.rmtree(folder)
        raise
    shown = folder if folder.is_absolute() else f"./{folder}"
    print(f"wrote {', '.join(str(path) for path in sorted(folder.iterdir()))}\nnext:")
    print(f"  pacebench check {shown}")
    print(f"  pacebench run {shown} --workload digits --rules dev")
    return 0


def _write(folder: Path, framework: str, level: int) -> None:
    template = importlib.resources.files("submissions.template")
    style, stem = STYLES[level]
    code = template.joinpath(f"{style}_{framework}.py").read_text(encoding="utf-8")
    (folder / f"{stem}.py").write_text(code, encoding="utf-8")
    address = f"{stem}:make" if style == "make" else stem
    metadata = template.joinpath("submission.toml").read_text(encoding="utf-8")
    table = f'[{framework}]\n{style} = "{address}"\n'
    (folder / "submission.toml").write_text(metadata + table, encoding="utf-8")
