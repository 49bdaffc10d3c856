"""finewebedu_lm, gpt2_124m (not an AlgoPerf workload) and the MINI workload.

Source of sizes and batch sizes: AlgoPerf v1.0, finewebedu_lm. Targets and budgets are in the rules
files; README.md says where AlgoPerf's two frameworks differ.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from pacebench.spec import DataRequest, DataTools, EvalOutputs, Loss, Source, Workload
from workloads.lm import decoder
from workloads.lm.corpus import FINEWEB_EDU, MINI, Corpus
from workloads.lm.files import find_sizes
from workloads.lm.metric import Perplexity


def open_sources(corpus: Corpus, request: DataRequest) -> dict[str, Source]:
    """Open the three splits; raises DataError."""
    from workloads.lm import data

    return data.open_sources(corpus, request)


def _workload(corpus: Corpus, name: str, config: decoder.Config, **changes: Any) -> Workload:
    """Give a workload on a corpus."""
    return Workload(
        name=name,
        sizes={**corpus.sizes, "eval_train": corpus.n_eval_train, "test": 0},
        data_folder=corpus.folder,
        find_sizes=partial(find_sizes, corpus),
        open_sources=partial(open_sources, corpus),
        loss=Loss.SOFTMAX_CROSS_ENTROPY,
        metric=Perplexity(),
        eval_outputs=EvalOutputs.NOTHING,
        model_config=config,
        torch_model="workloads.lm.decoder_torch:build",
        flax_model="workloads.lm.decoder_flax:build",
        n_parameters=decoder.n_parameters(config),
        layout=decoder.layout_of(config),
        output_parameters=decoder.OUTPUT_PARAMETERS,
        **changes,
    )


_PREPARATION = DataTools(
    prepare="workloads.lm.prepare:prepare_fineweb_edu",
    needed_bytes="workloads.lm.prepare:needed_bytes_fineweb_edu",
    raw_files=("vocab.json", "merges.txt", "*.parquet", "*.jsonl", "*.txt"),
)
FINEWEBEDU_LM = _workload(
    FINEWEB_EDU,
    "finewebedu_lm",
    decoder.FULL,
    description="9 billion tokens of educational web pages; a decoder of 253 million parameters",
    suites=("lm",),
    batch_size=64,  # AlgoPerf v1.0: of the submission that set the target
    eval_batch_size=256,
    data_tools=_PREPARATION,
    is_read_ahead=True,
    algoperf_name="finewebedu_lm",
)
GPT2_124M = _workload(
    FINEWEB_EDU,
    "gpt2_124m",
    decoder.GPT2_124M,
    description="not an AlgoPerf workload: the same text; a decoder of GPT-2's smallest size",
    suites=("lm",),
    batch_size=512,  # 2^19 tokens, as GPT-2's (Radford et al. 2019) and the speedruns' baseline
    eval_batch_size=256,
    data_tools=_PREPARATION,
    is_read_ahead=True,
)
FINEWEBEDU_LM_MINI = _workload(
    MINI,
    "finewebedu_lm_mini",
    decoder.MINI,
    description="650,000 generated tokens of a planted grammar; a small decoder",
    suites=("mini",),
    batch_size=32,
    eval_batch_size=200,
    data_tools=DataTools(mini="workloads.lm.mini:write_mini"),
    algoperf_name="finewebedu_lm",
    algoperf_batch_divisor=2,  # 64 / 32
)

WORKLOADS = (FINEWEBEDU_LM, GPT2_124M, FINEWEBEDU_LM_MINI)
