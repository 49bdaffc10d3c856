"""The contract table: one row per workload; every test in this folder runs on all of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pacebench.plugins import all_workloads, find_workload
from pacebench.spec import FRAMEWORKS, Workload
from tests.data_files import (
    TINY_SPEECH,
    write_cifar,
    write_images,
    write_mnist,
    write_scans,
    write_speech,
)
from tests.workloads.criteo_raw import write_learnable
from tests.workloads.lm_raw import write_cycles
from tests.workloads.ogbg_raw import write_countable
from tests.workloads.wmt_raw import write_tiny_mini
from workloads import fastmri, librispeech
from workloads.criteo import dlrm
from workloads.fastmri import unet
from workloads.fastmri.scans import PHANTOMS
from workloads.imagenet import resnet, vit
from workloads.librispeech import conformer, deepspeech
from workloads.lm import decoder
from workloads.ogbg import gnn
from workloads.wmt import transformer


@dataclass(frozen=True, kw_only=True)
class Case:
    """A workload in a framework, at a size for tests."""

    workload: Workload
    framework: str
    n_parameters: int
    batch_size: int = 64
    eval_batch_size: int = 512
    eval_batch_sizes: tuple[int, int, int] = (64, 96, 1000)
    """Three under which metrics are the same; the last holds every split."""
    n_steps: int = 40
    learning_rate: float = 1e-3
    loss_metric: str = "train/loss"
    """The metric that `n_steps` of training halve."""
    covers: tuple[str, ...] = ()
    """Workloads too large for tests that are the same but for sizes; tests of their own check
    their models."""
    write_data: Callable[[Path], None] | None = None
    """Writes a small data set in the workload's on-disk format."""

    def __str__(self) -> str:
        """Name the case in test reports."""
        return f"{self.workload.name}-{self.framework}"

    def data_dir(self, tmp_path: Path) -> str | None:
        """Give the data folder, written on first use."""
        if self.write_data is None:
            return None
        folder = tmp_path / "data"
        if not folder.exists():
            folder.mkdir()
            self.write_data(folder)
        return str(folder)


def small_cifar() -> Workload:
    """Give cifar with a small ResNet; the full one is too slow for a CPU."""
    full = find_workload("cifar")
    config = dataclasses.replace(full.model_config, widths=(8, 16), n_blocks=(1, 1))
    return dataclasses.replace(full, model_config=config)


def tiny(name: str, layout_of: Callable[[Any], Mapping[str, str]], **sizes: Any) -> Workload:
    """Give a MINI workload with an even smaller model, which jax compiles in no time."""
    workload = find_workload(name)
    config = dataclasses.replace(workload.model_config, **sizes)
    return dataclasses.replace(workload, model_config=config, layout=layout_of(config))


def tiny_fastmri() -> Workload:
    """Give fastmri_mini with an even smaller model, and images of 16x16 pixels."""
    workload = find_workload("fastmri_mini")
    config = dataclasses.replace(workload.model_config, n_pools=1, width=4)
    scans = dataclasses.replace(PHANTOMS, n_side=16)
    return dataclasses.replace(
        workload,
        model_config=config,
        layout=unet.layout_of(config),
        output_parameters=unet.output_parameters(config),
        find_sizes=partial(fastmri.find_sizes, scans),
        open_sources=partial(fastmri.open_sources, scans),
    )


def tiny_speech(name: str, family: Any, **sizes: Any) -> Workload:
    """Give a MINI workload of librispeech with an even smaller model, on half seconds."""
    sizes |= {"width": 8, "n_samples": TINY_SPEECH.max_samples, "spec_augment": None}
    return dataclasses.replace(
        tiny(name, family.layout_of, **sizes),
        find_sizes=partial(librispeech.find_sizes, TINY_SPEECH),
        open_sources=partial(librispeech.open_sources, TINY_SPEECH),
        open_metric=partial(librispeech.open_metric, TINY_SPEECH),
    )


