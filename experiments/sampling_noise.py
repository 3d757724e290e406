"""With equal steps stochastic gradient descent walks around the path of gradient descent and, for quadratics, is on it
on average over the draws; but its average loss does not fall below a floor, which is exactly the one that the step and
the noise of the sampled gradients give.

Least squares, half the mean of squares, on 200 observations made so that the Hessian is diag(4, 1) and the minimum is
at 0. Each step draws one observation; both methods take the step 0.06 from (-2.7, 2.4). The expected loss after k steps
is not fitted: it is the recursion of E x and E xx' over the 200 equally likely draws. Source: ML Math Derivations,
part 4, figure 6, which adds normal noise instead of sampling and gives the two methods unequal steps.
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
from experiments.files import BLACK, BLUE, ORANGE, SKY, VERMILION
from experiments.loops import Problem, follow, trace
from experiments.steps import MiniBatch
from jaxderiv.catalogue.regression import mean_squared_error

FIGURES = ("F4.6",)
LEDGER = ("C4.55", "C4.56", "C4.57")
CURVATURES, START = np.array([4.0, 1.0]), np.array([-2.7, 2.4])


@dataclass(frozen=True)
class Config(settings.Config):
    runs: int = settings.option(4000, "runs of SGD", quick=800, least=100)
    steps: int = settings.option(120, "steps of each run", least=90)
    rate: float = settings.option(0.06, "step size of both methods", above=0)
    noise: float = settings.option(1.6, "standard deviation of the noise of the targets", above=0)


class Results(NamedTuple):
    """By step, the start first."""

    descent: np.ndarray  # (steps + 1, 2), the path of gradient descent
    one_run: np.ndarray  # (steps + 1, 2)
    mean: np.ndarray  # (steps + 1, 2), of all runs
    spread: np.ndarray  # (steps + 1, 2), their standard deviation
    gap: np.ndarray  # (steps + 1,), mean of f(x_k) - f* over the runs
    gap_spread: np.ndarray  # its standard deviation
    expected_gap: np.ndarray  # by the recursion
    floor: float  # its limit
    rate: float
    runs: int


def gap_of(points):
    """f(x) - f*."""
    return points**2 @ CURVATURES / 2


def observations(rng: np.random.Generator, noise: float, n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """X with X'X / n = diag(CURVATURES), and y with X'y = 0."""
    orthogonal, _ = np.linalg.qr(rng.normal(size=(n, 2)))
    y = rng.normal(0, noise, size=n)
    return np.sqrt(n * CURVATURES) * orthogonal, y - orthogonal @ (orthogonal.T @ y)


def expected(X: np.ndarray, y: np.ndarray, rate: float, steps: int) -> tuple[np.ndarray, float]:
    """E f(x_k) - f* of SGD by step, and its limit: a step is x -> B x + rate y_i x_i with B = I - rate x_i x_i'."""
    B, c, n = np.eye(2) - rate * X[:, :, None] * X[:, None], rate * y[:, None] * X, len(y)
    transition = np.einsum("nij,nkl->ikjl", B, B).reshape(4, 4) / n  # of E xx', row by row
    kick, mean, second, gaps = (c.T @ c / n).ravel(), START, np.outer(START, START).ravel(), []
    for _ in range(steps + 1):
        gaps.append(CURVATURES @ second[[0, 3]] / 2)
        cross = np.einsum("ni,nj->ij", B @ mean, c) / n
        second = transition @ second + kick + (cross + cross.T).ravel()
        mean = (B @ mean + c).mean(axis=0)
    limit = np.linalg.solve(np.eye(4) - transition, kick)
    return np.array(gaps), CURVATURES @ limit[[0, 3]] / 2


@jax.enable_x64(True)
def run(config: Config, progress: script.Progress = script.no_progress) -> Results:
    X, y = observations(np.random.default_rng(config.seed), config.noise)
    problem, optimiser = Problem(mean_squared_error.loss, mean_squared_error.gradient), optax.sgd(config.rate)
    one = MiniBatch(problem, optimiser)

    def all_runs(states, X, y):
        return jax.vmap(lambda state: one(state, X=X, y=y))(states)

    def record(states):
        x = states.params
        gaps = gap_of(x)
        return x[0], x.mean(axis=0), x.std(axis=0), gaps.mean(), gaps.std()

    arguments = {"X": X, "y": y}
    starts = jax.vmap(one.start, (None, 0))(START, config.seed * config.runs + np.arange(config.runs))
    _, rows = follow(all_runs, starts, arguments, config.steps, record, progress("stochastic gradient descent"))
    descent = trace(problem, optimiser, START, arguments, config.steps, lambda x, state: x).recorded
    return Results(descent, *rows, *expected(X, y, config.rate, config.steps), config.rate, config.runs)


