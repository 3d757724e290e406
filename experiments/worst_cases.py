"""The worst that can happen to gradient descent after k steps of 1/L is L R^2 / (4k + 2), which a Huber function
attains and which is less than half of the textbook's L R^2 / 2k; on Nesterov's chain, a worst function for methods that
combine gradients, his accelerated method stays within a constant of the least gap that k gradients leave.

R is the distance of the start from the minimiser; L = 1 throughout. Left: the Huber function of one variable with the
knee R / (2k + 1), one for each k; each is worst at its own step only. Right: the chain of n = 2k + 1 variables,
(x_1^2 + sum (x_i - x_(i+1))^2 + x_n^2) / 8 - x_1 / 4, one for each k, from 0: k gradients reach k variables, and the
best in them is solved for. The bounds: 3 R^2 / 32(k + 1)^2 from below, for k <= (n - 1) / 2 only, and 2 R^2 / (k + 1)^2
from above, for momenta k / (k + 3). Source: Drori and Teboulle (2014), theorem 3.1; Nesterov, Introductory Lectures on
Convex Optimization, theorem 2.1.7; ML Math Derivations, part 4, "First-order methods".
"""

# First, so that Ctrl-C is answered while JAX is imported.
from experiments import script  # isort: split

import sys
from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np
import optax
from matplotlib.figure import Figure

from experiments import settings
from experiments.files import BLACK, BLUE, GREEN, ORANGE, VERMILION
from experiments.loops import Problem, follow, nothing
from experiments.methods import Method, Rows
from jaxderiv.catalogue.regression import huber
from jaxderiv.optimisers import nesterov

FIGURES = ()
LEDGER = ("C4.39", "C4.49", "C4.50", "C4.51", "C4.110")
SHOWN = 20  # the horizon of the Huber function whose whole run is drawn


@dataclass(frozen=True)
class Config(settings.Config):
    huber_steps: int = settings.option(100, "horizons of the Huber functions, from 1", quick=50, least=SHOWN)
    chain_steps: int = settings.option(60, "horizons of the chains, from 1", quick=20, least=10)


class Results(NamedTuple):
    """Gaps f(x_k) - f* in units of L R^2."""

    huber_gaps: np.ndarray  # (k + 1, k), a run by column, that of horizon 1 first
    descent: np.ndarray  # (k,), on the chain of each horizon, at the horizon
    accelerated: np.ndarray  # (k,)
    best: np.ndarray  # (k,), of all combinations of the k gradients
    reach: float  # the largest entry that a run has beyond the k variables that k gradients reach


def chain_loss(x, A, b):
    return x @ A @ x / 2 - b @ x


def chain_gradient(x, A, b):
    return A @ x - b


