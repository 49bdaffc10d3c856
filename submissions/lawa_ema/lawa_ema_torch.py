"""NadamW evaluated at an exponential moving average of its snapshots, in torch.

Latest weight averaging (Kaddour 2022, arXiv:2209.14981) with a moving average in the place of the
queue, as Sanyal et al. 2023 (arXiv:2306.03241) compare it: every so many steps
θ̄ ← β θ̄ + (1 - β) θ, from the first snapshot, and θ̄ is evaluated. Training is the baseline's NadamW
with warmup and cosine decay (pacebench.optimizers) and does not see θ̄. Batch norm's running
averages are those of the trained parameters.

The points are those of the competition's logs (v0.5, submission `lawa_ema`): the baseline's, with
a snapshot every 0.5 % of the step hint from 2 % of it on, β = 0.2. Where we differ: the average is
put in place for evaluations alone, for which the competition had no hook (lawa_inner_steps_frac).
"""

from pacebench.optimizers.averaged_torch import Snapshots, make_averaged


def make(parameters, hparams, run):
    """Give the optimizer, with its two modes, and its schedule, which ends at the step hint."""

    def snapshots(start, interval):
        return moving_average(hparams.average_beta, start, interval)

    return make_averaged(parameters, hparams, run, snapshots)


def moving_average(beta, start, interval):
    """Give the rule that keeps θ̄ alone."""

    def keep(kept, parameter, n_snapshots):  # noqa: ARG001 (the queue counts them)
        return parameter.clone() if kept is None else kept.lerp_(parameter, 1 - beta)

    def average(kept, n_snapshots):  # noqa: ARG001
        return kept

    return Snapshots(start=start, interval=interval, keep=keep, average=average)
