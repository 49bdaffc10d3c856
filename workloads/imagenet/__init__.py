"""imagenet_resnet and imagenet_vit with their variants, and the MINI workloads of both.

Source of sizes and batch sizes: AlgoPerf v0.6, imagenet_resnet and imagenet_vit. Targets and
budgets are in the rules files; README.md says where AlgoPerf's two frameworks differ.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from pacebench.metrics import Classification
from pacebench.spec import Batch, DataRequest, DataTools, Loss, Source, Workload
from workloads.imagenet import resnet, shapes, vit
from workloads.imagenet.files import ImageSet, Preprocessing, find_sizes
from workloads.imagenet.mixup import mixup
from workloads.imagenet.prepare import RAW_FILES
from workloads.imagenet.windows import AREA_RANGE

IMAGENET = ImageSet(
    name="imagenet",
    folder="imagenet",
    n_classes=1000,
    # AlgoPerf v0.6: ILSVRC-2012, and ImageNet-v2 (matched frequency) as the test set.
    sizes={"train": 1_281_167, "validation": 50_000, "test": 10_000},
    help="workloads/imagenet/README.md says how to get it",
)
SHAPES = ImageSet(
    name="imagenet_mini",
    folder=shapes.FOLDER,
    n_classes=len(shapes.CLASSES),
    sizes={
        split: len(shapes.CLASSES) * shapes.N_PER_CLASS[folder]
        for split, folder in (("train", "train"), ("validation", "val"), ("test", "test"))
    },
    help="pacebench data mini imagenet_resnet_mini --data-dir DIR writes it",
)
_PREPARATION = DataTools(
    prepare="workloads.imagenet.prepare:prepare",
    needed_bytes="workloads.imagenet.prepare:needed_bytes",
    raw_files=RAW_FILES,
)


def _on_imagenet(eval_batch_size: int, *, is_randaugmented: bool) -> dict[str, Any]:
    """Give what a FULL workload has of its data."""
    # AlgoPerf v0.6: as many training images as fill the batches of the validation set.
    n_eval_train = math.ceil(IMAGENET.sizes["validation"] / eval_batch_size) * eval_batch_size
    how = Preprocessing(
        n_side=224,
        area_range=AREA_RANGE,
        is_randaugmented=is_randaugmented,
        n_eval_train=n_eval_train,
    )
    return {"eval_batch_size": eval_batch_size, **_reading(IMAGENET, how)}


def _reading(images: ImageSet, how: Preprocessing) -> dict[str, Any]:
    return {
        "sizes": {**images.sizes, "eval_train": how.n_eval_train},
        "data_folder": images.folder,
        "find_sizes": partial(find_sizes, images, how),
        "open_sources": partial(open_sources, images, how),
        "is_read_ahead": True,
    }


def open_sources(images: ImageSet, how: Preprocessing, request: DataRequest) -> dict[str, Source]:
    """Open the four splits; raises DataError. Only now is the decoder of images loaded."""
    from workloads.imagenet import data

    return data.open_sources(images, how, request)


def _mix_shapes(rows: Batch, seed: int) -> Batch:
    return mixup(rows, seed, SHAPES.n_classes)


def _workload(family: Any, name: str, description: str, config: Any, **changes: Any) -> Workload:
    """Give a workload of `family`, one of the modules resnet and vit."""
    return Workload(
        name=name,
        description=description,
        loss=Loss.SOFTMAX_CROSS_ENTROPY,
        metric=Classification(),
        model_config=config,
        torch_model=f"{family.__name__}_torch:build",
        flax_model=f"{family.__name__}_flax:build",
        layout=family.layout_of(config),
        output_parameters=family.OUTPUT_PARAMETERS,
        **changes,
    )


def _full_resnets() -> tuple[Workload, ...]:
    images = _on_imagenet(1024, is_randaugmented=False)
    variants = (
        # Batch sizes: of the submissions that set the targets (AlgoPerf v0.6).
        ("imagenet_resnet", "a ResNet-50", resnet.FULL, 1024, ("algoperf",)),
        ("imagenet_resnet_silu", "a ResNet-50 with SiLU", resnet.SILU, 512, ()),
        ("imagenet_resnet_gelu", "a ResNet-50 with GELU", resnet.GELU, 512, ()),
        (
            "imagenet_resnet_large_bn_init",
            "a ResNet-50 whose blocks' last scales start at 8",
            resnet.LARGE_BN_INIT,
            1024,
            (),
        ),
    )
    return tuple(
        _workload(
            resnet,
            name,
            f"1.28 million photographs in 1,000 classes; {text}",
            config,
            suites=suites,
            n_parameters=resnet.N_PARAMETERS,
            batch_size=batch_size,
            data_tools=_PREPARATION,
            algoperf_name=name,
            **images,
        )
        for name, text, config, batch_size, suites in variants
    )


def _full_vits() -> tuple[Workload, ...]:
    images = _on_imagenet(2048, is_randaugmented=True)
    variants = (
        ("imagenet_vit", "a ViT-S/16", vit.FULL, 1024, ("algoperf",)),
        ("imagenet_vit_glu", "a ViT-S/16 with gated MLPs", vit.GLU, 512, ()),
        ("imagenet_vit_post_ln", "a ViT-S/16 that normalises after adding", vit.POST_LN, 1024, ()),
        ("imagenet_vit_map", "a ViT-S/16 with attention pooling", vit.MAP, 1024, ()),
    )
    return tuple(
        _workload(
            vit,
            name,
            f"1.28 million photographs in 1,000 classes, RandAugment and mixup; {text}",
            config,
            suites=suites,
            n_parameters=vit.N_PARAMETERS[name],
            batch_size=batch_size,
            data_tools=_PREPARATION,
            mix=mixup,
            algoperf_name=name,
            **images,
        )
        for name, text, config, batch_size, suites in variants
    )


# Ours: small enough for a minute on one core.
_SMALL = Preprocessing(n_side=shapes.N_SIDE, area_range=(0.5, 1.0), n_eval_train=1_000)
_SMALL_TOOLS = DataTools(mini="workloads.imagenet.mini:write_mini")
RESNET_MINI = _workload(
    resnet,
    "imagenet_resnet_mini",
    "5,000 generated images of 64x64 pixels in 10 classes; a small ResNet of bottleneck blocks",
    resnet.MINI,
    suites=("mini",),
    n_parameters=135_506,
    batch_size=32,
    eval_batch_size=500,
    data_tools=_SMALL_TOOLS,
    algoperf_name="imagenet_resnet",
    algoperf_batch_divisor=32,  # 1024 / 32
    **_reading(SHAPES, _SMALL),
)
VIT_MINI = _workload(
    vit,
    "imagenet_vit_mini",
    "5,000 generated images of 64x64 pixels in 10 classes, mixed up; a small vision transformer",
    vit.MINI,
    suites=("mini",),
    n_parameters=117_258,
    batch_size=32,
    eval_batch_size=500,
    data_tools=_SMALL_TOOLS,
    mix=_mix_shapes,
    algoperf_name="imagenet_vit",
    algoperf_batch_divisor=32,
    **_reading(SHAPES, _SMALL),
)

WORKLOADS = (*_full_resnets(), *_full_vits(), RESNET_MINI, VIT_MINI)
