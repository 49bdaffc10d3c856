"""The textbook's updates, slowly, in numpy and float64, written from the papers.

Each takes the hyperparameters, the learning rates η of the steps, the start x and the gradients of
the steps (all of one tensor, where nothing else is said), and gives x after the last step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Reference = Callable[[Any, Sequence[float], Array, Sequence[Array]], Array]


def lion(h: Any, rates: Sequence[float], x: Array, gradients: Sequence[Array]) -> Array:
    """Chen et al. 2023, algorithm 2."""
    beta1, m = 1 - h.one_minus_beta1, np.zeros_like(x)
    for rate, g in zip(rates, gradients, strict=True):
        x = x - rate * (np.sign(beta1 * m + (1 - beta1) * g) + h.weight_decay * x)
        m = 0.99 * m + 0.01 * g
    return x


def lamb(h: Any, rates: Sequence[float], x: Array, gradients: Sequence[Array]) -> Array:
    """You et al. 2020, algorithm 2, with φ(z) = z and a ratio of 1 where a norm is 0."""
    for rate, r in zip(rates, adam_steps(h, x, gradients, 0.999, 1e-6), strict=True):
        step = r + h.weight_decay * x
        norms = np.linalg.norm(x), np.linalg.norm(step)
        x = x - rate * (norms[0] / norms[1] if min(norms) > 0 else 1.0) * step
    return x


def adam(h: Any, rates: Sequence[float], x: Array, gradients: Sequence[Array]) -> Array:
    """Kingma and Ba 2015, algorithm 1."""
    for rate, step in zip(rates, adam_steps(h, x, gradients, 0.999, 1e-8), strict=True):
        x = x - rate * step
    return x


def adam_steps(
    h: Any, like: Array, gradients: Sequence[Array], beta2: float, epsilon: float
) -> list[Array]:
    """m̂ / (√v̂ + ε) of all steps."""
    beta1, m, v, steps = 1 - h.one_minus_beta1, np.zeros_like(like), np.zeros_like(like), []
    for t, g in enumerate(gradients, start=1):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        steps.append(m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + epsilon))
    return steps


def ademamix(h: Any, rates: Sequence[float], x: Array, gradients: Sequence[Array]) -> Array:
    """Pagliardini et al. 2024, algorithm 1 with its two schedules; the decay comes first."""
    beta1, beta2, end, horizon = 1 - h.one_minus_beta1, 0.999, 0.9999, h.step_hint
    m1, m2, v = np.zeros_like(x), np.zeros_like(x), np.zeros_like(x)
    for t, (rate, g) in enumerate(zip(rates, gradients, strict=True), start=1):
        share = t / horizon
        harmonic = (1 - share) / np.log(beta1) + share / np.log(end)
        beta3 = min(np.exp(1 / harmonic), end)
        m1 = beta1 * m1 + (1 - beta1) * g
        m2 = beta3 * m2 + (1 - beta3) * g
        v = beta2 * v + (1 - beta2) * g**2
        mixed = m1 / (1 - beta1**t) + min(share, 1.0) * h.alpha * m2
        decayed = (1 - rate * h.weight_decay) * x
        x = decayed - rate * mixed / (np.sqrt(v / (1 - beta2**t)) + 1e-8)
    return x


def adafactor(h: Any, rates: Sequence[float], x: Array, gradients: Sequence[Array]) -> Array:
    """Shazeer and Stern 2018, algorithms 4 (matrices) and 5 (vectors), with a decay."""
    rows = columns = second = np.zeros(())
    for t, (rate, g) in enumerate(zip(rates, gradients, strict=True), start=1):
        beta2 = 1 - t**-0.8
        if x.ndim == 2:
            rows = beta2 * rows + (1 - beta2) * (g**2).sum(1)
            columns = beta2 * columns + (1 - beta2) * (g**2).sum(0)
            second = np.outer(rows, columns) / rows.sum()
        else:
            second = beta2 * second + (1 - beta2) * g**2
        step = g / np.sqrt(second)
        step = step / max(1.0, rms(step) / 1.0)
        size = max(1e-3, rms(x)) * min(rate, 1 / np.sqrt(t))
        x = (1 - rate * h.weight_decay) * x - size * step
    return x


def rms(x: Array) -> float:
    """The root of the mean square."""
    return float(np.sqrt((x**2).mean()))


def muon(h: Any, rates: Sequence[float], x: Array, gradients: Sequence[Array]) -> Array:
    """Jordan et al. 2024, with Nesterov momentum and decoupled decay."""
    momentum = np.zeros_like(x)
    for rate, g in zip(rates, gradients, strict=True):
        momentum = 0.95 * momentum + 0.05 * g
        step = orthogonalised(0.95 * momentum + 0.05 * g)
        stretch = max(1.0, x.shape[0] / x.shape[1]) ** 0.5
        x = (1 - rate * h.weight_decay) * x - rate * stretch * step
    return x


def orthogonalised(g: Array) -> Array:
    """U p(p(p(p(p(Σ))))) Vᵀ of g / ‖g‖ = U Σ Vᵀ, p(s) = 3.4445 s - 4.7750 s³ + 2.0315 s⁵."""
    u, s, vt = np.linalg.svd(g / np.linalg.norm(g), full_matrices=False)
    for _ in range(5):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    return (u * s) @ vt


def muons_adamw(h: Any, rates: Sequence[float], x: Array, gradients: Sequence[Array]) -> Array:
    """AdamW with β = (0.9, 0.95) and ε = 1e-10; `rates` are AdamW's."""
    betas = SimpleNamespace(one_minus_beta1=0.1)
    for rate, step in zip(rates, adam_steps(betas, x, gradients, 0.95, 1e-10), strict=True):
        x = (1 - rate * h.weight_decay) * x - rate * step
    return x


