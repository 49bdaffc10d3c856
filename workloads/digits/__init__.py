"""digits: the 1,797 real handwritten digits that ship inside scikit-learn; ours, for laptops."""

from __future__ import annotations

from dataclasses import dataclass

from pacebench.metrics import Classification
from pacebench.spec import Loss, Workload
from workloads.digits.data import SIZES, find_sizes, open_sources


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """The model: a multilayer perceptron on 8×8 images."""

    n_inputs: int = 64
    n_hidden: tuple[int, ...] = (1024, 1024)
    n_classes: int = 10


FULL = Workload(
    name="digits",
    description="1,797 handwritten digits of 8×8 pixels, shifted at random; a small perceptron",
    suites=("dev",),
    sizes=SIZES,
    data_folder=None,
    find_sizes=find_sizes,
    open_sources=open_sources,
    loss=Loss.SOFTMAX_CROSS_ENTROPY,
    metric=Classification(),
    model_config=Config(),
    torch_model="workloads.digits.model_torch:build",
    flax_model="workloads.digits.model_flax:build",
    # 64·1024 + 1024 + 1024·1024 + 1024 + 1024·10 + 10
    n_parameters=1_126_410,
    layout={"layers.0": "Dense_0", "layers.1": "Dense_1", "layers.2": "Dense_2"},
    output_parameters={
        "torch": ("layers.2.weight", "layers.2.bias"),
        "jax": ("Dense_2/kernel", "Dense_2/bias"),
    },
    batch_size=128,
    eval_batch_size=512,
    algoperf_name="mnist",
)

WORKLOADS = (FULL,)
