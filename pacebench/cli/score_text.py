"""A scoreboard as text: the leaderboard, the times, what is missing, and how sure it is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pacebench.cli.tables import aligned, counted, printable

if TYPE_CHECKING:
    import pandas as pd

    from scoring import Scoreboard
    from scoring.bootstrap import Sureness

_N_PLACES = 2
"""How many places of each kind of dirt are shown."""
_CLOSED = "*"


def leaderboard(board: Scoreboard, sure: Sureness) -> str:
    """Give one line per submission: rank, score, their intervals, band, workloads reached."""
    header = ["rank", "submission", "score", "95% interval", "ranks", "band", "reached"]
    intervals = sure.table.set_index("submission")
    rows = []
    for row in board.table.to_dict("records"):
        interval = intervals.loc[row["submission"]]
        rows.append(
            [
                str(row["rank"]),
                row["submission"],
                f"{row['score']:.4f}",
                _interval(interval, "score", ".3f"),
                _interval(interval, "rank", ".0f"),
                band_name(int(interval["band"])),
                f"{row['n_reached']}/{row['n_workloads']}",
            ]
        )
    return aligned(header, rows, right=["rank", "score", "reached"])


def times(board: Scoreboard) -> str:
    """Give the times on the workloads that are averaged over, headers broken at underscores."""
    names = [name.split("_") for name in board.columns.base]
    depth = max(map(len, names))
    header = [[""] * (depth - len(parts)) + parts for parts in names]
    rows = [["", *(parts[i] for parts in header)] for i in range(depth)]
    rows[-1][0] = "submission"
    for name in board.table["submission"]:
        rows.append([name, *(_cell(board, name, workload) for workload in board.columns.base)])
    # The first header line is empty where all names are short.
    columns = [str(i) for i in range(len(rows[0]))]
    text = aligned(columns, rows, right=columns[1:]).split("\n")[1:]
    if any(cell.endswith(_CLOSED) for row in rows[depth:] for cell in row):
        text.append(f"{_CLOSED} a gate makes this time a miss")
    return "\n".join(text)


def _cell(board: Scoreboard, submission: str, workload: str) -> str:
    time = float(board.times[workload][submission])
    is_closed = math.isfinite(time) and math.isinf(board.ratios[workload][submission])
    return time_text(time) + (_CLOSED if is_closed else "")


def header(board: Scoreboard) -> str:
    """Give the line on top: what was scored, by which rules."""
    n = board.studies.times.shape[2]
    return (
        f"rules {board.rules}, {board.ruleset} tuning, {board.method.name} scores over "
        f"{counted(len(board.columns.base), 'workload')}, {counted(n, 'study', 'studies')}"
    )


def notes(board: Scoreboard) -> Iterator[str]:
    """Give what keeps this from being a full score, then what is out of place in the runs."""
    if board.is_full_score:
        yield f"a full score of {board.rules}, {board.ruleset} tuning"
    for note in board.notes:
        yield f"note: {printable(note)}"
    if not board.notes and not board.is_full_score:
        short = [row["submission"] for row in board.table.to_dict("records") if not row["is_full"]]
        yield f"note: not a full score: trials of the plan are missing of {', '.join(short)}"
    for (kind, effect), group in board.dirt.groupby(["kind", "effect"], sort=True):
        places = list(group["where"])
        shown = "; ".join(printable(place) for place in places[:_N_PLACES])
        more = f"; and {len(places) - _N_PLACES} more" if len(places) > _N_PLACES else ""
        yield f"dirt: {kind} ({len(places)}, {effect}): {shown}{more}"


def dirt_list(dirt: pd.DataFrame) -> str:
    """Give every piece of dirt, one line each."""
    rows = [[d["kind"], d["effect"], d["where"]] for d in dirt.to_dict("records")]
    return aligned(["kind", "effect", "where"], rows)


def how_sure(sure: Sureness, changes: pd.DataFrame) -> Iterator[str]:
    """Give the short answer to "is this order real?"."""
    from scoring.text import change_text

    if sure.n_studies < 2:
        yield "how sure: one study says nothing about chance; run more (--studies 3)"
        return
    yield (
        f"how sure: {sure.n_resamples:,} resamples of the studies; 95% intervals; submissions "
        "whose order is not decided share a band"
    )
    if sure.n_single:
        yield f"  too sure: {counted(sure.n_single, 'time')} to target from a single study"
    best = sure.table[sure.table["p_best"] >= 0.005].sort_values("p_best", ascending=False)
    shares = [f"{printable(r['submission'])} {r['p_best']:.0%}" for r in best.to_dict("records")]
    yield f"  first place: {', '.join(shares)}"
    for change in changes.to_dict("records"):
        yield f"  {change_text(change)}"


def explanation(table: pd.DataFrame, submissions: Sequence[str]) -> Iterator[str]:
    """Say of every submission which cells make exact and published scores differ."""
    yield "published less exact, by cell:"
    for name in submissions:
        cells = table[table["submission"] == name]
        if cells.empty:
            yield f"  {printable(name)}: no difference"
            continue
        yield f"  {printable(name)}: {cells['score_change'].sum():+.6f}"
        for (field, why), group in cells.groupby(["field", "why"], sort=False):
            if field == "n_grid_points":
                places = ", ".join(group["workload"])
                yield f"    {group['score_change'].sum():+.6f}  {why} ({places})"
                continue
            for cell in group.to_dict("records"):
                yield (
                    f"    {cell['score_change']:+.6f}  {cell['workload']}: {why} "
                    f"(time {_change(cell, 'time')}, ratio {_change(cell, 'ratio')})"
                )


def latex(board: Scoreboard, sure: Sureness) -> str:
    """Give the leaderboard as a LaTeX table (booktabs)."""
    import pandas as pd

    intervals = sure.table.set_index("submission")
    rows = [
        {
            "Rank": row["rank"],
            "Submission": row["submission"],
            "Score": f"{row['score']:.4f}",
            "95% interval": _interval(intervals.loc[row["submission"]], "score", ".3f"),
            "Ranks": _interval(intervals.loc[row["submission"]], "rank", ".0f"),
            "Reached": f"{row['n_reached']}/{row['n_workloads']}",
        }
        for row in board.table.to_dict("records")
    ]
    text: str = pd.DataFrame(rows).to_latex(index=False, escape=True, column_format="rlrccr")
    return text.rstrip("\n").replace("\N{EN DASH}", "--")


def band_name(band: int) -> str:
    """Give a letter for a band: A, B, … Z, then numbers."""
    return chr(ord("A") + band - 1) if band <= 26 else str(band)


def time_text(time: float) -> str:
    """Give a time to five digits, or to the whole second."""
    form = ".5g" if time < 1e5 else ".0f"
    return format(time, form) if math.isfinite(time) else "missed"


def _interval(row: pd.Series[Any], what: str, form: str) -> str:
    low, high = row[f"{what}_low"], row[f"{what}_high"]
    if math.isnan(low):
        return "?"
    texts = (format(low, form), format(high, form))
    return texts[0] if low == high and form == ".0f" else "\N{EN DASH}".join(texts)


def _change(cell: Mapping[Any, Any], what: str) -> str:
    texts = [time_text(cell[f"{what}_{method}"]) for method in ("exact", "published")]
    return texts[0] if texts[0] == texts[1] else " to ".join(texts)
