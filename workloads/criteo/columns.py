"""The columns of a click log: how many, their buckets, and how their values are stored.

Source: AlgoPerf v0.6, criteo1tb, `input_pipeline`.
"""

from __future__ import annotations

import numpy as np

N_NUMBERS = 13
# How many buckets each category is hashed into.
BUCKETS = (
    *(39_884_406, 39_043, 17_289, 7_420, 20_263, 3, 7_120, 1_543, 63),
    *(38_532_951, 2_953_546, 403_346, 10, 2_208, 11_938, 155, 4, 976),
    *(14, 39_979_771, 25_641_295, 39_664_984, 585_935, 12_972, 108, 36),
)
N_CATEGORIES = len(BUCKETS)
N_FIELDS = 1 + N_NUMBERS + N_CATEGORIES
MISSING_CATEGORY = b"00000000"
"""What an empty field, or "-1", counts as; a missing number counts as 0."""

ID_TYPES = tuple(np.dtype(np.min_scalar_type(n - 1)) for n in BUCKETS)
"""The smallest types that hold the ids: 8 columns of 4 bytes, 10 of 2 and 8 of 1."""
STORED_COLUMNS = tuple(sorted(range(N_CATEGORIES), key=lambda c: -ID_TYPES[c].itemsize))
"""Categories in the order in which they are stored: the widest first, so that all lie aligned."""
ROW_BYTES = 4 * N_NUMBERS + sum(t.itemsize for t in ID_TYPES) + 1
"""Of a row on the disk: 113."""
