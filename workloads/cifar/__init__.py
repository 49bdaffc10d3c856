"""cifar: AlgoPerf's development workload with batch norm, CIFAR-10 and a ResNet-18."""

from __future__ import annotations

from dataclasses import dataclass

from pacebench.metrics import Classification
from pacebench.spec import Loss, Workload
from workloads.cifar.data import SIZES, find_sizes, open_sources


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """The model: ResNet-18 as it is built for 32x32 images (AlgoPerf v0.6); stages halve them."""

    widths: tuple[int, ...] = (64, 128, 256, 512)
    n_blocks: tuple[int, ...] = (2, 2, 2, 2)
    n_classes: int = 10


def layout_of(config: Config) -> dict[str, str]:
    """Give the layout of a model: torch counts blocks by stage, flax through all stages."""
    layout = {"conv1": "Conv_init", "bn1": "BatchNorm_init"}
    n_before = 0
    for stage, n_blocks in enumerate(config.n_blocks):
        for block in range(n_blocks):
            torch_name, flax_name = f"layer{stage + 1}.{block}", f"ResNetBlock_{n_before + block}"
            for i in (0, 1):
                layout[f"{torch_name}.conv{i + 1}"] = f"{flax_name}/Conv_{i}"
                layout[f"{torch_name}.bn{i + 1}"] = f"{flax_name}/BatchNorm_{i}"
            if block == 0 and stage > 0:
                layout[f"{torch_name}.downsample.conv"] = f"{flax_name}/Conv_proj"
                layout[f"{torch_name}.downsample.bn"] = f"{flax_name}/BatchNorm_proj"
        n_before += n_blocks
    return layout | {"fc": "Dense_0"}


FULL = Workload(
    name="cifar",
    description="60,000 photographs of 32x32 pixels in 10 classes; a ResNet-18 with batch norm",
    suites=("dev",),
    sizes=SIZES,
    data_folder="cifar10",
    find_sizes=find_sizes,
    open_sources=open_sources,
    loss=Loss.SOFTMAX_CROSS_ENTROPY,
    metric=Classification(),
    model_config=Config(),
    torch_model="workloads.cifar.model_torch:build",
    flax_model="workloads.cifar.model_flax:build",
    n_parameters=11_173_962,  # AlgoPerf v0.6, both frameworks
    layout=layout_of(Config()),
    output_parameters={
        "torch": ("fc.weight", "fc.bias"),
        "jax": ("Dense_0/kernel", "Dense_0/bias"),
    },
    batch_size=1024,  # README: AlgoPerf's step_hint of 4,883 is then 5,000,000 images
    eval_batch_size=1024,  # AlgoPerf v0.6
    algoperf_name="cifar",
)

WORKLOADS = (FULL,)
