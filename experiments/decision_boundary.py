"""Of two Gaussian classes with one covariance the probability of a class is a sigmoid of a linear function, with
weights S^-1 (m1 - m0); Newton's method finds their estimate in a few steps, for which gradient descent takes thousands,
and over many draws the estimates scatter about those weights as the inverse of the Fisher information says.

Means (-1.4, -0.6) and (1.6, 0.9), covariance S = [[1.3, 0.5], [0.5, 1]]. The model is sigma(w'x + b), a column of ones
for b, no penalty: the maximum of the likelihood, which exists as the classes overlap. Gradient descent takes steps of
0.1; both start at 0. Lines of equal probability are parallel and perpendicular to w; along w the logit rises by |w| per
unit of length.

The repeated draws are larger than the one that is shown, and are fitted at once: Newton's method under vmap. The
covariance of their estimates is that of the limit of large samples, the inverse of n times the expected curvature,
which is averaged over all draws at the true weights. Smaller samples give estimates that are too steep: with 140 points
of each class by 3 to 4 %, and the ellipse then holds some 90 % instead of 95 %.

Source: ML Math Derivations, part 6, figure 2; the repeated draws are our own.
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
from matplotlib.patches import Ellipse
from scipy.special import expit, logit

from experiments import settings
from experiments.files import BLACK, BLUE, GREEN, ORANGE, SKY, VERMILION
from experiments.loops import Problem, follow, minimise
from experiments.methods import Method
from jaxderiv.catalogue.classification import logistic
from jaxderiv.optimisers import newton

FIGURES = ("F6.2",)
LEDGER = ("C6.08", "C6.20", "C6.21", "C6.27", "C6.46")
MEANS, COVARIANCE = np.array([[-1.4, -0.6], [1.6, 0.9]]), np.array([[1.3, 0.5], [0.5, 1.0]])
W_TRUE = np.linalg.solve(COVARIANCE, MEANS[1] - MEANS[0])
TRUE = np.append(W_TRUE, -W_TRUE @ MEANS.mean(axis=0))  # (w1, w2, b)
LEVELS = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
TOLERANCE, CHI_SQUARED = 1e-9, 5.991464547107979  # of a gradient norm; the 95 % quantile of two degrees of freedom


@dataclass(frozen=True)
class Config(settings.Config):
    per_class: int = settings.option(140, "points of each class that are shown", least=20)
    draws: int = settings.option(1000, "draws that are fitted at once", quick=200, least=50)
    draw_per_class: int = settings.option(700, "points of each class in each of them", quick=560, least=20)
    step_size: float = settings.option(0.1, "step size of gradient descent", above=0)


class Results(NamedTuple):
    points: np.ndarray  # (2 per_class, 2), class 0 first
    labels: np.ndarray
    weights: np.ndarray  # (w1, w2, b) by Newton's method
    newton_steps: int
    descended: np.ndarray  # by gradient descent
    descent_steps: int
    on_levels: np.ndarray  # one point of each line of LEVELS, on the ray along w
    estimates: np.ndarray  # (draws, 3)
    largest_norm: float  # gradient norm of the worst of them
    covariance: np.ndarray  # (3, 3) of the estimates, from the Fisher information


def norm_of(state):
    return jax.numpy.linalg.norm(state.gradient, axis=-1)


@jax.enable_x64(True)
def run(config: Config, progress: script.Progress = script.no_progress) -> Results:
    rng = np.random.default_rng(config.seed)

    def drawn(*draws, per_class):
        y = np.repeat([0.0, 1.0], per_class)
        noise = rng.normal(size=(*draws, 2 * per_class, 2)) @ np.linalg.cholesky(COVARIANCE).T
        return np.insert(MEANS[y.astype(int)] + noise, 2, 1.0, axis=-1), y

    problem, optimiser = Problem(logistic.loss, logistic.gradient), newton(logistic.hessian)
    X, y = drawn(per_class=config.per_class)
    arguments, start = {"X": X, "y": y, "lam": 0.0}, np.zeros(3)
    found = minimise(problem, optimiser, start, arguments, TOLERANCE, 50)
    descent = optax.sgd(config.step_size)
    slow = minimise(problem, descent, start, arguments, TOLERANCE, 200_000, progress("descent"), chunk=20_000)
    w, b = found.params[:2], found.params[2]

    many, y_many = drawn(config.draws, per_class=config.draw_per_class)
    method, arguments = Method(problem, optimiser), {"X": many, "y": y_many, "lam": 0.0}

    def step(states, X, y, lam):
        return jax.vmap(lambda state, X: method(state, X=X, y=y, lam=lam))(states, X)

    begin = jax.jit(jax.vmap(lambda X: method.begin(start, arguments | {"X": X})))(many)
    fitted, norms = follow(step, begin, arguments, 9, norm_of)
    curvature = logistic.hessian(TRUE, many.reshape(-1, 3), 0.0)
    return Results(
        points=X[:, :2],
        labels=y.astype(int),
        weights=found.params,
        newton_steps=found.steps,
        descended=slow.params,
        descent_steps=slow.steps,
        on_levels=((logit(LEVELS) - b) / (w @ w))[:, None] * w,
        estimates=np.asarray(fitted.params),
        largest_norm=float(norms[-1].max()),
        covariance=np.linalg.inv(len(y_many) * np.asarray(curvature)),
    )


def claim(results: Results) -> str:
    require, weights, descended = script.require, results.weights, results.descended
    steps, many_steps = results.newton_steps, results.descent_steps
    X = np.column_stack([results.points, np.ones(len(results.points))])
    p = expit(X @ weights)
    slopes = [np.linalg.norm(X.T @ (expit(X @ w) - results.labels)) / len(X) for w in (weights, descended)]
    require(max(slopes) <= 1.01 * TOLERANCE, f"both methods end where the gradient is zero, {slopes}")
    apart, flattest = np.linalg.norm(weights - descended), np.linalg.eigvalsh(X.T * (p * (1 - p)) @ X / len(X))[0]
    require(apart <= 4 * TOLERANCE / flattest, f"their weights, {apart:.1e} apart, are the same")
    require(
        0 < steps <= 10 and many_steps >= 1000, f"Newton takes a few steps, {steps}, descent thousands, {many_steps}"
    )

    w, levels = weights[:2], results.on_levels
    require((abs(expit(levels @ w + weights[2]) - LEVELS) <= 1e-12).all(), "the lines have their levels")
    lengths, expected = np.diff(levels @ w) / np.linalg.norm(w), np.diff(logit(LEVELS)) / np.linalg.norm(w)
    require((abs(lengths / expected - 1) <= 1e-9).all(), "they are the steps of the logit, over |w|, apart")

    estimates, errors = results.estimates, np.sqrt(np.diag(results.covariance))
    require(results.largest_norm <= 1e-9, f"every draw is fitted, |g| = {results.largest_norm:.1e} at most")
    off, spread = (estimates.mean(axis=0) - TRUE) / errors, estimates.std(axis=0) / errors
    require((abs(off) <= 0.4).all(), f"the mean estimate is {off} standard errors off the true weights")
    require((abs(spread - 1) <= 0.2).all(), f"the estimates' spread is {spread} of the theory's")
    theory = results.covariance[0, 1] / (errors[0] * errors[1])
    correlation = np.corrcoef(estimates[:, :2].T)[0, 1]
    require(abs(correlation - theory) <= 0.25, f"the correlation of both weights, {correlation:.2f}, is {theory:.2f}")
    inside = np.mean(distances(results) <= CHI_SQUARED)
    luck = 4 * np.sqrt(0.95 * 0.05 / len(estimates))
    require(abs(inside - 0.95) <= 0.01 + luck, f"{100 * inside:.1f} % of the draws are in the 95 % ellipse")
    return (
        f"w = ({w[0]:.3f}, {w[1]:.3f}), b = {weights[2]:.3f} after {steps} Newton steps or {many_steps} of descent; "
        f"true ({TRUE[0]:.3f}, {TRUE[1]:.3f}), mean of {len(estimates)} draws "
        f"({estimates[:, 0].mean():.3f}, {estimates[:, 1].mean():.3f}), {100 * inside:.1f} % in the 95 % ellipse"
    )


def distances(results: Results) -> np.ndarray:
    """Squared Mahalanobis distances of the estimated w from the true one."""
    off = results.estimates[:, :2] - W_TRUE
    return np.sum(off * np.linalg.solve(results.covariance[:2, :2], off.T).T, axis=1)


def plot(results: Results) -> Figure:
    w, b = results.weights[:2], results.weights[2]
    figure = Figure(figsize=(10.5, 4.7))
    data, scatter = figure.subplots(1, 2, width_ratios=(1.2, 1))
    x1, x2 = np.meshgrid(np.linspace(-5, 5, 201), np.linspace(-4, 4, 161))
    p = expit(w[0] * x1 + w[1] * x2 + b)
    shown = data.imshow(p, cmap="PuOr_r", vmin=0, vmax=1, alpha=0.5, origin="lower", extent=(-5, 5, -4, 4))
    figure.colorbar(shown, ax=data).set_label("probability of class 1")
    for k, marker, colour in ((0, "o", BLUE), (1, "^", VERMILION)):
        own = results.points[results.labels == k]
        data.plot(*own.T, marker, ms=3.5, color=colour, mec="white", mew=0.3, label=f"class {k}, {len(own)} points")
    widths = np.where(LEVELS == 0.5, 2.2, 1.0)
    lines = data.contour(x1, x2, p, levels=LEVELS, colors=BLACK, linewidths=widths, linestyles="-")
    across = np.array([-w[1], w[0]]) / np.linalg.norm(w)
    data.clabel(lines, fmt="%.1f", fontsize=8, manual=[point - 2.9 * across for point in results.on_levels])
    start = results.on_levels[2]
    data.annotate("", start + w / np.linalg.norm(w) * 1.6, start, arrowprops={"arrowstyle": "-|>", "lw": 2})
    data.annotate("w", start + w / np.linalg.norm(w) * 1.75, va="center")
    data.set(xlim=(-5, 5), ylim=(-4, 4), aspect="equal", xlabel="feature x₁", ylabel="feature x₂")
    data.set_title(f"w = ({w[0]:.3f}, {w[1]:.3f}), b = {b:.3f}: {results.newton_steps} steps of Newton's method")
    data.legend(loc="upper left", fontsize=8)

    inside = distances(results) <= CHI_SQUARED
    for kept, colour, marker, word in ((inside, SKY, "o", "inside"), (~inside, ORANGE, "x", "outside")):
        label = f"{100 * kept.mean():.1f} % of {len(inside)} draws, {word}"
        scatter.plot(*results.estimates[kept, :2].T, marker, ms=3, color=colour, label=label)
    values, axes = np.linalg.eigh(results.covariance[:2, :2])
    angle, sizes = np.degrees(np.arctan2(*axes[::-1, 1])), 2 * np.sqrt(CHI_SQUARED * values)
    ellipse = Ellipse(W_TRUE, sizes[1], sizes[0], angle=angle, fill=False, lw=1.5, label="95 % by Fisher information")
    scatter.add_patch(ellipse)
    scatter.plot(*W_TRUE, "*", ms=13, color=BLACK, label=f"S⁻¹(m₁ − m₀) = ({W_TRUE[0]:.3f}, {W_TRUE[1]:.3f})")
    mean = results.estimates.mean(axis=0)
    scatter.plot(*mean[:2], "D", color=GREEN, mfc="none", mew=1.8, label=f"mean ({mean[0]:.3f}, {mean[1]:.3f})")
    scatter.set(xlabel="weight w₁", ylabel="weight w₂")
    scatter.set_title("maximum likelihood estimates of many draws")
    low, high = scatter.get_ylim()
    scatter.set_ylim(low, high + 0.5 * (high - low))
    scatter.legend(loc="upper right", fontsize=8)
    return figure


if __name__ == "__main__":
    sys.exit(script.main(sys.modules[__name__]))
