"""NadamW evaluated at the average of its last k snapshots, in torch.

LAtest Weight Averaging (Kaddour 2022, arXiv:2209.14981): training runs as it is, here by the
baseline's NadamW with warmup and cosine decay (pacebench.optimizers), and what is evaluated is
θ̄ = (1/k) Σ of the last k snapshots of θ, taken at even distances (of fewer, before there are k).
The averaging takes k more copies of the parameters on the device. Batch norm's running averages
are those of the trained parameters.

The points are those of the competition's logs (v0.5, submission `lawa_queue`): the baseline's, with
a snapshot every 0.2 % of the step hint from 2 % of it on, k = 10. Where we differ: the competition
had no hook before evaluations, so its submission trained and averaged in turns inside its steps
(its lawa_inner_steps_frac); here the average is put in place for evaluations alone.
"""

from pacebench.optimizers.averaged_torch import Snapshots, make_averaged


def make(parameters, hparams, run):
    """Give the optimizer, with its two modes, and its schedule, which ends at the step hint."""

    def snapshots(start, interval):
        return queue(hparams.k, start, interval)

    return make_averaged(parameters, hparams, run, snapshots)


def queue(k, start, interval):
    """Give the rule that keeps the last k snapshots, [k, …], the oldest being overwritten."""

    def keep(kept, parameter, n_snapshots):
        if kept is None:
            kept = parameter.new_zeros((k, *parameter.shape))
        kept[n_snapshots % k] = parameter
        return kept

    def average(kept, n_snapshots):
        return kept[: min(k, n_snapshots)].mean(0)

    return Snapshots(start=start, interval=interval, keep=keep, average=average)
