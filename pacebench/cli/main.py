"""`pacebench`: parses the command line, runs one command, and turns our errors into one line."""

from __future__ import annotations

import argparse
import difflib
import importlib
import logging
import os
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from pacebench import __version__
from pacebench.errors import PacebenchError

COMMANDS = (
    "list",
    "run",
    "status",
    "score",
    "report",
    "new",
    "check",
    "data",
    "doctor",
    "calibrate_machine",
    "export",
    "import",
    "trial",
)
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

EPILOG = """\
a first leaderboard in three commands:
  pacebench run adamw nesterov_jax schedule_free_adamw --workload digits --rules dev --out runs
  pacebench score runs
  pacebench report runs --out site

an optimizer of your own:
  pacebench new my_optimizer
  pacebench check ./my_optimizer

exit codes: 0 fine, 1 something ran and failed (a trial, a check), 2 a mistake in the call or in
its input, 130 interrupted
"""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, with a suggestion for a mistyped word."""

    def error(self, message: str) -> NoReturn:
        """Print the message with a suggestion and exit with code 2."""
        text = f"{message}{self._suggestion(message)}; see {self.prog} --help"
        sys.stderr.write(f"{self.prog}: {text}\n")
        sys.exit(EXIT_USAGE)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Parse; what is left over is an error of this command, which knows its own options."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def _suggestion(self, message: str) -> str:
        known = [option for action in self._actions for option in action.option_strings]
        if "invalid choice" in message:
            known = re.findall(r"[\w.\-]+", message.split("choose from", 1)[-1])
        typed = re.search(r"(?:invalid choice: '|arguments: )([^' ]+)", message)
        close = difflib.get_close_matches(typed.group(1), known, n=1) if typed else []
        return f"; did you mean '{close[0]}'?" if close else ""


def build_parser() -> Parser:
    """Give the whole parser; every command's file adds its own options."""
    parser = Parser(
        prog="pacebench",
        description="Which training algorithm gets there first? Run, score and show a benchmark.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"pacebench {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        module = importlib.import_module(f"pacebench.cli.{name}_command")
        sub = commands.add_parser(
            name.replace("_", "-"),
            help=module.HELP,
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        module.add_arguments(sub)
        sub.set_defaults(run=module.run)
    return parser


def _keep_messages_plain() -> None:
    """Show warnings as plain lines, also after a library was imported that would format them."""
    if logging.lastResort is not None and not logging.root.handlers:
        logging.root.addHandler(logging.lastResort)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; gives the exit code."""
    args = build_parser().parse_args(argv)
    _keep_messages_plain()
    try:
        code: int = args.run(args)
    except PacebenchError as error:
        sys.stderr.write(f"pacebench: {error}\n")
        return EXIT_USAGE
    except KeyboardInterrupt:
        sys.stderr.write("pacebench: interrupted\n")
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # the reader (head, less) has gone; nothing is left to say
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        sys.stderr.write(f"pacebench: {where}{error.strerror or error}\n")
        return EXIT_USAGE
    return code
