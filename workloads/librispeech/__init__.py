"""librispeech_conformer, librispeech_deepspeech, their variants and their MINI workloads."""

from __future__ import annotations

from pacebench.spec import Workload

WORKLOADS: tuple[Workload, ...] = ()