# The two convolutions and the dense layer that both speech models begin with, and the output.
SPEECH_ENDS = (9 * 8 + 8) + (9 * 8 * 8 + 8) + (20 * 8 * 8 + 8) + (8 * 24 + 24)
SPEECH_ROW = {
    "write_data": write_speech,
    "batch_size": 8,
    "eval_batch_size": 4,
    "eval_batch_sizes": (4, 5, 8),
    "learning_rate": 1e-2,
    "loss_metric": "train/ctc_loss",
}


def tiny_ogbg() -> Workload:
    """Give ogbg_mini with an even smaller model."""
    workload = tiny("ogbg_mini", gnn.layout_of, latent=6, hidden=(8,), n_steps=1)
    outputs = gnn.output_parameters(workload.model_config)
    return dataclasses.replace(workload, output_parameters=outputs)


def tiny_criteo() -> Workload:
    """Give criteo1tb_mini with an even smaller model."""
    workload = tiny("criteo1tb_mini", dlrm.layout_of, n_rows=64, width=4, bottom=(8, 4), top=(8, 1))
    outputs = dlrm.output_parameters(workload.model_config)
    return dataclasses.replace(workload, output_parameters=outputs)


def full_sized(algoperf_name: str) -> tuple[str, ...]:
    """Give the names of the full-sized workloads of a family."""
    names = all_workloads()
    return tuple(n for n in names if n.startswith(algoperf_name) and not n.endswith("_mini"))