def chains(horizons: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A and b of each chain, filled with zeros to the length of the longest, and its least value."""
    size = 2 * horizons[-1] + 1
    A, b = np.zeros((len(horizons), size, size)), np.zeros((len(horizons), size))
    b[:, 0] = 1 / 4
    for each, n in zip(A, 2 * horizons + 1, strict=True):
        each[:n, :n] = (2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)) / 4
    return A, b, -(1 - 1 / (2 * horizons + 2)) / 8


def radius_squared(k: np.ndarray) -> np.ndarray:
    """R^2 of the chain of 2k + 1, from 0."""
    n = 2 * k + 1
    return n * (2 * n + 1) / (6 * (n + 1))


def gaps(problem, optimiser, starts, data, steps, record=nothing):
    """Values by step and problem, and what is recorded: one method on many problems, data by row."""
    method = Method(problem, optimiser)
    rows = Rows(method, record)
    begun = jax.vmap(method.begin)(starts, data)
    step = lambda state, **data: jax.vmap(lambda state, data: method(state, **data))(state, data)
    _, (values, _, recorded) = follow(
        step, begun, data, steps, lambda state, **data: jax.vmap(lambda state, data: rows(state, **data))(state, data)
    )
    return values, recorded


@jax.enable_x64(True)
def run(config: Config, progress: script.Progress = script.no_progress) -> Results:
    horizons = np.arange(1, config.huber_steps + 1)
    ones = np.ones((len(horizons), 1))
    data = {"X": ones[..., None], "y": 0 * ones, "delta": 1 / (2 * horizons + 1.0)}
    sgd = optax.sgd(1.0)
    huber_gaps, _ = gaps(Problem(huber.loss, huber.gradient), sgd, ones, data, config.huber_steps)

    horizons = np.arange(1, config.chain_steps + 1)
    A, b, least = chains(horizons)
    problem, square = Problem(chain_loss, chain_gradient), radius_squared(horizons)

    def at_horizons(optimiser):
        values, points = gaps(problem, optimiser, 0 * b, {"A": A, "b": b}, horizons[-1], lambda x, state: x)
        beyond = np.arange(b.shape[1]) >= np.arange(len(points))[:, None, None]
        return (values[horizons, horizons - 1] - least) / square, np.abs(points * beyond).max()

    (plain, far), (fast, farther) = at_horizons(sgd), at_horizons(nesterov(1.0, "k/(k+3)"))
    best = [-b[k - 1, :k] @ np.linalg.solve(A[k - 1, :k, :k], b[k - 1, :k]) / 2 for k in horizons]
    return Results(huber_gaps, plain, fast, (np.array(best) - least) / square, max(far, farther))


def steps_of(results: Results) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(1, results.huber_gaps.shape[1] + 1), np.arange(1, len(results.best) + 1)


def claim(results: Results) -> str:
    (k, chain_k), runs = steps_of(results), results.huber_gaps
    exact = 1 / (4 * np.arange(len(runs)) + 2)
    script.require((runs <= exact[:, None] * (1 + 1e-9)).all(), "no gap of any run is above L R^2 / (4k + 2)")
    off = np.abs(runs[k, k - 1] / exact[1:] - 1).max()
    script.require(off <= 1e-9, f"every Huber function attains it at its own step, {off:.0e} off")
    touching = np.count_nonzero(runs >= exact[:, None] * (1 - 1e-6), axis=0)
    script.require((touching == 1).all(), "and at no other")
    share = exact[-1] * 2 * k[-1]
    lower, upper = 3 / 32 / (chain_k + 1) ** 2, 2 / (chain_k + 1) ** 2
    script.require((lower <= results.best).all(), "the lower bound is below the best of k gradients")
    off = np.abs(results.best / (1 / 16 / (chain_k + 1) / radius_squared(chain_k)) - 1).max()
    script.require(off <= 1e-9, f"which leaves L / 16(k + 1), {off:.0e} off")
    for name, found in (("accelerated method", results.accelerated), ("gradient descent", results.descent)):
        script.require((results.best <= found * (1 + 1e-9)).all(), f"the {name} is not better than that")
    script.require(results.reach <= 1e-15, f"k gradients reach k variables, {results.reach:.0e} beyond")
    script.require((results.accelerated <= upper).all(), "the accelerated method is below its upper bound")
    ratio, slower = results.accelerated / results.best, results.descent / results.best
    script.require(ratio.max() <= 3.5, f"it is within a constant, {ratio.max():.2f}, of the best of k gradients")
    script.require((slower[9:] > ratio[9:]).all() and slower[-1] >= 1.5 * ratio[-1], "gradient descent falls behind")
    return (
        f"gap L R^2 / (4k + 2) attained for k = 1 to {k[-1]}, {share:.3f} of L R^2 / 2k there; on the chain for k = "
        f"{chain_k[-1]} the accelerated method leaves {ratio[-1]:.2f} times the best of k gradients, gradient descent "
        f"{slower[-1]:.2f} times; lower bound {lower[-1]:.2e}, best {results.best[-1]:.2e}, accelerated "
        f"{results.accelerated[-1]:.2e}, upper bound {upper[-1]:.2e} of L R^2"
    )


def plot(results: Results) -> Figure:
    figure = Figure(figsize=(10.5, 4.5))
    left, right = figure.subplots(1, 2)
    k, chain_k = steps_of(results)
    left.loglog(k, 1 / (2 * k), "--", color=VERMILION, label="textbook's bound, $1/2k$")
    left.loglog(k, 1 / (4 * k + 2), "-", color=BLACK, label="exact worst case, $1/(4k + 2)$")
    sparse = np.unique(np.geomspace(1, k[-1], 18).round().astype(int))
    left.loglog(
        sparse,
        results.huber_gaps[sparse, sparse - 1],
        "o",
        color=BLUE,
        ms=5,
        label="Huber function of each k, at step k",
    )
    run = results.huber_gaps[1:, SHOWN - 1]
    left.loglog(k, run, "-.", color=GREEN, linewidth=1.4, label=f"whole run on that of k = {SHOWN}")
    left.set_ylim(1e-3, 1)
    left.set(xlabel="step k", ylabel="$(f(x_k) - f^*) / LR^2$", title="gradient descent with step 1/L")
    for values, style, label in (
        (2 / (chain_k + 1) ** 2, {"color": VERMILION, "linestyle": "--"}, "upper bound, $2/(k+1)^2$"),
        (results.descent, {"color": ORANGE, "marker": "s", "ms": 3}, "gradient descent"),
        (results.accelerated, {"color": BLUE, "marker": "o", "ms": 4}, "Nesterov's accelerated method"),
        (results.best, {"color": GREEN, "linestyle": "-."}, "best combination of k gradients"),
        (3 / 32 / (chain_k + 1) ** 2, {"color": BLACK, "linestyle": ":"}, "lower bound, $3/32(k+1)^2$"),
    ):
        right.loglog(chain_k, values, label=label, **style)
    right.set(xlabel="step k, on the chain of 2k + 1 variables", ylabel="$(f(x_k) - f^*) / LR^2$")
    right.set_title("the worst function for k gradients")
    for axes in (left, right):
        axes.legend(loc="lower left", fontsize=8)
    return figure


if __name__ == "__main__":
    sys.exit(script.main(sys.modules[__name__]))
