"""criteo1tb with its variants, and criteo1tb_mini.

Source of sizes and batch sizes: AlgoPerf v0.6, criteo1tb. Targets and budgets are in the rules
files; README.md says where AlgoPerf's two frameworks differ.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from pacebench.spec import (
    DataRequest,
    DataTools,
    EpochOrder,
    EvalOutputs,
    Loss,
    Source,
    Workload,
)
from workloads.criteo import dlrm
from workloads.criteo.clicks import CLICKS, CRITEO, ClickLog
from workloads.criteo.metric import MeanLoss

_PREPARATION = DataTools(
    prepare="workloads.criteo.prepare:prepare_criteo",
    needed_bytes="workloads.criteo.prepare:needed_bytes_criteo",
    raw_files=("day_0.gz", "…", "day_23.gz"),
)


def find_sizes(log: ClickLog, request: DataRequest) -> dict[str, int]:
    """Give the sizes of the splits found; raises DataError."""
    from workloads.criteo import files

    return files.find_sizes(log, request)


def open_sources(log: ClickLog, request: DataRequest) -> dict[str, Source]:
    """Open the four splits; raises DataError."""
    from workloads.criteo import data

    return data.open_sources(log, request)


def epoch_order(train: Source, seed: int) -> EpochOrder:
    """Give the order of one epoch of training: whole files in a random order."""
    from workloads.criteo import data

    return data.epoch_order(train, seed)


def _workload(
    name: str, description: str, log: ClickLog, config: dlrm.Config, **changes: Any
) -> Workload:
    return Workload(
        name=name,
        description=description,
        sizes=log.sizes,
        data_folder=log.folder,
        find_sizes=partial(find_sizes, log),
        open_sources=partial(open_sources, log),
        loss=Loss.SIGMOID_CROSS_ENTROPY,
        metric=MeanLoss(),
        model_config=config,
        torch_model="workloads.criteo.dlrm_torch:build",
        flax_model="workloads.criteo.dlrm_flax:build",
        layout=dlrm.layout_of(config),
        output_parameters=dlrm.output_parameters(config),
        epoch_order=epoch_order,
        eval_outputs=EvalOutputs.NOTHING,
        **changes,
    )


def _full() -> tuple[Workload, ...]:
    variants = (
        ("criteo1tb", "a DLRM", dlrm.FULL, ("qualification", "algoperf")),
        ("criteo1tb_layernorm", "a DLRM with layer norm", dlrm.LAYERNORM, ()),
        ("criteo1tb_embed_init", "a DLRM with large initial embeddings", dlrm.EMBED_INIT, ()),
        ("criteo1tb_resnet", "a DLRM of residual layers, without products", dlrm.RESNET, ()),
    )
    return tuple(
        _workload(
            name,
            f"4.2 billion shown advertisements, clicked or not; {text}",
            CRITEO,
            config,
            suites=suites,
            n_parameters=dlrm.N_PARAMETERS[name],
            batch_size=262_144,  # of the submissions that set the targets (AlgoPerf v0.6)
            eval_batch_size=131_072,  # AlgoPerf v0.6, jax
            data_tools=_PREPARATION,
            is_read_ahead=True,
            algoperf_name=name,
        )
        for name, text, config, suites in variants
    )


# Ours: small enough for a minute on one core.
CRITEO_MINI = _workload(
    "criteo1tb_mini",
    "200,000 generated advertisements with planted interactions; a small DLRM",
    CLICKS,
    dlrm.MINI,
    suites=("mini",),
    n_parameters=561_441,
    batch_size=2048,
    eval_batch_size=4000,
    data_tools=DataTools(mini="workloads.criteo.mini:write_mini"),
    algoperf_name="criteo1tb",
    algoperf_batch_divisor=128,  # 262,144 / 2,048
)

WORKLOADS = (*_full(), CRITEO_MINI)
