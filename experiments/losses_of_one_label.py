"""Where a model is confidently wrong the squared error behind a sigmoid hardly pulls: at a prediction p of the label 1
its slope in the logit is p(1 - p) times that of cross-entropy and never above 4/27, its value at p = 1/3, where the
loss stops being concave; gradient descent from a logit of -6 needs about sixty times as many steps to get to p = 1/2.

Losses, slopes and curvatures in the logit z are the catalogue's, of one observation with x = 1 and y = 1; squared error
is half the square. The pull of cross-entropy is 1 - p, that of squared error p (1 - p)^2.

Descent with a short step follows dz/dt = pull, which can be integrated: getting from z0 < 0 to 0 takes the time 1 -
e^z0 - z0 under cross-entropy and 3/2 + e^-z0 - 3 e^z0 - 1/2 e^(2 z0) - 3 z0 under squared error, where e^-z0 is what
the flat start costs. The start is drawn within 1/4 of -6.

Source: ML Math Derivations, part 6, figure 3; the times are our own.
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
from scipy.optimize import brentq

from experiments import settings
from experiments.files import BLACK, BLUE, ORANGE, VERMILION
from experiments.loops import Problem, trace
from jaxderiv.catalogue.classification import logistic, squared_error_sigmoid

FIGURES = ("F6.3",)
LEDGER = ("C6.13", "C6.14", "C6.15", "C6.16", "C6.17")
WRONG = 0.1  # below it a prediction counts as confidently wrong


@dataclass(frozen=True)
class Config(settings.Config):
    step_size: float = settings.option(0.05, "step size of gradient descent", quick=0.2, above=0)


class Loss(NamedTuple):
    """A loss of one observation with label 1; arrays by logit, rising."""

    value: np.ndarray
    pull: np.ndarray  # |d loss / d logit|
    curvature: np.ndarray
    descent: np.ndarray  # logit by step of gradient descent


class Results(NamedTuple):
    logit: np.ndarray
    cross_entropy: Loss
    squared: Loss
    steepest: float  # logit where the curvature of squared error is 0
    largest_pull: float  # of squared error, there
    step_size: float

    @property
    def p(self) -> np.ndarray:
        return 1 / (1 + np.exp(-self.logit))


def logit_of(w, state):
    return w[0]


@jax.enable_x64(True)
def run(config: Config, progress: script.Progress = script.no_progress) -> Results:
    z, y = np.linspace(-7, 7, 561), np.ones(561)
    start = np.random.default_rng(config.seed).uniform(-6.25, -5.75, size=1)
    observation = {"X": np.ones((1, 1)), "y": np.ones(1)}
    descent = optax.sgd(config.step_size)

    def descended(formulas, steps, **more):
        problem = Problem(formulas.loss, formulas.gradient)
        return trace(problem, descent, start, observation | more, steps, logit_of).recorded

    one = np.ones(1)
    steepest = brentq(lambda z: float(squared_error_sigmoid.curvature(z * one, one)[0]), -3, 3, xtol=1e-15)
    return Results(
        z,
        Loss(
            *(np.asarray(of(z, y)) for of in (logistic.pointwise, lambda z, y: -logistic.residual(z, y))),
            np.asarray(logistic.curvature(z)),
            descended(logistic, int(20 / config.step_size), lam=0.0),
        ),
        Loss(
            *(
                np.asarray(of(z, y))
                for of in (squared_error_sigmoid.pointwise, lambda z, y: -squared_error_sigmoid.slope(z, y))
            ),
            np.asarray(squared_error_sigmoid.curvature(z, y)),
            descended(squared_error_sigmoid, int(600 / config.step_size)),
        ),
        steepest,
        float(-squared_error_sigmoid.slope(steepest * one, one)[0]),
        config.step_size,
    )


def time_to_half(descent: np.ndarray, step_size: float) -> float:
    """Steps times step size until the logit is 0, by linear interpolation; NaN if it never is."""
    after = int(np.argmax(descent >= 0))
    if not after:
        return np.nan
    before = descent[after - 1]
    return step_size * (after - 1 + before / (before - descent[after]))


def predicted_times(z0: float) -> tuple[float, float]:
    """The integrals of 1 / pull from z0 to 0, of cross-entropy and of squared error."""
    e = np.exp(z0)
    return 1 - e - z0, 3 / 2 + 1 / e - 3 * e - e**2 / 2 - 3 * z0


def times(results: Results) -> tuple[float, float]:
    return tuple(time_to_half(each.descent, results.step_size) for each in (results.cross_entropy, results.squared))


def claim(results: Results) -> str:
    require, p, (ce, squared) = script.require, results.p, results[1:3]
    require((np.diff(results.logit) > 0).all(), "the logits rise")
    for name, found, formula in (
        ("cross-entropy", ce.value, -np.log(p)),
        ("squared error", squared.value, (1 - p) ** 2 / 2),
        ("cross-entropy's pull", ce.pull, 1 - p),
        ("squared error's pull", squared.pull, p * (1 - p) ** 2),
        ("squared error's share of cross-entropy's pull", squared.pull / ce.pull, p * (1 - p)),
    ):
        require((abs(found - formula) <= 1e-13).all(), f"{name} is as derived by hand")
    wrong = p < WRONG
    ratio = (squared.pull / ce.pull)[wrong].max()
    require(ratio < WRONG and (ce.pull[wrong] > 1 - WRONG).all(), f"where p < 0.1 it is weaker, by {ratio:.3f} or less")

    peak = 1 / (1 + np.exp(-results.steepest))
    require(abs(peak - 1 / 3) <= 1e-12, f"its largest pull is at p = {peak:.6f}, 1/3")
    require(abs(results.largest_pull - 4 / 27) <= 1e-14, f"which is {results.largest_pull:.6f}, 4/27")
    require((squared.pull <= results.largest_pull).all(), "no pull is above it")
    concave = squared.curvature < 0
    require((concave == (p < 1 / 3)).all() and (ce.curvature > 0).all(), "below 1/3, and there only, it is concave")

    found, start = times(results), ce.descent[0]
    require(start == squared.descent[0], "both descents start at the same logit")
    for name, time, predicted in zip(("cross-entropy", "squared error"), found, predicted_times(start), strict=True):
        good = abs(time / predicted - 1) <= 2 * results.step_size / 10 + 1e-3
        require(good, f"{name} gets to p = 1/2 in the time {time:.2f}, predicted {predicted:.2f}")
    factor = found[1] / found[0]
    require(40 <= factor <= 80, f"squared error takes {factor:.0f} times as many steps")
    return (
        f"pull of squared error at most {results.largest_pull:.4f}, at p = {peak:.4f}, and {ratio:.3f} of "
        f"cross-entropy's or less where p < {WRONG}; from a logit of {start:.2f} to p = 1/2 in the times "
        f"{found[0]:.2f} and {found[1]:.1f}, {factor:.0f} times as many steps"
    )


def plot(results: Results) -> Figure:
    p, start = results.p, results.cross_entropy.descent[0]
    figure = Figure(figsize=(10.5, 3.9))
    losses, pulls, descents = figure.subplots(1, 3)
    named = (
        ("cross-entropy", results.cross_entropy, {"color": BLUE}),
        ("squared error", results.squared, {"color": VERMILION, "linestyle": "--"}),
    )
    for (name, loss, style), time in zip(named, times(results), strict=True):
        losses.plot(p, loss.value, label=name, **style)
        pulls.plot(p, loss.pull, label=name, **style)
        so_far = np.arange(len(loss.descent)) * results.step_size
        until = so_far <= 1.3 * time
        after = so_far[until][1:]
        label = f"{name}: p = 1/2 after {time:.1f}"
        descents.semilogx(after, 1 / (1 + np.exp(-loss.descent[until][1:])), label=label, **style)
        descents.plot(time, 0.5, "o", color=style["color"])
    for axes in (losses, pulls):
        axes.axvspan(0, WRONG, color=ORANGE, alpha=0.3, linewidth=0, label=f"confidently wrong: p < {WRONG}")
        axes.set(xlim=(0, 1), xlabel="prediction p for the label 1")
    losses.set(ylim=(0, 5), ylabel="loss (nats; half the squared difference)")
    losses.set_title("two losses of one observation")
    pulls.plot(
        1 / (1 + np.exp(-results.steepest)), results.largest_pull, "o", color=BLACK, label="maximum 4/27 at p = 1/3"
    )
    pulls.set(ylim=(0, 1.05), ylabel="pull |∂loss/∂z| on the logit z")
    pulls.set_title("their slopes in the logit")
    descents.axhline(0.5, color=BLACK, linewidth=0.8, linestyle=":")
    descents.set(ylim=(0, 0.9), xlabel="steps × step size", ylabel="prediction p for the label 1")
    descents.set_title(f"gradient descent from a logit of {start:.2f}")
    for axes, place in ((losses, "upper right"), (pulls, "upper right"), (descents, "upper left")):
        axes.legend(loc=place, fontsize=8)
    return figure


if __name__ == "__main__":
    sys.exit(script.main(sys.modules[__name__]))
