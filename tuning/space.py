"""Search spaces: parse and check them, and draw the points of a study's trials from them."""

from __future__ import annotations

import json
import keyword
import math
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pacebench.errors import SpaceError, unknown_name

SAME_POINTS = "same_points_in_every_study"
"""What AlgoPerf's code does (v0.5 and v0.6): `trials` points, the same ones for every study."""
SPLIT_POINTS = "split_over_studies"
"""What AlgoPerf's documentation says: `studies` * `trials` points, dealt out to the studies."""
HALTON_SHARINGS = (SAME_POINTS, SPLIT_POINTS)

SCALINGS = ("linear", "log")
# The keys of a dimension, and the key of a list of points in TOML.
_RANGE_KEYS = ("min", "max", "scaling")
_CHOICE_KEY = "feasible_points"
_POINTS_KEY = "points"


@dataclass(frozen=True, kw_only=True, slots=True)
class Range:
    """A number from `minimum` to `maximum`, spread evenly or evenly in its logarithm."""

    minimum: float
    maximum: float
    scaling: str
    """"linear" or "log"; a log range is positive."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """One of the listed values, each equally likely."""

    feasible_points: tuple[Any, ...]  # JSON values: numbers, texts, booleans, null, lists of them


@dataclass(frozen=True, kw_only=True, slots=True)
class Space:
    """Dimensions by hyperparameter name, in the file's order (it decides the Halton bases)."""

    dimensions: Mapping[str, Range | Choice]


@dataclass(frozen=True, kw_only=True, slots=True)
class PointList:
    """Points given one by one, tried in this order; all have the same names."""

    points: tuple[Mapping[str, Any], ...]  # the values are JSON values, as in Choice


def read_space(path: Path) -> Space | PointList:
    """Give the search space of a .json or .toml file.

    Raises SpaceError, which names the file, if it cannot be read, is not valid JSON or TOML, or
    holds no valid space (see `parse_space`).
    """
    readers = {".json": _read_json, ".toml": _read_toml}
    if path.suffix not in readers:
        raise SpaceError(f"{path} is not a search space file; its name must end in .json or .toml")
    try:
        raw = readers[path.suffix](path)
    except OSError as error:
        raise SpaceError(f"cannot read the search space {path}: {error.strerror}") from error
    except ValueError as error:  # of JSON, of TOML and of UTF-8
        raise SpaceError(f"{path} is not valid {path.suffix[1:].upper()}: {error}") from error
    return parse_space(raw, str(path))


def parse_space(raw: Any, where: str) -> Space | PointList:
    """Give the search space that a parsed JSON or TOML value describes.

    `raw` (Any: it comes from outside) maps names to `{min, max, scaling: linear|log}` or
    `{feasible_points: [...]}`, or is a list of points `[{name: value, ...}, ...]`; TOML, which
    has no bare lists, writes that one as `points = [...]`. Source: AlgoPerf's
    tuning_search_space.json, v0.5 and v0.6. Raises SpaceError that names `where` and the key.
    """
    if isinstance(raw, list):
        return _parse_points(raw, where)
    if not isinstance(raw, Mapping):
        raise SpaceError(
            f"{where} holds {_shown(raw)}; a search space is a table of hyperparameters or a "
            "list of points"
        )
    if isinstance(raw.get(_POINTS_KEY), list):
        if len(raw) > 1:
            others = ", ".join(sorted(set(raw) - {_POINTS_KEY}))
            raise SpaceError(f"{where}: a list of points stands alone; remove {others}")
        return _parse_points(raw[_POINTS_KEY], where)
    if not raw:
        raise SpaceError(f"{where} is empty; name at least one hyperparameter")
    for name in raw:
        _check_name(name, where)
    return Space(dimensions={n: _parse_dimension(r, f"{where}, {n}") for n, r in raw.items()})


def space_table(space: Space | PointList) -> Any:
    """Give a search space as JSON values, which `parse_space` reads back as the same space."""
    if isinstance(space, PointList):
        return [dict(point) for point in space.points]
    return {name: _dimension_table(one) for name, one in space.dimensions.items()}


def _dimension_table(dimension: Range | Choice) -> dict[str, Any]:
    if isinstance(dimension, Choice):
        return {"feasible_points": list(dimension.feasible_points)}
    return {"min": dimension.minimum, "max": dimension.maximum, "scaling": dimension.scaling}


def draw_points(
    space: Space | PointList, studies: int, trials: int, sharing: str
) -> list[list[dict[str, Any]]]:
    """Give the hyperparameters of every trial: a list of points for each of `studies` studies.

    A `Space` gives `trials` Halton points per study, in draw order: the same for every study, or
    (`sharing` = "split_over_studies") consecutive blocks of one draw, so that more studies do not
    change the points of the first ones. A `PointList` gives every study its first `trials` points,
    or all of them if there are fewer, as AlgoPerf does: look at the length. Raises SpaceError if
    `studies` or `trials` is below 1, UnknownNameError for an unknown `sharing`.
    """
    if sharing not in HALTON_SHARINGS:
        raise unknown_name("sharing of points", sharing, HALTON_SHARINGS)
    if studies < 1 or trials < 1:
        raise SpaceError(
            f"cannot draw {studies} studies of {trials} trials; both must be 1 or more"
        )
    if isinstance(space, PointList):
        return [[dict(point) for point in space.points[:trials]] for _ in range(studies)]
    n_blocks = studies if sharing == SPLIT_POINTS else 1
    from tuning.halton import unit_points  # it needs numpy, and only drawing does

    units_NK = unit_points(len(space.dimensions), n_blocks * trials).tolist()
    points = [
        {
            name: value_at(space.dimensions[name], u)
            for name, u in zip(space.dimensions, units_K, strict=True)
        }
        for units_K in units_NK
    ]
    starts = [(study % n_blocks) * trials for study in range(studies)]
    return [[dict(point) for point in points[start : start + trials]] for start in starts]


