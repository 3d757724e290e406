"""Gradient descent, L-BFGS and Newton-CG find the same softmax classifier of handwritten digits, certified by
strong convexity: the loss is within |g|^2 / (2 lam) of its minimum. Newton-CG takes the fewest outer steps,
gradient descent the most.

Softmax regression on 1797 images of 8 x 8 pixels, a quarter of them drawn as test images. Pixels are divided
by 16 and centred by the means of the training images; ridge penalty lam on every weight, hence no intercept.
All start at W = 0, and the K weights of one pixel then sum to zero for ever: gradient, Hessian-vector
products and penalty keep it. Newton-CG uses the hand-derived Hessian-vector product, L-BFGS is optax's,
gradient descent takes the step 1/L with L = eig_max(X'X)/(2n) + lam. Outer steps of Newton-CG cost several
products each. These are counted, and the time of a run, without compilation, is spread over its steps by
their gradients and products. The split puts the same thirteen writers on both sides: the test accuracy is not
that for new writers.
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
from experiments.loops import Problem, timed, trace
from jaxderiv import data
from jaxderiv.catalogue.classification import softmax
from jaxderiv.optimisers import newton_cg

LABELS = ("gradient descent", "L-BFGS", "Newton-CG")
ROUND_OFF = 1e-13  # of a loss of order 1 that is a mean of a thousand terms


FIGURES = ()
LEDGER = ("C6.30", "C6.34", "C6.35", "C6.65")


@dataclass(frozen=True)
class Config(settings.Config):
    lam: float = settings.option(1e-3, "ridge penalty", quick=1e-2, above=0)
    tolerance: float = settings.option(1e-6, "gradient norm at which steps are counted", above=0)
    descent_steps: int = settings.option(4000, "steps of gradient descent", quick=600, least=1)
    lbfgs_steps: int = settings.option(150, "steps of L-BFGS", quick=60, least=1)
    newton_steps: int = settings.option(12, "outer steps of Newton-CG", quick=8, least=1)


class Run(NamedTuple):
    """One optimiser; arrays by step have the start first."""

    weights: np.ndarray  # (64, 10)
    loss: np.ndarray
    gradient_norm: np.ndarray
    row_sum: np.ndarray  # largest |sum_k W_jk|
    test_accuracy: np.ndarray
    train_accuracy: float
    products: np.ndarray  # Hessian-vector products so far
    compile_seconds: float
    seconds: float


class Results(NamedTuple):
    runs: tuple[Run, ...]  # in the order of LABELS
    lam: float
    tolerance: float
    train_size: int
    test_size: int


@jax.enable_x64(True)
def run(config: Config, progress: script.Progress = script.no_progress) -> Results:
    images, digits = data.digits()
    shuffled = np.random.default_rng(config.seed).permutation(len(digits))
    test, train = np.split(shuffled, [len(digits) // 4])
    X = images / 16 - images[train].mean(axis=0) / 16
    arguments = {"X": X[train], "T": np.eye(10)[digits[train]], "lam": config.lam}
    problem = Problem(softmax.loss, softmax.gradient)
    lipschitz = np.linalg.eigvalsh(X[train].T @ X[train] / len(train))[-1] / 2 + config.lam

    def accuracy(W, part):
        return jnp.mean(jnp.argmax(X[part] @ W, axis=1) == digits[part], dtype=float)

    def record(W, state):
        return jnp.abs(W.sum(axis=1)).max(), accuracy(W, test), optax.tree.get(state, "products", 0)

    def fit(label, optimiser, steps):
        def once():
            start, report = np.zeros((64, 10)), progress(label)
            return trace(problem, optimiser, start, arguments, steps, record, report, chunk=500)

        found, *seconds = timed(once)
        row_sum, correct, products = found.recorded
        fitted = float(accuracy(found.params, train))
        norms = found.value, found.gradient_norm
        return Run(found.params, *norms, row_sum, correct, fitted, products, *seconds)

    optimisers = (optax.sgd(1 / lipschitz), optax.lbfgs(), newton_cg(softmax.hvp))
    steps = (config.descent_steps, config.lbfgs_steps, config.newton_steps)
    runs = tuple(fit(*each) for each in zip(LABELS, optimisers, steps, strict=True))
    return Results(runs, config.lam, config.tolerance, len(train), len(test))


def steps_to(norms: np.ndarray, tolerance: float) -> float:
    """The first step whose gradient norm is at most the tolerance; infinity if there is none."""
    return int(np.argmax(norms <= tolerance)) if (norms <= tolerance).any() else np.inf


def claim(results: Results) -> str:
    counts = [steps_to(each.gradient_norm, results.tolerance) for each in results.runs]
    last = results.runs[-1]
    for label, each, count in zip(LABELS, results.runs, counts, strict=True):
        norm, certificate = each.gradient_norm[-1], each.gradient_norm**2 / (2 * results.lam)
        script.require(norm <= results.tolerance, f"{label} ends at the tolerance, |g| = {norm:.1e}")
        script.require(count > 0 and each.loss[0] > each.loss[-1], f"{label} starts above its minimum")
        # No loss is below the minimum: the gap to the smallest one is at most the gap that is certified.
        gap = each.loss - min(every.loss[-1] for every in results.runs)
        good = (gap <= certificate + ROUND_OFF).all()
        script.require(good, f"{label} stays within |g|^2 / (2 lam) of the minimum")
        reach = (norm + last.gradient_norm[-1]) / results.lam + ROUND_OFF
        apart = np.linalg.norm(each.weights - last.weights)
        script.require(apart <= reach, f"{label}'s weights, {apart:.1e} off, are within {reach:.1e} of Newton-CG's")
        drift = each.row_sum.max()
        script.require(drift <= 1e-10, f"{label}'s row sums of W, up to {drift:.1e}, stay zero")
    script.require(counts[2] < counts[1] < counts[0], f"steps {counts} of {LABELS} decrease")
    spread = max(np.linalg.norm(each.weights - last.weights) for each in results.runs)
    drift = max(each.row_sum.max() for each in results.runs)
    return (
        f"|g| <= {results.tolerance:g} after {counts[0]} steps of gradient descent, {counts[1]} of L-BFGS, "
        f"{counts[2]} of Newton-CG ({last.products[int(counts[2])]} Hessian-vector products); "
        f"weights at most {spread:.0e} apart, row sums at most {drift:.0e}; "
        f"accuracy {last.train_accuracy:.4f} on {results.train_size} training images, "
        f"{last.test_accuracy[-1]:.4f} on {results.test_size} test images"
    )


def plot(results: Results) -> Figure:
    figure = Figure(figsize=(10.5, 5.6))
    curves, pictures = figure.subfigures(2, 1, height_ratios=(1.7, 1))
    by_step, by_time, accuracy = curves.subplots(1, 3)
    for label, each, colour, line in zip(
        LABELS, results.runs, (VERMILION, GREEN, BLUE), ("-", "-.", "--"), strict=True
    ):
        steps = np.arange(1, len(each.loss))
        style = {"color": colour, "linestyle": line, "marker": "o" if label == "Newton-CG" else "", "ms": 4}
        by_step.loglog(steps, each.gradient_norm[1:], **style)
        work = steps + each.products[1:]
        by_time.loglog(1e3 * each.seconds * work / work[-1], each.gradient_norm[1:], **style)
        accuracy.semilogx(steps, 100 * each.test_accuracy[1:], label=label, **style)
    for axes, label in ((by_step, "outer step"), (by_time, "time without compilation (ms)")):
        axes.axhline(results.tolerance, color="black", linewidth=0.8, linestyle=":")
        axes.set(xlabel=label, ylabel="Frobenius norm of the gradient")
    by_step.set_title(f"lam = {results.lam:g}; dotted: tolerance {results.tolerance:g}")
    by_time.set_title("compilation: {:.1f}, {:.1f}, {:.1f} s".format(*(each.compile_seconds for each in results.runs)))
    accuracy.set(xlabel="outer step", ylabel=f"test accuracy (% of {results.test_size} images)")
    accuracy.set_title(f"at the end {100 * results.runs[-1].test_accuracy[-1]:.1f} % of test images")
    accuracy.legend(loc="lower right")

    weights = results.runs[-1].weights
    limit = np.abs(weights).max()
    row = pictures.subplots(1, 10)
    for digit, axes in enumerate(row):
        picture = axes.imshow(weights[:, digit].reshape(8, 8), cmap="PuOr", vmin=-limit, vmax=limit)
        axes.set(xticks=[], yticks=[], title=f"{digit}")
        axes.grid(False)
        axes.spines[:].set_visible(True)
    bar = pictures.colorbar(picture, ax=row, location="bottom", aspect=60)
    bar.set_label("weight of a pixel's ink (0 to 1): purple speaks for the digit, orange against it")
    return figure


if __name__ == "__main__":
    sys.exit(script.main(sys.modules[__name__]))
