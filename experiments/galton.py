"""Regression to the mean has no direction in time: children of tall parents are on average shorter than their
parents, and parents of tall children are on average shorter than their children. In Galton's table of 928
heights a child gains 0.646 inches per inch of mid-parent, and a mid-parent 0.326 inches per inch of child (r
= 0.459).

Weighted least squares, the counts being the weights: half the sum of squares, no penalty, so that the column
of ones is an intercept like any other. Its Hessian X'SX does not depend on w, and one Newton step from any
start solves it.

The data: Galton (1886), see jaxderiv/data/PROVENANCE.md. Daughters' heights are multiplied by 1.08; a
mid-parent is (father + 1.08 mother) / 2. Classes are an inch wide, and another coding of the open classes
moves the slope between 0.629 and 0.646. The children are of 205 families, hence not independent: no standard
errors are given here.
"""

# First, so that Ctrl-C is answered while JAX is imported.
from experiments import script  # isort: split

import sys
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from matplotlib.figure import Figure

from experiments import settings
from experiments.files import BLACK, BLUE, GREEN, SKY, VERMILION
from experiments.loops import Problem, minimise
from jaxderiv import data
from jaxderiv.catalogue.regression import weighted_least_squares
from jaxderiv.optimisers import newton

FIGURES = ("F5.1",)
LEDGER = ("C5.01", "C5.16")


@dataclass(frozen=True)
class Config(settings.Config):
    """The seed draws the start; the solution does not depend on it."""


class Line(NamedTuple):
    """A regression line; heights in inches."""

    intercept: float
    slope: float
    newton_steps: int
    gradient_norm: float
    classes: np.ndarray  # heights of the given generation
    means: np.ndarray  # mean height of the other one, by class
    centre: np.ndarray  # mean of the given generation, mean of the other

    @property
    def fixed_point(self) -> float:
        """The height at which the other generation is neither taller nor shorter."""
        return self.intercept / (1 - self.slope)


class Results(NamedTuple):
    child_on_parent: Line
    parent_on_child: Line
    correlation: float
    parent: np.ndarray
    child: np.ndarray
    counts: np.ndarray


@jax.enable_x64(True)
def run(config: Config, progress: script.Progress = script.no_progress) -> Results:
    parent, child, counts = data.galton()
    rng = np.random.default_rng(config.seed)
    problem = Problem(weighted_least_squares.loss, weighted_least_squares.gradient)
    optimiser = newton(weighted_least_squares.hessian)

    def line(x, y):
        arguments = {"X": np.stack([np.ones_like(x), x], axis=1), "y": y, "s": counts.astype(float)}
        start = 10 * rng.normal(size=2)
        found = minimise(problem, optimiser, start, arguments, tolerance=1e-5, limit=10)
        classes = np.unique(x)
        means = np.array([np.average(y[x == c], weights=counts[x == c]) for c in classes])
        centre = np.array([np.average(x, weights=counts), np.average(y, weights=counts)])
        return Line(*found.params, found.steps, found.gradient_norm, classes, means, centre)

    covariance = np.cov(parent, child, fweights=counts)
    correlation = covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1])
    return Results(line(parent, child), line(child, parent), correlation, parent, child, counts)


def claim(results: Results) -> str:
    forward, backward, r = results.child_on_parent, results.parent_on_child, results.correlation
    for what, found, expected, tolerance in (
        ("slope", forward.slope, 0.646291, 5e-7),
        ("intercept", forward.intercept, 23.9415, 5e-5),
        ("fixed point", forward.fixed_point, 67.687, 5e-4),
        ("correlation", r, 0.458762, 5e-7),
        ("reverse slope", backward.slope, 0.325647, 5e-7),
        ("product of the slopes", forward.slope * backward.slope, r**2, 1e-8),
    ):
        script.require(abs(found - expected) <= tolerance, f"{what} {found:.7g} is {expected:.7g}")
    for what, line in (("child on mid-parent", forward), ("mid-parent on child", backward)):
        script.require(line.newton_steps == 1, f"{what}: {line.newton_steps} Newton steps are one")
        miss = line.intercept + line.slope * line.centre[0] - line.centre[1]
        script.require(abs(miss) <= 1e-6, f"{what}: the line, {miss:g} in off, meets the centre of mass")
        regressing = (line.classes - line.means) * (line.classes - line.fixed_point) > 0
        script.require(regressing.all(), f"{what}: the classes {line.classes[~regressing]} in regress as well")
    return (
        f"slope {forward.slope:.6f}, intercept {forward.intercept:.4f} in, r {r:.6f}, reverse slope "
        f"{backward.slope:.6f}, fixed point {forward.fixed_point:.3f} in; one Newton step each, to gradient "
        f"norms of {forward.gradient_norm:.0e} and {backward.gradient_norm:.0e}"
    )


def plot(results: Results) -> Figure:
    forward, backward = results.child_on_parent, results.parent_on_child
    ends, level = np.array([61.0, 75.0]), forward.fixed_point
    figure = Figure(figsize=(8.8, 6.0))
    axes = figure.subplots()
    circles: dict[str, Any] = {"color": SKY, "alpha": 0.55, "edgecolor": BLACK, "linewidth": 0.4}
    axes.scatter(results.parent, results.child, s=9 * results.counts, **circles)
    axes.plot(ends, ends, ":", color=BLACK, label="both equally tall")
    heights = forward.intercept + forward.slope * ends
    axes.plot(ends, heights, color=VERMILION, label=f"child on mid-parent: slope {forward.slope:.3f}")
    heights = backward.intercept + backward.slope * ends
    axes.plot(heights, ends, "--", color=BLUE, label=f"mid-parent on child: slope {backward.slope:.3f} (across)")
    axes.plot(forward.classes, forward.means, "o", ms=4, color=VERMILION, label="mean child of a mid-parent class")
    axes.plot(backward.means, backward.classes, "s", ms=4, color=BLUE, label="mean mid-parent of a child class")
    axes.plot(*forward.centre, "*", ms=13, color=BLACK, label="centre of mass")
    axes.plot(
        level,
        level,
        "D",
        color=GREEN,
        mfc="none",
        mew=1.8,
        label=f"as tall as the mid-parents: {level:.2f} in",
    )
    for count in (5, 20, 45):
        axes.scatter([], [], s=9 * count, **circles, label=f"{count} children")
    axes.set(xlim=ends, ylim=ends, aspect="equal", xlabel="mid-parent's height (inches)")
    axes.set_ylabel("adult child's height (inches; daughters' times 1.08)")
    axes.set_title(f"Galton 1886: either generation finds the other nearer to the mean (r = {results.correlation:.3f})")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), fontsize=8, labelspacing=1.25, frameon=False)
    return figure


if __name__ == "__main__":
    sys.exit(script.main(sys.modules[__name__]))