def value_at(dimension: Range | Choice, unit: float) -> Any:
    """Give the value of a dimension at `unit` in [0, 1): a float, or one of the feasible points.

    linear: unit * (max - min) + min; log: min * exp(unit * ln(max / min)); choice: the point with
    index floor(unit * n). Source: AlgoPerf v0.5 and v0.6, halton.py. Where we differ: rounding may
    step over an end of the range by a last digit, and then we give the end.
    """
    if isinstance(dimension, Choice):
        points = dimension.feasible_points
        return points[math.floor(unit * len(points))]
    low, high = dimension.minimum, dimension.maximum
    if dimension.scaling == "log":
        value = low * math.exp(unit * math.log(high / low))
    else:
        value = unit * (high - low) + low
    return min(max(value, low), high)


def _read_json(path: Path) -> Any:
    return json.loads(path.read_bytes(), object_pairs_hook=_without_repeats)


def _read_toml(path: Path) -> Any:
    return tomllib.loads(path.read_text(encoding="utf-8"))


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object as a dict; JSON itself would silently keep the last of two equal names."""
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"'{next(n for n in names if names.count(n) > 1)}' stands there twice")
    return table


def _parse_points(raw: list[Any], where: str) -> PointList:
    if not raw:
        raise SpaceError(f"{where} is an empty list; give at least one point")
    for number, point in enumerate(raw, start=1):
        at = f"{where}, point {number}"
        if not isinstance(point, Mapping) or not point:
            raise SpaceError(f"{at} is {_shown(point)}; a point is a table of names and values")
        odd = sorted(set(point) ^ set(raw[0]))
        if odd:
            raise SpaceError(
                f"{at} and point 1 must have the same names; they differ in {', '.join(odd)}"
            )
        for name, value in point.items():
            _check_name(name, at)
            _check_value(value, f"{at}, {name}")
    return PointList(points=tuple(dict(point) for point in raw))


def _parse_dimension(raw: Any, where: str) -> Range | Choice:
    if not isinstance(raw, Mapping):
        raise SpaceError(
            f"{where} is {_shown(raw)}; give min, max and scaling, or feasible_points "
            "(with one element for a fixed value)"
        )
    for key in raw:
        if key not in (*_RANGE_KEYS, _CHOICE_KEY):
            raise SpaceError(f"{where}: {unknown_name('key', key, (*_RANGE_KEYS, _CHOICE_KEY))}")
    if _CHOICE_KEY in raw:
        return _parse_choice(raw, where)
    missing = [key for key in _RANGE_KEYS if key not in raw]
    if missing:
        raise SpaceError(
            f"{where} lacks {' and '.join(missing)}; a range has min, max and scaling "
            "('linear' or 'log')"
        )
    return _parse_range(raw["min"], raw["max"], raw["scaling"], where)


def _parse_choice(raw: Mapping[str, Any], where: str) -> Choice:
    if len(raw) > 1:
        others = ", ".join(key for key in raw if key != _CHOICE_KEY)
        raise SpaceError(f"{where}: feasible_points stands alone; remove {others}")
    points = raw[_CHOICE_KEY]
    if not isinstance(points, list) or not points:
        raise SpaceError(f"{where}: feasible_points is {_shown(points)}; give a list of values")
    for point in points:
        _check_value(point, where)
    return Choice(feasible_points=tuple(points))


def _parse_range(low: Any, high: Any, scaling: Any, where: str) -> Range:
    for key, value in (("min", low), ("max", high)):
        if not _is_number(value):
            raise SpaceError(f"{where}: {key} is {_shown(value)}; it must be a finite number")
    low, high = float(low), float(high)
    if scaling not in SCALINGS:
        raise SpaceError(f"{where}: scaling is {_shown(scaling)}; it must be 'linear' or 'log'")
    if low >= high:
        raise SpaceError(
            f"{where}: min {low} is not below max {high}; for a fixed value give "
            f"feasible_points with one element"
        )
    if scaling == "log" and low <= 0:
        raise SpaceError(f"{where}: min {low} of a log range must be above 0; or scale it linear")
    if not _is_number(high / low if scaling == "log" else high - low):
        raise SpaceError(f"{where}: the range from {low} to {high} is too wide for float64")
    return Range(minimum=low, maximum=high, scaling=scaling)


def _check_name(name: str, where: str) -> None:
    """Refuse names that cannot be attributes: AlgoPerf hands a point over as a namedtuple."""
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
        raise SpaceError(
            f"{where}: '{name}' cannot name a hyperparameter; use letters, digits and "
            "underscores, starting with a letter"
        )


def _check_value(value: Any, where: str) -> None:
    if isinstance(value, list):
        for element in value:
            _check_value(element, where)
    elif not (value is None or isinstance(value, bool | str) or _is_number(value)):
        raise SpaceError(
            f"{where} has the value {_shown(value)}; allowed are finite numbers, texts, true, "
            "false, null and lists of them"
        )


def _is_number(value: Any) -> bool:
    """Whether it is a finite number; True and False are not numbers here."""
    is_numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return is_numeric and -sys.float_info.max <= value <= sys.float_info.max


def _shown(value: Any) -> str:
    """The value for a message, shortened."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