def claim(results: Results) -> str:
    k, root = np.arange(len(results.gap)), np.sqrt(results.runs)
    off = np.abs(results.descent - (1 - results.rate * CURVATURES) ** k[:, None] * START).max()
    script.require(off <= 1e-9, f"gradient descent, {off:.0e} off, is that of Hessian diag(4, 1) and the step")
    apart = np.abs(results.mean - results.descent)
    script.require((apart <= 5 * results.spread / root + 1e-9).all(), "the mean path is within 5 standard errors of it")
    # The mean of a quadratic is that of the mean, and a part for the spread.
    off = np.abs(gap_of(results.mean) + gap_of(results.spread) - results.gap).max()
    script.require(off <= 1e-9, f"mean and spread, {off:.0e} off, are those of the runs whose gap is given")
    strayed = np.linalg.norm(results.one_run - results.descent, axis=1).max()
    nearest = np.linalg.norm(results.mean - results.descent, axis=1).max()
    script.require(strayed >= 4 * nearest, f"one run strays by {strayed:.2f}, the mean by {nearest:.3f}")
    script.require((results.one_run[0] == START).all(), f"a run begins at {START}")
    off = np.abs(results.gap - results.expected_gap)
    script.require((off <= 5 * results.gap_spread / root + 1e-9).all(), "the mean gap is the one of the recursion")
    late, floor = results.gap[-30:].mean(), results.floor
    script.require(abs(late / floor - 1) <= 0.15, f"the mean gap ends at {late:.3f}, the floor is {floor:.3f}")
    script.require((results.gap[-60:] >= floor / 2).all(), "the mean gap stays at the floor")
    plain = gap_of(results.descent)[-1]
    script.require(plain <= 0.01 * floor, f"gradient descent goes on, to {plain:.0e}")
    ending = abs(results.expected_gap[-1] / floor - 1)
    script.require(ending <= 0.02, f"the recursion has come to the floor, {ending:.1%} off")
    return (
        f"mean of {results.runs} runs within {nearest:.3f} of the path of gradient descent, one run strays by "
        f"{strayed:.2f}; mean gap of the last 30 steps {late:.3f}, floor {floor:.3f}; gradient descent {plain:.0e}"
    )


def plot(results: Results) -> Figure:
    figure = Figure(figsize=(10.5, 4.4))
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    grid = np.stack(np.meshgrid(np.linspace(-3.6, 2.4, 201), np.linspace(-2.2, 3.4, 201)), axis=-1)
    left.contour(*np.moveaxis(grid, -1, 0), gap_of(grid), 16, colors="grey", linewidths=0.6, alpha=0.6)
    left.plot(*results.one_run.T, ".-", color=ORANGE, linewidth=0.7, ms=3, label="one run of SGD")
    left.plot(*results.descent.T, "-", color=BLUE, linewidth=3.2, alpha=0.75, label="gradient descent")
    left.plot(*results.mean.T, "--", color=BLACK, linewidth=1.4, label=f"mean of {results.runs} runs")
    left.plot(0, 0, "*", ms=13, color=VERMILION, mec="white", label="minimum", zorder=4)
    left.set(xlim=(-3.6, 2.4), ylim=(-2.2, 3.4), aspect="equal", xlabel="$x_1$", ylabel="$x_2$")
    left.set_title(f"$(4x_1^2 + x_2^2)/2$, step {results.rate:g} for both")
    left.legend(loc="upper right", fontsize=8)
    k = np.arange(len(results.gap))
    right.semilogy(k, gap_of(results.one_run), color=ORANGE, linewidth=0.8, label="one run of SGD")
    right.semilogy(k, results.gap, color=SKY, linewidth=3.5, label=f"mean of {results.runs} runs")
    right.semilogy(k, results.expected_gap, "--", color=BLACK, linewidth=1.2, label="its expectation, by the recursion")
    right.axhline(results.floor, linestyle=":", color=VERMILION, label=f"floor {results.floor:.3f}")
    right.semilogy(k, gap_of(results.descent), "-.", color=BLUE, label="gradient descent")
    right.set(xlabel="step k", ylabel="$f(x_k) - f^*$", title="on average SGD ends at a floor, not at the minimum")
    right.legend(loc="lower left", fontsize=8)
    return figure


if __name__ == "__main__":
    sys.exit(script.main(sys.modules[__name__]))
