"""SAM (Foret et al. 2021) around SGD with heavy-ball momentum, warmup and cosine decay, in torch.

    ε_t = ρ g(w_{t-1}) / ‖g(w_{t-1})‖
    v_t = μ v_{t-1} + g(w_{t-1} + ε_t) + λ w_{t-1}
    w_t = w_{t-1} - η_t v_t

Both gradients are of the same batch, so a step costs two. The step is our own, around
torch.optim.SGD. With several ranks ε comes from the gradient of the global batch, where the paper
takes each device's; batch norm's running averages take in the first pass only. Defaults: ρ around
0.05, μ = 0.9 and the cosine are the paper's (section 3.1), learning rates those of `heavy_ball`.
"""

import torch

from pacebench.schedules import at, table

MOMENTUM = 0.9
SMALL = 1e-12  # keeps ε finite where the gradient is 0


def init(run):
    """Give the optimizer and its schedule, which ends at the step hint."""
    hparams = run.hparams
    optimizer = torch.optim.SGD(
        run.params.values(),
        lr=hparams.learning_rate,
        momentum=MOMENTUM,
        weight_decay=hparams.weight_decay,
    )
    factors = table("cosine", run.step_hint, hparams.warmup_factor)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: at(factors, step))
    return {"optimizer": optimizer, "schedule": schedule}


def step(run, state, batches):
    """Climb to w + ε, take the gradient there, and make the step from w."""
    batch = next(batches)
    put_gradients(run, batch, update_running=True)
    trained = [p for p in run.params.values() if p.grad is not None]
    kept = [p.detach().clone() for p in trained]
    climb(trained, [p.grad for p in trained], run.hparams.rho)
    put_gradients(run, batch, update_running=False)
    with torch.no_grad():
        torch._foreach_copy_(trained, kept)
    state["optimizer"].step()
    state["schedule"].step()
    run.log({"model_evaluations": 2 * run.step})
    return state


def put_gradients(run, batch, update_running):
    """Put the gradient of the mean loss over the global batch into every parameter's `grad`."""
    for value in run.params.values():
        value.grad = None
    loss = run.loss(run.forward(batch, update_running=update_running), batch)
    (loss.summed / run.all_reduce(loss.n_valid_examples)).backward()
    for value in run.params.values():
        if value.grad is not None:
            value.grad = run.all_reduce(value.grad)


@torch.no_grad()
def climb(parameters, gradients, rho):
    """Add ε = ρ g / ‖g‖ to the parameters; the norm is that of all gradients together."""
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    torch._foreach_add_(parameters, torch._foreach_mul(gradients, rho / (norm + SMALL)))
