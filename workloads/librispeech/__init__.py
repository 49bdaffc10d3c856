"""librispeech_conformer, librispeech_deepspeech, their variants and their MINI workloads.

Source of sizes and batch sizes: AlgoPerf v0.6, librispeech_conformer and librispeech_deepspeech.
Targets and budgets are in the rules files; README.md says where AlgoPerf's two frameworks differ.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from pacebench.spec import DataRequest, DataTools, EvalOutputs, Loss, Metric, Source, Workload
from workloads.librispeech import conformer, deepspeech
from workloads.librispeech.files import find_sizes
from workloads.librispeech.raw import archive_name
from workloads.librispeech.sets import LIBRISPEECH, SPOKEN, SpeechSet
from workloads.librispeech.wer import WordErrors

_PREPARATION = DataTools(
    prepare="workloads.librispeech.prepare:prepare",
    needed_bytes="workloads.librispeech.prepare:needed_bytes",
    raw_files=tuple(archive_name(subset) for subset in LIBRISPEECH.all_subsets),
    downloads="workloads.librispeech.checksums:PUBLISHED",
)
_GENERATION = DataTools(mini="workloads.librispeech.mini:write_mini", mini_version=2)


def open_sources(speech: SpeechSet, request: DataRequest) -> dict[str, Source]:
    """Open the four splits; raises DataError."""
    from workloads.librispeech import data

    return data.open_sources(speech, request)


def open_metric(speech: SpeechSet, request: DataRequest) -> Metric:
    """Give the metric with the data's tokenizer; raises DataError."""
    from workloads.librispeech import data

    return data.open_metric(speech, request)


def _workload(
    family: Any, speech: SpeechSet, name: str, description: str, config: Any, **changes: Any
) -> Workload:
    """Give a workload of `family`, one of the modules conformer and deepspeech."""
    return Workload(
        name=name,
        description=description,
        sizes={**speech.sizes, "eval_train": speech.n_eval_train},
        data_folder=speech.folder,
        find_sizes=partial(find_sizes, speech),
        open_sources=partial(open_sources, speech),
        is_read_ahead=True,
        loss=Loss.CTC,
        metric=WordErrors(),
        open_metric=partial(open_metric, speech),
        eval_outputs=EvalOutputs.ARGMAX,
        model_config=config,
        default_dropout_rate=config.dropout_rate,
        torch_model=f"{family.__name__}_torch:build",
        flax_model=f"{family.__name__}_flax:build",
        layout=family.layout_of(config),
        output_parameters=family.OUTPUT_PARAMETERS,
        **changes,
    )


def _full(family: Any, name: str, text: str, config: Any, **changes: Any) -> Workload:
    """Give a workload on LibriSpeech."""
    given = {"suites": (), "batch_size": 256, "eval_batch_size": 256} | changes
    return _workload(
        family,
        LIBRISPEECH,
        name,
        f"961 hours of read English to be written down; {text}",
        config,
        n_parameters=family.N_PARAMETERS[name],
        data_tools=_PREPARATION,
        algoperf_name=name,
        **given,
    )


def _mini(family: Any, base: str, text: str, n_parameters: int, config: Any) -> Workload:
    """Give a workload on generated speech."""
    return _workload(
        family,
        SPOKEN,
        f"{base}_mini",
        f"2,000 generated utterances of a language of twenty letters; {text}",
        replace(config, vocabulary_size=SPOKEN.n_pieces, n_samples=SPOKEN.max_samples),
        suites=("mini",),
        n_parameters=n_parameters,
        batch_size=16,
        eval_batch_size=50,
        data_tools=_GENERATION,
        algoperf_name=base,
        algoperf_batch_divisor=16,  # 256 / 16
    )


_BASE = {"suites": ("algoperf",)}
WORKLOADS = (
    _full(
        conformer, "librispeech_conformer", "a Conformer of four blocks", conformer.FULL, **_BASE
    ),
    _full(
        conformer,
        "librispeech_conformer_attention_temperature",
        "a Conformer whose attention's output is multiplied by 1.6",
        conformer.ATTENTION_TEMPERATURE,
    ),
    _full(
        conformer,
        "librispeech_conformer_layernorm",
        "a Conformer without the layer norm that ends a block",
        conformer.LAYERNORM,
    ),
    _full(conformer, "librispeech_conformer_gelu", "a Conformer with GELU", conformer.GELU),
    _full(
        deepspeech,
        "librispeech_deepspeech",
        "a DeepSpeech of six LSTM layers in both directions",
        deepspeech.FULL,
        **_BASE,
    ),
    _full(deepspeech, "librispeech_deepspeech_tanh", "a DeepSpeech with tanh", deepspeech.TANH),
    _full(
        deepspeech,
        "librispeech_deepspeech_no_resnet",
        "a DeepSpeech without residual connections",
        deepspeech.NO_RESNET,
    ),
    _full(
        deepspeech,
        "librispeech_deepspeech_norm_and_spec_aug",
        "a DeepSpeech with layer norm everywhere and more of the features hidden",
        deepspeech.NORM_AND_SPEC_AUG,
        eval_batch_size=128,
    ),
    _mini(conformer, "librispeech_conformer", "a small Conformer", 314_040, conformer.MINI),
    _mini(deepspeech, "librispeech_deepspeech", "a small DeepSpeech", 532_808, deepspeech.MINI),
)