def shampoo(h: Any, rates: Sequence[float], x: Array, gradients: Sequence[Array]) -> Array:
    """Gupta et al. 2018, algorithm 1 (matrices), and its case k = 1 (vectors); momentum 0.9."""
    m, order = np.zeros_like(x), x.ndim
    statistics = [1e-2 * np.eye(n) for n in x.shape]
    for rate, gradient in zip(rates, gradients, strict=True):
        g = gradient + h.weight_decay * x
        if order == 2:
            statistics[0] = statistics[0] + kept(g @ g.T, h)
            statistics[1] = statistics[1] + kept(g.T @ g, h)
            step = inverse_root(statistics[0], 4) @ g @ inverse_root(statistics[1], 4)
        else:
            statistics[0] = statistics[0] + kept(np.outer(g, g), h)
            step = inverse_root(statistics[0], 2) @ g
        m = 0.9 * m + step
        x = x - rate * m
    return x


def kept(matrix: Array, h: Any) -> Array:
    """A matrix, or its diagonal where it is too long."""
    return matrix if len(matrix) <= h.max_dimension else np.diag(np.diag(matrix))


def inverse_root(matrix: Array, order: int) -> Array:
    """H^{-1/order}."""
    values, vectors = np.linalg.eigh(matrix)
    result: Array = vectors @ np.diag(values ** (-1 / order)) @ vectors.T
    return result


def soap(h: Any, rates: Sequence[float], x: Array, gradients: Sequence[Array]) -> Array:
    """Vyas et al. 2024, algorithm 3, as the authors' code has it: see the submission."""
    beta1, beta2, sides = 1 - h.one_minus_beta1, 0.95, x.ndim == 2
    m, v = np.zeros_like(x), np.zeros_like(x)
    outer = [lambda g: g @ g.T, lambda g: g.T @ g] if sides else []
    statistics = [(1 - beta2) * f(gradients[0]) for f in outer]
    bases = [np.linalg.eigh(s)[1][:, ::-1] for s in statistics]
    for t, (rate, g) in enumerate(zip(rates[1:], gradients[1:], strict=True), start=1):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * (bases[0].T @ g @ bases[1] if sides else g) ** 2
        turned = bases[0].T @ m @ bases[1] if sides else m
        step = turned / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + 1e-8)
        x = x - rate * (bases[0] @ step @ bases[1].T if sides else step)
        x = (1 - rate * h.weight_decay) * x
        statistics = [
            beta2 * s + (1 - beta2) * f(g) for s, f in zip(statistics, outer, strict=True)
        ]
        if t % 10 == 0:
            for axis, s in enumerate(statistics):
                product = s @ bases[axis]
                order = np.argsort(-np.diag(bases[axis].T @ product))
                v = np.take(v, order, axis=axis)
                bases[axis] = np.linalg.qr(product[:, order])[0]
    return x


def prodigy(
    h: Any, rates: Sequence[float], start: Sequence[Array], gradients: Sequence[Sequence[Array]]
) -> list[Array]:
    """Mishchenko and Defazio 2023, algorithm 4, over several tensors; the decay of AdamW."""
    beta1, beta2, d, r = 0.9, 0.999, 1e-6, 0.0
    root = np.sqrt(beta2)
    x = list(start)
    m, v, s = ([np.zeros_like(a) for a in start] for _ in range(3))
    for rate, gs in zip(rates, gradients, strict=True):
        for i, g in enumerate(gs):
            m[i] = beta1 * m[i] + (1 - beta1) * d * g
            v[i] = beta2 * v[i] + (1 - beta2) * d**2 * g**2
            s[i] = root * s[i] + (1 - root) * rate * d**2 * g
        moved = sum(float((g * (a - b)).sum()) for g, a, b in zip(gs, start, x, strict=True))
        r = root * r + (1 - root) * rate * d**2 * moved
        grown = max(d, h.d_coefficient * r / sum(float(np.abs(a).sum()) for a in s))
        for i in range(len(x)):
            step = m[i] / (np.sqrt(v[i]) + d * 1e-8)
            x[i] = (1 - rate * d * h.weight_decay) * x[i] - rate * d * step
        d = grown
    return x
