"""What SpecAugment hides: stripes of time and of frequency, drawn anew for every example.

Source: AlgoPerf v0.6, librispeech (`spectrum_augmenter.py`), after Park et al. 2019
(arXiv:1904.08779). The width of a stripe is ⌊u · widest⌋ and its start ⌊v · (length - width + 1)⌋,
with u and v uniform in [0, 1); along time, `widest` is a share of the example's frames that are not
padding, and so is `length`. Hidden features become 0, which is the mean. AlgoPerf's cap of 40
frames and its number of masks by length are switched off there, and are not here.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class SpecAugment:
    """How much is hidden; the defaults are AlgoPerf's (v0.6, librispeech)."""

    n_time_stripes: int = 10
    widest_time_share: float = 0.05
    n_frequency_stripes: int = 2
    widest_frequency_bins: int = 27

    @property
    def n_numbers(self) -> int:
        """Numbers that an example takes: widths, then starts, of time, then of frequency."""
        return 2 * (self.n_time_stripes + self.n_frequency_stripes)
