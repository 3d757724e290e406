"""BFGS converges faster than any linear rate: the ratio of its successive errors falls towards zero. L-BFGS with a
fixed memory does not: its ratio stays where it was, however long it runs. As long as its memory holds all pairs it is
BFGS.

The function is sum d_i x_i^2 / 2 + sum log cosh x_i with 40 curvatures d_i from 1 to 10^4, strongly convex and smooth;
its minimum is 0 at 0, so that values keep their digits down to 1e-60 and no rounding floor hides the rate. All runs
have the weak Wolfe line search, which tries the length 1 first, and one drawn start; the error is the root of the
value. L-BFGS starts each product from a multiple of the identity, chosen by the newest pair; the run that keeps all
pairs starts it from I, as BFGS does.
Source: Nocedal and Wright, Numerical Optimization, theorem 6.6; ML Math Derivations, part 4, "Second-order methods",
whose table calls both superlinear.
"""

# First, so that Ctrl-C is answered while JAX is imported.
from experiments import script  # isort: split

import sys
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.figure import Figure

from experiments import settings
from experiments.files import BLUE, GREEN, VERMILION
from experiments.loops import Problem, trace
from jaxderiv.optimisers import bfgs, weak_wolfe

FIGURES = ()
LEDGER = ("C4.64", "C4.66", "C4.67", "C4.68")
LEAST = 1e-60  # smaller values are left out
NO_RATIOS = np.full(3, np.nan)  # of a run that is too short


@dataclass(frozen=True)
class Config(settings.Config):
    memory: int = settings.option(5, "pairs that L-BFGS keeps", least=1)
    bfgs_steps: int = settings.option(100, "steps of BFGS, and of L-BFGS with room for all of them", least=80)
    lbfgs_steps: int = settings.option(4000, "steps of L-BFGS", quick=600, least=300)


class Results(NamedTuple):
    """Values f(x_k), the minimum being 0, by step and the start first."""

    bfgs: np.ndarray
    lbfgs: np.ndarray
    unlimited: np.ndarray  # L-BFGS whose memory holds all pairs
    lengths: np.ndarray  # of the steps of BFGS; 1 for a full one
    secant: float  # largest |H y - s| / |s| of BFGS, early in the run
    memory: int


def loss(x, curvatures):
    # log cosh x, written so that a small one keeps its digits.
    return x @ (curvatures * x) / 2 + jnp.sum(jnp.log1p(2 * jnp.sinh(x / 2) ** 2))


def gradient(x, curvatures):
    return curvatures * x + jnp.tanh(x)


@jax.enable_x64(True)
def run(config: Config, progress: script.Progress = script.no_progress) -> Results:
    start = np.random.default_rng(config.seed).normal(size=40)
    problem, data = Problem(loss, gradient), {"curvatures": np.logspace(0, 4, 40)}

    def limited(memory, steps, scaled=True):
        optimiser = optax.chain(optax.scale_by_lbfgs(memory, scaled), optax.scale(-1.0), weak_wolfe())
        report = progress(f"L-BFGS with memory {memory}")
        return trace(problem, optimiser, start, data, steps, report=report).value

    def record(x, state):
        return x, optax.tree.get(state, "inverse_hessian"), optax.tree.get(state, "learning_rate")

    full = trace(problem, bfgs(), start, data, config.bfgs_steps, record)
    x, H, lengths = full.recorded
    # Row k + 1 has the H of the direction at x_k, which was updated by the step to x_k.
    s, y = np.diff(x[:30], axis=0), np.diff([gradient(each, **data) for each in x[:30]], axis=0)
    secant = np.linalg.norm(np.einsum("kij,kj->ki", H[2:31], y) - s, axis=1) / np.linalg.norm(s, axis=1)
    few = limited(config.memory, config.lbfgs_steps)
    unlimited = limited(config.bfgs_steps, config.bfgs_steps, scaled=False)
    return Results(full.value, few, unlimited, lengths[1:], secant.max(), config.memory)


def resolved(values: np.ndarray) -> np.ndarray:
    """The values until they fall below the least one for the first time."""
    return values[: np.argmax(np.append(values, 0) <= LEAST)]


