"""mnist: AlgoPerf's smallest development workload, 28x28 digits and a one-layer perceptron."""

from __future__ import annotations

from dataclasses import dataclass

from pacebench.metrics import Classification
from pacebench.spec import Loss, Workload
from workloads.mnist.data import SIZES, find_sizes, open_sources


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """The model: 784 pixels, one hidden layer with a sigmoid, 10 classes (AlgoPerf v0.6)."""

    n_inputs: int = 28 * 28
    n_hidden: int = 128
    n_classes: int = 10


FULL = Workload(
    name="mnist",
    description="60,000 handwritten digits of 28x28 pixels; a perceptron with 128 hidden units",
    suites=("dev",),
    sizes=SIZES,
    data_folder="mnist",
    find_sizes=find_sizes,
    open_sources=open_sources,
    loss=Loss.SOFTMAX_CROSS_ENTROPY,
    metric=Classification(),
    model_config=Config(),
    torch_model="workloads.mnist.model_torch:build",
    flax_model="workloads.mnist.model_flax:build",
    n_parameters=101_770,  # 784·128 + 128 + 128·10 + 10; AlgoPerf v0.6 has as many
    layout={"net.layer1": "Dense_0", "net.layer2": "Dense_1"},
    output_parameters={
        "torch": ("net.layer2.weight", "net.layer2.bias"),
        "jax": ("Dense_1/kernel", "Dense_1/bias"),
    },
    batch_size=1024,  # README: AlgoPerf's step_hint of 7,813 is then 8,000,000 images
    eval_batch_size=10_000,  # AlgoPerf v0.6
    algoperf_name="mnist",
)

WORKLOADS = (FULL,)
