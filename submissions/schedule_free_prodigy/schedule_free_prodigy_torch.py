"""Schedule-Free Prodigy, in torch: neither a learning rate nor its decay is tuned.

Prodigy (Mishchenko and Defazio 2023, arXiv:2306.06101, algorithm 4) without momentum moves z by a
step size d that it estimates from below, and Schedule-Free averaging (Defazio et al. 2024,
arXiv:2405.15682) takes the place of momentum and decay; g is taken at y, x is evaluated:

    y = (1 - β) z + β x        v ← β2 v + (1 - β2) d² g²
    r ← √β2 r + (1 - √β2) γ d² ⟨g, z0 - z⟩        s ← √β2 s + (1 - √β2) γ d² g
    d ← max(d, r / ‖s‖1)        z ← z - γ d² g / (√v + d ε) - γ d λ z        x ← (1 - c) x + c z

c is the share of this step's (γ d)², at its largest so far, in the sum of all. Both are their
authors' libraries: prodigyopt's Prodigy inside schedulefree's wrapper, which reads d from it (they
leave (1 - √β2) out of r and s alike). d0 = 1e-6, γ = 1 after warmup and β2 = 0.999 are the paper's,
β = 0.9 the wrapper's. The five weight decays are those of the competition's logs (v0.5, submission
`schedule_free_prodigy`), whose other constants the logs do not hold. Prodigy's β1 is a hair above
0: at 0 itself the library multiplies a step by the d of the next one, which the paper does not.
"""

import prodigyopt
import schedulefree
import torch

from pacebench.schedules import at, table

NO_MOMENTUM = 1e-12  # nothing of it is left in float32


class ScheduleFreeProdigy(schedulefree.ScheduleFreeWrapper, torch.optim.Optimizer):
    """The wrapper as the torch optimizer that it behaves as but does not call itself.

    Its state also says which parameters are in place, which the wrapper's own leaves out.
    """

    @staticmethod
    def swap(x, y):
        """Exchange two tensors; the wrapper's own, by bytes, refuses a single number."""
        held = x.clone()
        x.copy_(y)
        y.copy_(held)

    def state_dict(self):
        """Give Prodigy's state, with z, and the mode."""
        return {**super().state_dict(), "train_mode": self.train_mode}

    def load_state_dict(self, state_dict):
        """Take up what `state_dict` gave."""
        self.train_mode = state_dict["train_mode"]
        super().load_state_dict({k: v for k, v in state_dict.items() if k != "train_mode"})


def make(parameters, hparams, run):
    """Give the optimizer, with its two modes, and its warmup."""
    prodigy = prodigyopt.Prodigy([p.value for p in parameters.values()], betas=(NO_MOMENTUM, 0.999))
    for group in prodigy.param_groups:
        group["weight_decay"] = hparams.weight_decay  # as an argument it is printed
    factors = table("constant", run.step_hint, hparams.warmup_factor)
    warmup = torch.optim.lr_scheduler.LambdaLR(prodigy, lambda step: at(factors, step))
    return ScheduleFreeProdigy(prodigy), warmup
