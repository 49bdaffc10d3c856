"""Parameter kinds: AlgoPerf's published lists, and a small table from the facts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pacebench.backends.kinds import flax_kind, torch_kind
from pacebench.spec import ParameterKind

# Lists of AlgoPerf's parameters with their types; they lie beside the repository, not in it.
LISTS = Path(__file__).parents[2].parent / "shared" / "spec" / "params"
# facts_vision.md and facts_speech_dev.md: 24 and 20 lists with types.
N_TYPED_LISTS = 44

KIND_OF = {"pytorch": torch_kind, "jax": flax_kind}


def typed_lists() -> dict[str, tuple[str, dict[str, str]]]:
    """File name -> (framework, {parameter name: AlgoPerf's type}), for lists that have types."""
    lists = {}
    for path in sorted(LISTS.glob("params_*.json")):
        content = json.loads(path.read_text())
        if "param_types" in content:
            framework = path.stem.rpartition("_")[2]
            lists[path.name] = (framework, dict(content["param_types"]))
    return lists


def test_every_listed_parameter_has_the_kind_that_algoperf_gives_it() -> None:
    if not LISTS.is_dir():
        pytest.skip(f"{LISTS} is not there: AlgoPerf's parameter lists are kept beside the repo")
    lists = typed_lists()
    assert len(lists) >= N_TYPED_LISTS
    wrong = {
        (file, name): (kind, KIND_OF[framework](name).name)
        for file, (framework, kinds) in lists.items()
        for name, kind in kinds.items()
        if KIND_OF[framework](name).name != kind
    }
    assert wrong == {}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        # facts_submission_api.md section 2, the rules in their order.
        ("layer1.0.bn1.weight", ParameterKind.BATCH_NORM_SCALE),
        ("bn1.bias", ParameterKind.BATCH_NORM_BIAS),
        ("encoder.encoder_norm.weight", ParameterKind.LAYER_NORM_SCALE),
        ("conformers.0.conv.ln.bias", ParameterKind.LAYER_NORM_BIAS),
        ("conv1.weight", ParameterKind.CONV_WEIGHT),
        ("conv_patch_extract.bias", ParameterKind.BIAS),
        ("shared_embedding.weight", ParameterKind.EMBEDDING),
        ("node_embedder.weight", ParameterKind.EMBEDDING),
        ("decoder.decoder.layers.0.multihead_attn.kv_proj.weight", ParameterKind.ATTENTION_KV),
        ("decoder.decoder.layers.0.multihead_attn.q_proj.weight", ParameterKind.ATTENTION_Q),
        ("encoder.net.0.self_attention1.key.weight", ParameterKind.ATTENTION_K),
        ("encoder.net.0.self_attention1.value.weight", ParameterKind.ATTENTION_V),
        ("encoder.encoder.layers.0.self_attn.out_proj.weight", ParameterKind.ATTENTION_OUT),
        ("encoder.net.0.self_attention1.query.bias", ParameterKind.ATTENTION_BIAS),
        ("fc.bias", ParameterKind.BIAS),
        ("fc.weight", ParameterKind.WEIGHT),
        # facts_speech_dev.md: fused in_proj, scale of the query scaler, dense layers in "conv".
        ("conformers.0.mhsa.self_attention.in_proj.weight", ParameterKind.ATTENTION_QKV),
        ("conformers.0.mhsa.self_attention.qs.scale", ParameterKind.WEIGHT),
        ("conformers.0.conv.lin1.weight", ParameterKind.CONV_WEIGHT),
        # facts_vision.md 3 and 4.6: "mha" is not attention, group norm within conv_layers is conv.
        ("map.mha.q_proj.weight", ParameterKind.WEIGHT),
        ("map.mha.kv_proj.bias", ParameterKind.BIAS),
        ("down_sample_layers.0.conv_layers.1.weight", ParameterKind.CONV_WEIGHT),
        # facts_text_graph_ctr.md: criteo's chunks have no "weight", the LM needs a "qkv" rule.
        ("embedding_chunk_0", ParameterKind.WEIGHT),
        ("top_mlp.3.weight", ParameterKind.WEIGHT),
        ("layers.0.attn.w_qkv.weight", ParameterKind.ATTENTION_QKV),
        ("layers.0.attn.attn_scale", ParameterKind.WEIGHT),
        # facts_submission_api.md section 1: names under torch.compile and DDP.
        ("_orig_mod.module.fc.weight", ParameterKind.WEIGHT),
    ],
)
def test_a_torch_name_has_the_kind_of_the_first_rule_that_fits(
    name: str, kind: ParameterKind
) -> None:
    assert torch_kind(name) is kind


ATTENTION = "encoderblock_0/MultiHeadDotProductAttention_0"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("BatchNorm_init/scale", ParameterKind.BATCH_NORM_SCALE),
        ("ConformerBlock_0/ConvolutionBlock_0/BatchNorm_0/bias", ParameterKind.BATCH_NORM_BIAS),
        ("ConvBlock_0/LayerNorm_0/scale", ParameterKind.LAYER_NORM_SCALE),
        ("decoder/encoderdecoder_layernorm/bias", ParameterKind.LAYER_NORM_BIAS),
        ("Conv_init/kernel", ParameterKind.CONV_WEIGHT),
        ("ConformerBlock_0/ConvolutionBlock_0/Dense_0/kernel", ParameterKind.CONV_WEIGHT),
        ("Subsample_0/Conv2dSubsampling_0/bias", ParameterKind.BIAS),
        ("embedding_table", ParameterKind.EMBEDDING),
        ("shared_embedding/embedding", ParameterKind.EMBEDDING),
        ("node_embedding/kernel", ParameterKind.EMBEDDING),
        ("node_embedding/bias", ParameterKind.BIAS),
        (f"{ATTENTION}/query/kernel", ParameterKind.ATTENTION_Q),
        (f"{ATTENTION}/key/kernel", ParameterKind.ATTENTION_K),
        (f"{ATTENTION}/value/kernel", ParameterKind.ATTENTION_V),
        (f"{ATTENTION}/out/kernel", ParameterKind.ATTENTION_OUT),
        (f"{ATTENTION}/out/bias", ParameterKind.ATTENTION_BIAS),
        (f"{ATTENTION}/QueryScaler_0/scale", ParameterKind.WEIGHT),
        ("Dense_0/kernel", ParameterKind.WEIGHT),
        ("Dense_0/bias", ParameterKind.BIAS),
        ("MAPHead_0/probe", ParameterKind.WEIGHT),
        # The language model, by the rules that we add for it.
        ("blocks_0/CausalAttn_0/key/kernel", ParameterKind.ATTENTION_K),
        ("blocks_0/CausalAttn_0/attn_out_proj/kernel", ParameterKind.ATTENTION_OUT),
        ("blocks_0/CausalAttn_0/attn_scale", ParameterKind.WEIGHT),
        ("blocks_0/RMSNorm_0/scale", ParameterKind.LAYER_NORM_SCALE),
    ],
)
def test_a_flax_path_has_the_kind_of_the_first_rule_that_fits(
    path: str, kind: ParameterKind
) -> None:
    assert flax_kind(path) is kind
    assert flax_kind(path.lower()) is kind


@pytest.mark.parametrize("kind_of", [torch_kind, flax_kind])
def test_a_name_without_any_hint_is_a_weight(kind_of: object) -> None:
    assert callable(kind_of)
    assert kind_of("w") is ParameterKind.WEIGHT
