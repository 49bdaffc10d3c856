"""Muon (Jordan et al. 2024) for hidden matrices and AdamW for the rest, in torch.

For a matrix W [n_out, n_in] with gradient G:

    B_t = μ B_{t-1} + (1 - μ) G_t
    O_t = NS(μ B_t + (1 - μ) G_t)
    W_t = (1 - η_t λ) W_{t-1} - η_t √max(1, n_out / n_in) O_t

NS makes five steps X ← a X + (b A + c A²) X with A = X Xᵀ in bfloat16, from X / ‖X‖, which bring
all singular values near 1; (a, b, c) = (3.4445, -4.7750, 2.0315). pytorch_optimizer's Muon stands
behind it, AdamW included (β = 0.9 and 0.95, ε = 1e-10 as there).

Hidden matrices are, by their kinds, the weights of dense layers and of attention, and filters of
convolutions, flattened to [n_out, the rest]; not embeddings, the output layer, and what has one
axis. Defaults: μ = 0.95 and, around 0.02 and 3e-4, the learning rates are the authors'; the
schedule, a warmup, then constant and a cooldown in the last fifth, is ours.
"""

from pytorch_optimizer import Muon
from torch.optim.lr_scheduler import LambdaLR

from pacebench.schedules import at, table
from pacebench.spec import ParameterKind as Kind

MATRIX_KINDS = {
    Kind.WEIGHT,
    Kind.ATTENTION_Q,
    Kind.ATTENTION_K,
    Kind.ATTENTION_V,
    Kind.ATTENTION_OUT,
    Kind.ATTENTION_QKV,
    Kind.ATTENTION_KV,
}


def is_hidden_matrix(parameter):
    """Whether a parameter is one that Muon takes."""
    is_matrix = parameter.kind in MATRIX_KINDS and parameter.value.ndim == 2
    is_filter = parameter.kind is Kind.CONV_WEIGHT and parameter.value.ndim >= 2
    return (is_matrix or is_filter) and not parameter.is_output


def make(parameters, hparams, run):
    """Give the optimizer and its schedule, which ends at the step hint."""
    hidden = [p.value for p in parameters.values() if is_hidden_matrix(p)]
    others = [p.value for p in parameters.values() if not is_hidden_matrix(p)]
    optimizer = Muon(
        [
            {"params": hidden, "use_muon": True, "lr": hparams.learning_rate},
            {"params": others, "use_muon": False, "lr": hparams.adamw_learning_rate},
        ],
        weight_decay=hparams.weight_decay,
        adamw_wd=hparams.weight_decay,
    )
    factors = table("wsd", run.step_hint, hparams.warmup_factor)
    return optimizer, LambdaLR(optimizer, lambda step: at(factors, step))