def ratios(values: np.ndarray) -> np.ndarray:
    """The ratios of successive errors."""
    return np.exp(np.diff(np.log(resolved(values))) / 2)


def thirds(values: np.ndarray) -> np.ndarray:
    """Their geometric means over the first, the second and the last third of a run."""
    found = ratios(values)
    return np.array([np.exp(np.log(part).mean()) for part in np.array_split(found, 3)]) if len(found) > 2 else NO_RATIOS


def claim(results: Results) -> str:
    full, limited = thirds(results.bfgs), thirds(results.lbfgs)
    falling, level = (" ".join(f"{mean:.3f}" for mean in each) for each in (full, limited))
    steps = len(resolved(results.bfgs))
    script.require(all((np.diff(resolved(each)) <= 0).all() for each in results[:3]), "the values never rise")
    script.require((full[1:] <= full[:-1]).all() and full[2] <= 0.15, f"the ratio of BFGS, {falling}, falls")
    last = ratios(results.bfgs)[-1]
    script.require(last <= 0.1, f"the last ratio of BFGS is {last:.3f}")
    script.require(steps <= 100, f"BFGS gets to {LEAST:g} in {steps} steps")
    script.require((results.lengths[steps - 11 : steps - 1] == 1).all(), "its last ten steps are full ones")
    script.require(results.secant <= 1e-6, f"its H meets the secant equation, {results.secant:.0e} off")
    script.require(np.abs(limited - 0.97).max() <= 0.015, f"the ratio of L-BFGS, {level}, stays at 0.97")
    script.require(limited[2] >= limited[0] - 0.01, f"and does not fall: {level}")
    off = np.abs(results.unlimited[:steps] / results.bfgs[:steps] - 1).max()
    script.require(off <= 1e-2, f"with all pairs in memory, {off:.0e} off, it is BFGS")
    return (
        f"BFGS: {steps} steps to {LEAST:g}, ratio by thirds {falling}, the last {last:.3f}; L-BFGS({results.memory}): "
        f"{len(resolved(results.lbfgs)) - 1} steps to {resolved(results.lbfgs)[-1]:.0e}, ratio {level}; with all pairs "
        f"in memory it is BFGS to {off:.0e} of the value"
    )


def plot(results: Results) -> Figure:
    figure = Figure(figsize=(10.5, 4.2))
    errors, steps, by_ratio = figure.subplots(1, 3)
    for name, values, colour, line in (
        ("BFGS", results.bfgs, BLUE, "-"),
        (f"L-BFGS, memory {results.memory}", results.lbfgs, VERMILION, "-."),
    ):
        error, ratio = np.sqrt(resolved(values)), ratios(values)
        for axes in (errors, steps):
            axes.semilogy(error, line, color=colour, label=name)
        # Geometric means over ten steps.
        means = np.exp(np.convolve(np.log(ratio), np.full(10, 0.1), mode="valid"))
        by_ratio.plot(np.linspace(0, 100, len(means)), means, line, color=colour, label=f"{thirds(values)[2]:.3f}")
    kept = np.sqrt(resolved(results.unlimited))
    every = np.arange(0, len(kept), 4)
    steps.semilogy(every, kept[every], "s", color=GREEN, ms=6, mfc="none", label="L-BFGS, all pairs kept")
    errors.set(xlabel="step", ylabel="error, $\\sqrt{f(x_k)}$", title="the whole runs")
    steps.set(xlabel="step", ylabel="error, $\\sqrt{f(x_k)}$", title="their beginning", xlim=(0, 1.4 * len(kept)))
    by_ratio.set(xlabel="part of the run (%)", ylabel="ratio of successive errors (mean of ten)", ylim=(0, 1.05))
    by_ratio.set_title("falling: superlinear; level: linear")
    errors.legend(loc="upper right", fontsize=8)
    steps.legend(loc="lower left", fontsize=8)
    by_ratio.legend(loc="lower left", fontsize=8, title="mean of the last third", title_fontsize=8)
    return figure


if __name__ == "__main__":
    sys.exit(script.main(sys.modules[__name__]))
