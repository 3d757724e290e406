"""Checkers that compare floats at the example alone let wrong gradients pass where it is special, as w = 0 is.
jaxderiv refutes all of them everywhere, and no right one.

Twelve mistakes in the gradient of logistic regression with a ridge penalty, and three ways to write it that are right.
Each checker runs in float64 at its own tolerances: another choice would say more about us than about it.

    jax check_grads         `jax.test_util.check_grads` of a custom derivative, reverse mode, first order
    scipy check_grad        `scipy.optimize.check_grad` returns a distance from forward differences, which a person has
                            to judge; here it counts as wrong above 1e-5, about what its documentation calls small
    torch gradcheck         `torch.autograd.gradcheck` of a function whose backward is the formula and whose forward is
                            the loss in PyTorch: every entry of the gradient is compared
    torch gradcheck fast    with `fast_mode=True`: one random combination of the entries is

These look at the example alone; jaxderiv takes its shapes and values as one of its points. PyTorch is optional; without
it the others run. Seconds are medians over the formulas, each of which is compiled before.
"""

# First, so that Ctrl-C is answered while JAX is imported.
from experiments import script  # isort: split

import contextlib
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
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

import jaxderiv
from experiments import settings
from experiments.files import VERMILION
from jaxderiv.catalogue.classification import logistic

Checker = Callable[..., bool]  # (gradient, *arguments of the loss): whether it calls the gradient wrong

OURS, TORCH = "jaxderiv", ("torch gradcheck", "torch gradcheck fast")
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


FIGURES = ()
LEDGER = ()


@dataclass(frozen=True)
class Config(settings.Config):
    mistakes: int = settings.option(len(WRONG), "wrong gradients that are tried", quick=2, least=2)
    forms: int = settings.option(len(RIGHT), "right gradients that are tried", quick=1, least=1)
    situations: int = settings.option(len(SETTINGS), "kinds of examples, the generic one first", quick=2, least=2)
    observations: int = settings.option(40, "rows of the example", quick=7, least=2)


class Results(NamedTuple):
    checkers: tuple[str, ...]  # those that were there, ours among them
    caught: np.ndarray  # (checkers, settings): share of the wrong gradients that were called wrong
    refused: np.ndarray  # (checkers, settings): share of the right ones that were
    seconds: np.ndarray  # (checkers, settings): of one check
    mistakes: int
    forms: int


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


def by_torch(fast: bool) -> Checker:
    """gradcheck in one of its modes.

    Raises:
        ModuleNotFoundError: without PyTorch, which takes seconds to import and is not everyone's.
    """
    import torch

    def check(gradient: Callable, w, X, y, lam) -> bool:
        features, labels = torch.tensor(X), torch.tensor(y)

        class Loss(torch.autograd.Function):
            @staticmethod
            def forward(ctx, w):
                ctx.save_for_backward(w)
                z = features @ w
                # Not torch's softplus: it is the identity above 20, wrong by 2e-9 there.
                return (torch.logaddexp(z, torch.zeros_like(z)) - labels * z).mean() + lam / 2 * (w @ w)

            @staticmethod
            def backward(ctx, cotangent):
                (w,) = ctx.saved_tensors
                return cotangent * torch.tensor(np.asarray(gradient(w.detach().numpy(), X, y, lam)))

        at = torch.tensor(w, requires_grad=True)
        return not torch.autograd.gradcheck(Loss.apply, (at,), raise_exception=False, fast_mode=fast)

    return check


def by_jaxderiv(gradient: Callable, w, *rest) -> bool:
    return not jaxderiv.check(logistic.loss, w, *rest, gradient=gradient).ok


def installed() -> dict[str, Checker]:
    """The checkers that are there, by name, ours last."""
    found: dict[str, Checker] = {"jax check_grads": by_jax, "scipy check_grad": by_scipy}
    with contextlib.suppress(ModuleNotFoundError):
        found |= {name: by_torch(fast) for name, fast in zip(TORCH, (False, True), strict=True)}
    return found | {OURS: by_jaxderiv}


