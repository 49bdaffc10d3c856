"""wmt with its variants, and the MINI workload.

Source of sizes and batch sizes: AlgoPerf v0.6, wmt. Targets and budgets are in the rules files;
README.md says where AlgoPerf's two frameworks differ.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from pacebench.spec import (
    DataRequest,
    DataTools,
    Decoding,
    EvalOutputs,
    Loss,
    Metric,
    Source,
    Workload,
)
from workloads.wmt import transformer
from workloads.wmt.corpus import ARCHIVES, MINI, WMT17, Corpus
from workloads.wmt.files import find_sizes
from workloads.wmt.metric import PerToken


def open_sources(corpus: Corpus, request: DataRequest) -> dict[str, Source]:
    """Open the four splits; raises DataError."""
    from workloads.wmt import data

    return data.open_sources(corpus, request)


def open_metric(corpus: Corpus, request: DataRequest) -> Metric:
    """Open the metric with the data's tokenizer; raises DataError."""
    from workloads.wmt import metric

    return metric.open_metric(corpus, request)


def _workload(corpus: Corpus, name: str, config: transformer.Config, **changes: Any) -> Workload:
    """Give a workload on a corpus."""
    return Workload(
        name=name,
        sizes={**corpus.sizes, "eval_train": corpus.n_eval_train},
        data_folder=corpus.folder,
        find_sizes=partial(find_sizes, corpus),
        open_sources=partial(open_sources, corpus),
        loss=Loss.SOFTMAX_CROSS_ENTROPY,
        metric=PerToken(),
        open_metric=partial(open_metric, corpus),
        eval_outputs=EvalOutputs.ARGMAX,
        decoding=Decoding(max_length=config.max_length),
        model_config=config,
        torch_model="workloads.wmt.transformer_torch:build",
        flax_model="workloads.wmt.transformer_flax:build",
        layout=transformer.layout_of(config),
        output_parameters=transformer.OUTPUT_PARAMETERS,
        default_dropout_rate=config.dropout_rate,
        algoperf_name=name.removesuffix("_mini"),
        **changes,
    )


def _full() -> tuple[Workload, ...]:
    variants = (
        ("wmt", "a transformer", transformer.FULL, ("qualification", "algoperf")),
        ("wmt_post_ln", "a transformer that normalises after adding", transformer.POST_LN, ()),
        (
            "wmt_attention_temp",
            "a transformer with sharper attention",
            transformer.ATTENTION_TEMP,
            (),
        ),
        ("wmt_glu_tanh", "a transformer with gated tanh MLPs", transformer.GLU_TANH, ()),
    )
    return tuple(
        _workload(
            WMT17,
            name,
            config,
            description=f"5.9 million German sentences to be put into English; {text}",
            suites=suites,
            n_parameters=transformer.N_PARAMETERS[name],
            batch_size=128,  # packed rows; AlgoPerf v0.6
            eval_batch_size=128,
            is_read_ahead=True,  # tokens come from the disk
            data_tools=DataTools(
                prepare="workloads.wmt.prepare:prepare_wmt17",
                needed_bytes="workloads.wmt.prepare:needed_bytes_wmt17",
                raw_files=tuple(ARCHIVES),
                downloads="workloads.wmt.corpus:ARCHIVES",
            ),
        )
        for name, text, config, suites in variants
    )


WMT_MINI = _workload(
    MINI,
    "wmt_mini",
    transformer.MINI,
    description="20,000 generated sentences to be translated; a small transformer",
    suites=("mini",),
    n_parameters=182_528,
    batch_size=32,
    eval_batch_size=100,
    data_tools=DataTools(mini="workloads.wmt.mini:write_mini"),
    algoperf_batch_divisor=4,  # 128 / 32
)

WORKLOADS = (*_full(), WMT_MINI)
