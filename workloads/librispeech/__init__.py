"""librispeech_conformer and librispeech_deepspeech with their variants, and their MINI workloads."""

from __future__ import annotations

from pacebench.spec import Workload

WORKLOADS: tuple[Workload, ...] = ()