@jax.enable_x64(True)
def run(config: Config, progress: script.Progress = script.no_progress) -> Results:
    rng, report, checkers = np.random.default_rng(config.seed), progress("checks"), installed()
    formulas = [*list(RIGHT.values())[: config.forms], *list(WRONG.values())[: config.mistakes]]
    kinds = SETTINGS[: config.situations]
    called = np.zeros((len(checkers), len(kinds), len(formulas)), dtype=bool)
    seconds = np.zeros(called.shape)
    for number, name in enumerate(kinds):
        args = example(name, config.observations, rng)
        for position, formula in enumerate(formulas):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of exp at saturated logits
                for check in (by_jax, by_scipy):
                    check(formula, *args)  # compiles the formula, which whoever is first would be timed with
                for checker, check in enumerate(checkers.values()):
                    begun = time.perf_counter()
                    called[checker, number, position] = check(formula, *args)
                    seconds[checker, number, position] = time.perf_counter() - begun
            report(number * len(formulas) + position + 1, len(kinds) * len(formulas))
    split = len(formulas[: config.forms])
    return Results(
        checkers=tuple(checkers),
        caught=called[:, :, split:].mean(axis=-1),
        refused=called[:, :, :split].mean(axis=-1),
        seconds=np.median(seconds, axis=-1),
        mistakes=len(formulas) - split,
        forms=split,
    )


def claim(results: Results) -> str:
    rows = dict(zip(results.checkers, zip(results.caught, results.refused, strict=True), strict=True))
    ours, refused = rows.pop(OURS)
    script.require((ours == 1).all(), f"{OURS} catches the shares {ours} of {SETTINGS}, all of each")
    script.require((refused == 0).all(), f"{OURS} refuses the shares {refused}, none of each")
    for name, (shares, _) in rows.items():
        script.require(shares.min() < 1, f"{name} misses some somewhere, catching {shares}")
        script.require(shares[0] == 1, f"{name} catches all at a generic point, {shares[0]:.2f}")
    missed = ", ".join(
        f"{name} misses up to {results.mistakes * (1 - shares.min()):.0f} ({SETTINGS[shares.argmin()]}) "
        f"and refuses right ones in {(refused > 0).sum()}"
        for name, (shares, refused) in rows.items()
    )
    return (
        f"of {results.mistakes} wrong gradients {OURS} refutes all in each of {len(ours)} settings, no right one; "
        f"{missed}{without(results)}\n\n"
        f"Wrong gradients caught, of {results.mistakes}; right ones refused, of {results.forms}; seconds a check:\n\n"
        f"{table(results)}"
    )


def without(results: Results) -> str:
    """What is to be said of checkers that did not run."""
    return "" if set(TORCH) <= set(results.checkers) else "; PyTorch was not installed, so its gradcheck did not run"


def table(results: Results) -> str:
    head = ["checker", *SETTINGS[: results.caught.shape[1]]]
    counts = zip(results.mistakes * results.caught, results.forms * results.refused, results.seconds, strict=True)
    rows = [
        [name, *(f"{caught:.0f}; {refused:.0f}; {seconds:.2g}" for caught, refused, seconds in zip(*row, strict=True))]
        for name, row in zip(results.checkers, counts, strict=True)
    ]
    return script.markdown(head, rows)


def plot(results: Results) -> Figure:
    figure = Figure(figsize=(8.5, 0.6 * len(results.checkers) + 1.3))
    axes = figure.subplots()
    caught, refused = results.mistakes * results.caught, results.forms * results.refused
    # White is the goal, so that what a checker gets wrong, in either way, is all that stands out.
    errors = results.mistakes - caught + refused
    colours = LinearSegmentedColormap.from_list("errors", ["white", VERMILION])
    axes.pcolormesh(errors, cmap=colours, vmin=0, vmax=results.mistakes + results.forms, edgecolors="0.85", linewidth=1)
    for (row, column), count in np.ndenumerate(caught):
        x, y, middle = column + 0.5, row + 0.5, {"ha": "center", "va": "center"}
        weight = "normal" if errors[row, column] == 0 else "bold"
        if refused[row, column]:
            words = f"and {refused[row, column]:.0f} of {results.forms} right ones"
            axes.text(x, y + 0.23, words, size=7.5, **middle)
            y -= 0.13
        axes.text(x, y, f"{count:.0f}", size=11, weight=weight, **middle)
    times = [
        f"{name}\n{seconds:.2g} s"
        for name, seconds in zip(results.checkers, np.median(results.seconds, axis=1), strict=True)
    ]
    axes.set_yticks(np.arange(len(times)) + 0.5, times)
    axes.set_xticks(np.arange(caught.shape[1]) + 0.5, SETTINGS[: caught.shape[1]])
    axes.set(xlabel=f"the example{without(results)}", ylabel="checker, seconds a check")
    axes.set_title(f"Logistic regression with a ridge penalty: gradients called wrong, of {results.mistakes} that are")
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


if __name__ == "__main__":
    sys.exit(script.main(sys.modules[__name__]))
