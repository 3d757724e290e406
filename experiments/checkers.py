"""Checkers that compare floats at the example alone let wrong gradients pass where it is special, as w = 0 is.
jaxderiv refutes all of them everywhere, and no right one.

Twelve mistakes in the gradient of logistic regression with a ridge penalty, and three ways to write it that are right.
`jax.test_util.check_grads` compares a custom derivative with finite differences at its own tolerances (float64, reverse
mode, first order). `scipy.optimize.check_grad` returns a distance from forward differences, which a person has to
judge; here it counts as wrong above 1e-5, about what its documentation calls small. Both look at the example alone;
jaxderiv takes its shapes and values as one of its points. Seconds are means over one check, the first not counted.
"""

# First, so that Ctrl-C is answered while JAX is imported.
from experiments import script  # isort: split

import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize
from jax.test_util import check_grads
from matplotlib.figure import Figure

import jaxderiv
from experiments import settings
from experiments.files import BLUE, GREEN, VERMILION
from jaxderiv.catalogue.classification import logistic

CHECKERS = ("jax check_grads", "scipy check_grad", "jaxderiv")
SETTINGS = ("generic", "w = 0", "saturated", "X times 0.03", "X times 0.001")
JUDGED_WRONG = 1e-5  # by scipy's distance

residual, right = logistic.residual, logistic.gradient
data = lambda w, X, y: X.T @ residual(X @ w, y) / len(y)
WRONG: dict[str, Callable] = {
    "penalty missing": lambda w, X, y, lam: data(w, X, y),
    "1/n missing": lambda w, X, y, lam: X.T @ residual(X @ w, y) + lam * w,
    "sign": lambda w, X, y, lam: -right(w, X, y, lam),
    "penalty halved": lambda w, X, y, lam: data(w, X, y) + lam / 2 * w,
    "label dropped": lambda w, X, y, lam: X.T @ jax.nn.sigmoid(X @ w) / len(y) + lam * w,
    "factor 2": lambda w, X, y, lam: 2 * right(w, X, y, lam),
    "penalty doubled": lambda w, X, y, lam: data(w, X, y) + 2 * lam * w,
    "sign of w for w": lambda w, X, y, lam: data(w, X, y) + lam * jnp.sign(w),
    "sigma' too much": lambda w, X, y, lam: X.T @ (logistic.curvature(X @ w) * residual(X @ w, y)) / len(y) + lam * w,
    "sign of the label": lambda w, X, y, lam: X.T @ (jax.nn.sigmoid(X @ w) + y) / len(y) + lam * w,
    "row shifted": lambda w, X, y, lam: jnp.roll(X, 1, axis=0).T @ residual(X @ w, y) / len(y) + lam * w,
    "one weight free": lambda w, X, y, lam: data(w, X, y) + lam * jnp.where(jnp.arange(len(w)) == 0, 0 * w, w),
}
RIGHT: dict[str, Callable] = {
    "matrix form": right,
    "sum": logistic.gradient_by_observation,
    "naive sigmoid": lambda w, X, y, lam: X.T @ (1 / (1 + jnp.exp(-(X @ w))) - y) / len(y) + lam * w,
}


@dataclass(frozen=True)
class Config(settings.Config):
    mistakes: int = settings.option(len(WRONG), "wrong gradients that are tried", quick=2, least=2)
    forms: int = settings.option(len(RIGHT), "right gradients that are tried", quick=1, least=1)
    situations: int = settings.option(len(SETTINGS), "kinds of examples, the generic one first", quick=2, least=2)
    observations: int = settings.option(40, "rows of the example", quick=7, least=2)


class Results(NamedTuple):
    caught: np.ndarray  # (checkers, settings): share of the wrong gradients that were called wrong
    refused: np.ndarray  # (checkers, settings): share of the right ones that were
    seconds: np.ndarray  # (checkers,): of one check
    mistakes: int


def example(name: str, observations: int, rng: np.random.Generator) -> tuple:
    X, w = rng.normal(size=(observations, 3)), rng.normal(size=3)
    y = (rng.random(observations) < 0.5).astype(float)
    X = X * {"X times 0.03": 0.03, "X times 0.001": 0.001}.get(name, 1.0)
    w = w * {"w = 0": 0.0, "saturated": 1000.0}.get(name, 1.0)
    return w, X, y, 0.1


