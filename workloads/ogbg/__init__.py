"""ogbg with its variants, and the MINI workload.

Source of sizes and batch sizes: AlgoPerf v0.6, ogbg. Targets and budgets are in the rules files;
README.md says where AlgoPerf's two frameworks differ.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from pacebench.spec import DataRequest, DataTools, Loss, Source, Workload
from workloads.ogbg import gnn
from workloads.ogbg.files import find_sizes
from workloads.ogbg.metric import Labelled
from workloads.ogbg.molecules import MINI, PCBA, MoleculeSet
from workloads.ogbg.raw import RAW_FILES


def open_sources(molecules: MoleculeSet, request: DataRequest) -> dict[str, Source]:
    """Open the four splits; raises DataError."""
    from workloads.ogbg import data

    return data.open_sources(molecules, request)


def _workload(molecules: MoleculeSet, name: str, config: gnn.Config, **changes: Any) -> Workload:
    """Give a workload on a set of molecules."""
    return Workload(
        name=name,
        sizes={**molecules.sizes, "eval_train": molecules.n_eval_train},
        data_folder=molecules.folder,
        find_sizes=partial(find_sizes, molecules),
        open_sources=partial(open_sources, molecules),
        loss=Loss.SIGMOID_CROSS_ENTROPY,
        metric=Labelled(),
        model_config=config,
        torch_model="workloads.ogbg.gnn_torch:build",
        flax_model="workloads.ogbg.gnn_flax:build",
        layout=gnn.layout_of(config),
        output_parameters=gnn.output_parameters(config),
        default_dropout_rate=config.dropout_rate,
        algoperf_name=name.removesuffix("_mini"),
        **changes,
    )


def _full() -> tuple[Workload, ...]:
    variants = (
        ("ogbg", "a graph network", gnn.FULL, ("qualification", "algoperf")),
        ("ogbg_gelu", "a graph network with GELU", gnn.GELU, ()),
        ("ogbg_silu", "a graph network with SiLU", gnn.SILU, ()),
        (
            "ogbg_model_size",
            "a graph network of three steps with deeper and narrower layers",
            gnn.MODEL_SIZE,
            (),
        ),
    )
    return tuple(
        _workload(
            PCBA,
            name,
            config,
            description=f"350,000 molecules, 128 assays to be foretold; {text}",
            suites=suites,
            n_parameters=gnn.N_PARAMETERS[name],
            batch_size=512,  # of the submission that set the targets (AlgoPerf v0.6)
            eval_batch_size=32_768,
            data_tools=DataTools(
                prepare="workloads.ogbg.prepare:prepare_pcba",
                needed_bytes="workloads.ogbg.prepare:needed_bytes_pcba",
                raw_files=RAW_FILES,
                downloads="workloads.ogbg.molecules:ARCHIVES",
            ),
        )
        for name, text, config, suites in variants
    )


OGBG_MINI = _workload(
    MINI,
    "ogbg_mini",
    gnn.MINI,
    description="3,000 generated molecules, 8 labels that their structure decides; a small graph "
    "network",
    suites=("mini",),
    n_parameters=gnn.N_PARAMETERS["ogbg_mini"],
    batch_size=64,
    eval_batch_size=400,
    data_tools=DataTools(mini="workloads.ogbg.mini:write_mini"),
    algoperf_batch_divisor=8,  # 512 / 64
)

WORKLOADS = (*_full(), OGBG_MINI)
