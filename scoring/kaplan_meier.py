"""Kaplan and Meier's estimate from times of which some are censored, without scipy's warnings."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def kaplan_meier(times: NDArray[np.float64], is_censored: NDArray[np.bool_]) -> pd.DataFrame:
    """Give the estimated share that lasts longer than `time`: `time`, `survival`, `low`, `high`.

    One row per different time, after one at time 0 with survival 1. `low` and `high` are the
    pointwise 95% interval by Greenwood's formula, cut to [0, 1]. Where survival is 0, or still 1
    after time 0, the formula divides by 0 or has no width, and the interval is NaN. Kaplan and
    Meier (1958), "Nonparametric Estimation from Incomplete Observations".
    """
    from scipy.stats import CensoredData, ecdf

    estimate = ecdf(CensoredData.right_censored(times, is_censored)).sf
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The confidence interval is undefined", RuntimeWarning)
        # Any: scipy-stubs take the two curves of the interval for numbers
        interval: Any = estimate.confidence_interval(confidence_level=0.95)
    survival = estimate.probabilities
    is_stated = (survival > 0.0) & (survival < 1.0)
    low = np.where(is_stated, interval.low.probabilities, math.nan)
    high = np.where(is_stated, interval.high.probabilities, math.nan)
    return pd.DataFrame(
        {
            "time": np.append(0.0, estimate.quantiles),
            "survival": np.append(1.0, survival),
            "low": np.append(1.0, low),
            "high": np.append(1.0, high),
        }
    )
