"""fastmri with its variants, and fastmri_mini.

Source of batch sizes: AlgoPerf v0.6, fastmri. Targets and budgets are in the rules files; README.md
says where AlgoPerf's two frameworks differ.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from pacebench.spec import DataRequest, DataTools, Loss, Source, Workload
from workloads.fastmri import unet
from workloads.fastmri.scans import KNEES, PHANTOMS, ScanSet
from workloads.fastmri.ssim import Similarity

_PREPARATION = DataTools(
    prepare="workloads.fastmri.prepare:prepare",
    needed_bytes="workloads.fastmri.prepare:needed_bytes",
    raw_files=("knee_singlecoil_train.tar.xz", "knee_singlecoil_val.tar.xz"),
)


def find_sizes(scans: ScanSet, request: DataRequest) -> dict[str, int]:
    """Give the sizes of the splits found; raises DataError. Only now are readers loaded."""
    from workloads.fastmri import files

    return files.find_sizes(scans, request)


def open_sources(scans: ScanSet, request: DataRequest) -> dict[str, Source]:
    """Open the four splits; raises DataError. Only now are readers loaded."""
    from workloads.fastmri import data

    return data.open_sources(scans, request)


def _workload(
    name: str, description: str, scans: ScanSet, config: unet.Config, **changes: Any
) -> Workload:
    return Workload(
        name=name,
        description=description,
        sizes=scans.sizes,
        data_folder=scans.folder,
        find_sizes=partial(find_sizes, scans),
        open_sources=partial(open_sources, scans),
        loss=Loss.MEAN_ABSOLUTE_ERROR,
        metric=Similarity(),
        model_config=config,
        torch_model="workloads.fastmri.unet_torch:build",
        flax_model="workloads.fastmri.unet_flax:build",
        layout=unet.layout_of(config),
        output_parameters=unet.output_parameters(config),
        has_fixed_draws=True,
        is_read_ahead=True,
        **changes,
    )


def _full() -> tuple[Workload, ...]:
    variants = (
        ("fastmri", "a U-Net", unet.FULL, ("algoperf",)),
        ("fastmri_model_size", "a U-Net with 3 poolings instead of 4, wider", unet.MODEL_SIZE, ()),
        ("fastmri_tanh", "a U-Net with tanh", unet.TANH, ()),
        ("fastmri_layernorm", "a U-Net with layer norm", unet.LAYERNORM, ()),
    )
    return tuple(
        _workload(
            name,
            f"undersampled scans of knees to full ones, 34,742 slices; {text}",
            KNEES,
            config,
            suites=suites,
            n_parameters=unet.N_PARAMETERS[name],
            batch_size=32,  # of the submissions that set the targets (AlgoPerf v0.6)
            eval_batch_size=256,
            data_tools=_PREPARATION,
            algoperf_name=name,
        )
        for name, text, config, suites in variants
    )


# Ours: small enough for a minute on one core.
FASTMRI_MINI = _workload(
    "fastmri_mini",
    "480 generated slices of 48x48 pixels as undersampled k-space; a small U-Net",
    PHANTOMS,
    unet.MINI,
    suites=("mini",),
    n_parameters=116_385,
    batch_size=8,
    eval_batch_size=100,
    data_tools=DataTools(mini="workloads.fastmri.mini:write_mini"),
    algoperf_name="fastmri",
    algoperf_batch_divisor=4,  # 32 / 8
)

WORKLOADS = (*_full(), FASTMRI_MINI)
