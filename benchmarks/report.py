"""How fast the competition's website is written and shown, and how much it weighs.

    python -m benchmarks.report --logs DIR [--rounds 5]       DIR holds external_tuning

1. `write_site` with all that it needs beside the score (intervals, sensitivity, curves, pages), a
   process of its own each round; goal: under 5 s after scoring, on 2 cores.
2. The weight of the data that pages load, apart from the plotting library; goal: under 1.5 MB.
3. With `--chromium PATH`: from opening the first page until its table is painted; goal: under 1 s.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.support import spread

GOAL_WRITE_SECONDS, GOAL_DATA_BYTES = 5.0, 1.5e6
WRITE = """
import json, sys, time
from pathlib import Path
from reports.results import results_of
from reports.site import write_site
from scoring import RunSelection, read_runs, score_runs
runs = read_runs([Path(sys.argv[1])], RunSelection(rules="algoperf-0.5"))
board = score_runs(runs)
start = time.monotonic()
write_site([results_of(runs, board)], Path(sys.argv[2]))
print(json.dumps([time.monotonic() - start, len(runs.trials)]))
"""
WATCH = """
(() => {
  const look = () => {
    const row = document.querySelector('#leaderboard tbody tr:last-child');
    if (row && row.getBoundingClientRect().height)
      requestAnimationFrame(() => requestAnimationFrame(note));
    else requestAnimationFrame(look);
  };
  const note = () => (window.shownAt = performance.now());
  requestAnimationFrame(look);
})();
"""
"""Notes when the frame after the one with the table's last row has been drawn."""


def write_times(logs: Path, out: Path, rounds: int) -> tuple[list[float], int]:
    """Write the website anew, each time in another process; gives seconds and number of trials."""
    seconds, n_trials = [], 0
    for _ in range(rounds):
        done = subprocess.run(
            [sys.executable, "-c", WRITE, str(logs), str(out)],
            capture_output=True,
            text=True,
            check=True,
        )
        taken, n_trials = json.loads(done.stdout)
        seconds.append(taken)
    return seconds, n_trials


def table_times(first_page: Path, chromium: str, rounds: int) -> list[float]:
    """Open the first page in new browsers; gives seconds until the table is drawn."""
    from playwright.sync_api import sync_playwright

    seconds = []
    with sync_playwright() as playwright:
        for _ in range(rounds):
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            page = browser.new_page()
            page.add_init_script(WATCH)
            page.goto(first_page.as_uri(), wait_until="commit")
            while (shown := page.evaluate("window.shownAt")) is None:
                time.sleep(0.02)
            seconds.append(shown / 1000)
            browser.close()
    return seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--logs", type=Path, required=True, help="AlgoPerf's logs")
    parser.add_argument("--chromium", help="the path of Chromium; without it part 3 is left out")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "site"
        seconds, n_trials = write_times(options.logs, out, options.rounds)
        ratios = [s / GOAL_WRITE_SECONDS for s in seconds]
        print(f"the website of {n_trials:,} trials, after scoring")
        print(f"  seconds: {spread(seconds)}, of the goal of 5: {spread(ratios)}")
        n_bytes = sum(path.stat().st_size for path in (out / "data").iterdir())
        share = n_bytes / GOAL_DATA_BYTES
        print(f"  page data: {n_bytes / 1e6:.2f} MB, of the goal of 1.5: {share:.2f}")
        if options.chromium:
            shown = table_times(out / "index.html", options.chromium, options.rounds)
            print(f"  seconds to the table, of the goal of 1: {spread(shown)}")


if __name__ == "__main__":
    main()
