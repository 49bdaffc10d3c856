"""The MINI workloads of imagenet: their sizes, counted by hand."""

from __future__ import annotations

import pytest

from pacebench.plugins import find_workload, resolve


def resnet_parameters() -> int:
    """Count the ResNet of widths 8, 16, 32, 64 with 1, 2, 1 and 1 bottleneck blocks."""
    total = 3 * 8 * 7 * 7 + 2 * 8  # the stem: convolution and batch norm
    n_in = 8
    for width, n_blocks in ((8, 1), (16, 2), (32, 1), (64, 1)):
        for block in range(n_blocks):
            n_out = 4 * width
            total += n_in * width + 9 * width * width + width * n_out  # 1x1, 3x3, 1x1
            total += 2 * width + 2 * width + 2 * n_out  # their batch norms
            if block == 0:
                total += n_in * n_out + 2 * n_out  # the projection
            n_in = n_out
    return total + 256 * 10 + 10


def vit_parameters() -> int:
    """Count the ViT of width 64 and depth 2 with patches of 8x8 pixels."""
    patches = 8 * 8 * 3 * 64 + 64
    attention = 4 * (64 * 64 + 64)
    mlp = 64 * 256 + 256 + 256 * 64 + 64
    block = attention + mlp + 2 * 2 * 64  # two layer norms
    return patches + 2 * block + 2 * 64 + (64 * 64 + 64) + (64 * 10 + 10)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("imagenet_resnet_mini", resnet_parameters()),
        ("imagenet_vit_mini", vit_parameters()),
    ],
)
def test_the_small_models_have_as_many_parameters_as_counted(name: str, wanted: int) -> None:
    pytest.importorskip("torch")
    workload = find_workload(name)
    model = resolve(workload.torch_model)(workload.model_config)
    assert sum(p.numel() for p in model.parameters()) == wanted == workload.n_parameters