def by_jax(gradient: Callable, w, *rest) -> bool:
    f = jax.custom_vjp(lambda w: logistic.loss(w, *rest))
    f.defvjp(lambda w: (f(w), w), lambda w, cotangent: (cotangent * gradient(w, *rest),))
    try:
        check_grads(f, (w,), order=1, modes=("rev",))
    except AssertionError:
        return True
    return False


def by_scipy(gradient: Callable, w, *rest) -> bool:
    distance = scipy.optimize.check_grad(
        lambda w: float(logistic.loss(w, *rest)), lambda w: np.asarray(gradient(w, *rest)), w
    )
    return not distance <= JUDGED_WRONG


def by_jaxderiv(gradient: Callable, w, *rest) -> bool:
    return not jaxderiv.check(logistic.loss, w, *rest, gradient=gradient).ok


@jax.enable_x64(True)
def run(config: Config, progress: script.Progress = script.no_progress) -> Results:
    rng, report = np.random.default_rng(config.seed), progress("checks")
    formulas = [*list(RIGHT.values())[: config.forms], *list(WRONG.values())[: config.mistakes]]
    kinds = SETTINGS[: config.situations]
    called = np.zeros((len(CHECKERS), len(kinds), len(formulas)), dtype=bool)
    seconds: list[list[float]] = [[] for _ in CHECKERS]
    for number, name in enumerate(kinds):
        args = example(name, config.observations, rng)
        for position, formula in enumerate(formulas):
            for checker, check in enumerate((by_jax, by_scipy, by_jaxderiv)):
                begun = time.perf_counter()
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # of exp at saturated logits
                    called[checker, number, position] = check(formula, *args)
                seconds[checker].append(time.perf_counter() - begun)
            report(number * len(formulas) + position + 1, len(kinds) * len(formulas))
    split = len(formulas[: config.forms])
    return Results(
        caught=called[:, :, split:].mean(axis=-1),
        refused=called[:, :, :split].mean(axis=-1),
        seconds=np.array([np.mean(each[1:]) for each in seconds]),
        mistakes=len(formulas) - split,
    )


def claim(results: Results) -> str:
    *others, ours = results.caught
    script.require((ours == 1).all(), f"jaxderiv catches the shares {ours} of {SETTINGS}, all of each")
    script.require((results.refused[-1] == 0).all(), f"jaxderiv refuses the shares {results.refused[-1]}, none of each")
    for name, shares in zip(CHECKERS, others, strict=False):
        script.require(shares.min() < 1, f"{name} misses some somewhere, catching {shares}")
        script.require(shares[0] == 1, f"{name} catches all at a generic point, {shares[0]:.2f}")
    missed = ", ".join(
        f"{name} misses up to {results.mistakes * (1 - shares.min()):.0f} ({SETTINGS[shares.argmin()]}) "
        f"and refuses right ones in {(refused > 0).sum()}"
        for name, shares, refused in zip(CHECKERS, others, results.refused, strict=False)
    )
    times = ", ".join(f"{each:.2g}" for each in results.seconds)
    return (
        f"of {results.mistakes} wrong gradients jaxderiv refutes all in each of {len(ours)} settings, no right one; "
        f"{missed}; seconds a check: {times}"
    )


def plot(results: Results) -> Figure:
    figure = Figure(figsize=(8.5, 3.6))
    axes = figure.subplots()
    places = np.arange(results.caught.shape[1])
    for number, (name, colour, hatch) in enumerate(
        zip(CHECKERS, (VERMILION, GREEN, BLUE), ("//", "..", ""), strict=True)
    ):
        counts = results.mistakes * results.caught[number]
        label = f"{name}, {results.seconds[number]:.2g} s a check"
        bars = axes.bar(
            places + 0.27 * (number - 1), counts, 0.25, color=colour, hatch=hatch, edgecolor="white", label=label
        )
        axes.bar_label(bars, [f"{count:.0f}" for count in counts], fontsize=8)
    axes.set_xticks(places, SETTINGS[: len(places)])
    axes.set(
        xlabel="the example", ylabel=f"wrong gradients caught, of {results.mistakes}", ylim=(0, 1.35 * results.mistakes)
    )
    axes.set_title("Logistic regression with a ridge penalty: which mistakes a checker sees from one example")
    axes.grid(axis="x", visible=False)
    axes.legend(loc="upper center", ncols=3, fontsize=8)
    return figure


if __name__ == "__main__":
    sys.exit(script.main(sys.modules[__name__]))