ROWS = [
    {"workload": find_workload("digits"), "n_parameters": 1_126_410},
    {"workload": find_workload("mnist"), "n_parameters": 101_770, "write_data": write_mnist},
    {
        "workload": small_cifar(),
        # conv 3·8·9, block of 8: 2·8·8·9, block of 16: 8·16·9 + 16·16·9 + 8·16, batch norms
        # 2·8·3 + 2·16·3, dense 16·10 + 10
        "n_parameters": 216 + 1152 + 1152 + 2304 + 128 + 48 + 96 + 170,
        "write_data": write_cifar,
        "batch_size": 32,
        "learning_rate": 1e-2,
    },
    {
        "workload": tiny("imagenet_resnet_mini", resnet.layout_of, widths=(4, 8), n_blocks=(1, 1)),
        "covers": full_sized("imagenet_resnet"),
        # stem 3·4·49 + 8; block of 4: 4·4 + 4·4·9 + 4·16, batch norms 8 + 8 + 32, projection
        # 4·16 + 32; block of 8: 16·8 + 8·8·9 + 8·32, 16 + 16 + 64, 16·32 + 64; dense 32·10 + 10
        "n_parameters": 596 + (224 + 48 + 96) + (960 + 96 + 576) + 330,
        "write_data": write_images,
        "batch_size": 32,
        "eval_batch_size": 16,
        "learning_rate": 1e-2,
    },
    {
        "workload": tiny(
            "imagenet_vit_mini", vit.layout_of, width=16, depth=1, mlp_width=32, n_heads=2, patch=16
        ),
        "covers": full_sized("imagenet_vit"),
        # patches 16·16·3·16 + 16; attention 4·(16·16 + 16); MLP 16·32 + 32 + 32·16 + 16; three
        # layer norms of 32; dense 16·16 + 16 and 16·10 + 10
        "n_parameters": 12_304 + 1_088 + 1_072 + 96 + 272 + 170,
        "write_data": write_images,
        "batch_size": 32,
        "eval_batch_size": 16,
        "learning_rate": 1e-2,
    },
    {
        "workload": tiny_fastmri(),
        "covers": full_sized("fastmri"),
        # blocks 1 -> 4, 4 -> 8 and 8 -> 4: 36 + 144, 288 + 576, 288 + 144; up 8·4·4; last 4 + 1
        "n_parameters": 180 + 864 + 432 + 128 + 5,
        "write_data": write_scans,
        "batch_size": 8,
        "eval_batch_size": 8,
        "eval_batch_sizes": (5, 8, 30),
        "learning_rate": 1e-2,
    },
    {
        "workload": tiny(
            "wmt_mini", transformer.layout_of, width=16, n_heads=2, mlp_width=16, n_layers=1
        ),
        "covers": full_sized("wmt"),
        # embedding 256·16; attentions 4·16·16 each; MLPs 2·(16·16 + 16); layer norms of 32, two in
        # the encoder's layer, three in the decoder's, one behind each
        "n_parameters": 4096 + 3 * 1024 + 2 * 544 + 7 * 32,
        "write_data": write_tiny_mini,
        "batch_size": 16,
        "eval_batch_size": 20,
        "eval_batch_sizes": (16, 24, 60),
        "n_steps": 120,  # 40 take a third off the loss
        "learning_rate": 1e-2,
    },
    {
        "workload": tiny_speech(
            "librispeech_conformer_mini",
            conformer,
            n_blocks=1,
            n_heads=2,
            feed_forward_expansion=1,
        ),
        "covers": full_sized("librispeech_conformer"),
        # two feed-forward modules of two dense layers, attention with its four scales, three dense
        # layers and the depthwise convolution; seven norms
        "n_parameters": SPEECH_ENDS + 4 * 72 + (4 * 72 + 4) + (3 * 72 + 40) + 7 * 16,
        **SPEECH_ROW,
    },
    {
        "workload": tiny_speech(
            "librispeech_deepspeech_mini", deepspeech, n_recurrent_layers=1, n_feed_forward_layers=1
        ),
        "covers": full_sized("librispeech_deepspeech"),
        # in two directions four gates of 8·4 + 4·4 + 4; a dense layer; three norms
        "n_parameters": SPEECH_ENDS + 2 * 4 * 52 + 72 + 3 * 16,
        **SPEECH_ROW,
    },
    {
        "workload": tiny_ogbg(),
        "covers": full_sized("ogbg"),
        # embeddings 9·6 + 6 and 3·6 + 6; MLPs of edges and nodes (3·6 + 8)·8 and (6 + 3·8)·8, of
        # globals (2·8 + 8)·8, each with a bias and a layer norm of 24; decoder 8·8 + 8
        "n_parameters": 84 + 208 + 240 + 192 + 3 * 24 + 72,
        "write_data": write_countable,
        "batch_size": 32,
        "eval_batch_size": 16,
        "eval_batch_sizes": (8, 24, 96),
        "n_steps": 100,  # 40 take a third off the loss
        "learning_rate": 2e-2,
    },
    {
        "workload": tiny(
            "finewebedu_lm_mini",
            decoder.layout_of,
            width=16,
            n_heads=2,
            mlp_width=16,
            n_layers=1,
        ),
        "covers": (*full_sized("finewebedu_lm"), "gpt2_124m"),
        # embedding 377·16; attention 4·16·16 and a scale; MLP 3·16·16; norms of 16
        "n_parameters": 377 * 16 + (1024 + 1) + 768 + 3 * 16,
        "write_data": write_cycles,
        "batch_size": 8,
        "eval_batch_size": 8,
        "eval_batch_sizes": (5, 8, 96),
        "learning_rate": 2e-2,
    },
    {
        "workload": tiny_criteo(),
        "covers": full_sized("criteo1tb"),
        # table 64·4; bottom 13·8 + 8 and 8·4 + 4; top (4 + 27·28/2)·8 + 8 and 8 + 1
        "n_parameters": 256 + 112 + 36 + 3064 + 9,
        "write_data": write_learnable,
        "batch_size": 32,
        "eval_batch_size": 64,
        "eval_batch_sizes": (16, 50, 200),
        "learning_rate": 1e-2,
    },
]
CASES = [Case(framework=framework, **row) for row in ROWS for framework in FRAMEWORKS]
