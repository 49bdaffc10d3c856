"""Schedule-Free AdamW in torch, by the authors' library.

    y = (1 - β1) z + β1 x        v ← β2 v + (1 - β2) g²,  g taken at y
    z ← z - γ (g / (√(v / (1 - β2^t)) + ε) + λ y)        x ← (1 - c) x + c z

Defazio et al. 2024 (arXiv:2405.15682), algorithm 1 with the decay at y: γ is warmed up and then
constant, and c is this step's γ², at its largest so far, over the sum of all. x is evaluated:
schedulefree's optimizer switches between y and x, and the backend asks it to before evaluations.
β2 = 0.999 is the library's; the ranges are ours, around its γ = 2.5e-3 and β1 = 0.9.
"""

import schedulefree


def make(parameters, hparams, run):
    """Give the optimizer."""
    return schedulefree.AdamWScheduleFree(
        [p.value for p in parameters.values()],
        lr=hparams.learning_rate,
        betas=(1 - hparams.one_minus_beta1, 0.999),
        weight_decay=hparams.weight_decay,
        warmup_steps=max(1, round(hparams.warmup_factor * run.step_hint)),
    )
