"""Outlying targets tilt least squares without bound, while Huber's line stays put, and is the nearer one to the truth
in most samples, though not in all. An outlying *input* turns both around: one point at x = 100 gives Huber's line and
that of least squares its own slope.

Left and middle: 40 points of 0.7x + 1 on [0, 10] with noise of standard deviation 0.6, three of them moved by 8, -7
and 9. The distance from the truth is a root mean square over [0, 10]. Huber's loss is the catalogue's, a sum without
penalty, with delta = 1.35 times the noise; it is minimised by least squares with the weights min(1, delta/|r|), again
and again, until the gradient vanishes. (scikit-learn's HuberRegressor estimates the scale as well and adds a
penalty: another objective.) Right: 30 points of slope 2, noise 0.3, and one more at (x, -x), delta = 1.

Source: ML Math Derivations, part 5, "Outliers", its figure 7; Huber, Robust Estimation of a Location Parameter (1964).
"""

# First, so that Ctrl-C is answered while JAX is imported.
from experiments import script  # isort: split

import sys
from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from experiments import settings
from experiments.files import BLACK, BLUE, ORANGE, SKY, VERMILION
from experiments.loops import iterate
from jaxderiv import optimisers
from jaxderiv.catalogue.regression import huber

FIGURES = ("F5.7",)
LEDGER = ("C5.57", "C5.58", "C5.59", "C5.60")

TRUTH, NOISE, DELTA = np.array([0.7, 1.0]), 0.6, 1.35 * 0.6
MOVED, BY = np.array([5, 18, 32]), np.array([8.0, -7.0, 9.0])
FURTHER = 1000.0
PLACES = np.geomspace(3, 100, 25)  # of the leverage point


@dataclass(frozen=True)
class Config(settings.Config):
    samples: int = settings.option(1000, "number of samples", quick=200, least=10)


class Lines(NamedTuple):
    """Slope and intercept by problem, (problems, 2), and the data of the one that is shown."""

    squares: np.ndarray
    huber: np.ndarray
    x: np.ndarray
    y: np.ndarray
    delta: float
    gradient: float  # the largest entry of Huber's gradient, in all problems
    shown: int


class Results(NamedTuple):
    samples: Lines
    further: Lines  # the outliers moved 1000 times as far
    leverage: Lines  # by place; the last one is shown


def reweighted(w, X, y, delta):
    """Of each problem: least squares with the weights that the residuals have."""

    def one(w, X, y):
        root = jnp.sqrt(jnp.minimum(1.0, delta / jnp.abs(X @ w - y)))
        return optimisers.least_squares(root[:, None] * X, root * y)

    return jax.vmap(one)(w, X, y)


def largest_gradient(w, X, y, delta):
    return jnp.abs(jax.vmap(huber.gradient, in_axes=(0, 0, 0, None))(w, X, y, delta)).max()


def lines(x, y, delta) -> Lines:
    X = np.stack([np.broadcast_to(x, y.shape), np.ones_like(y)], axis=-1)

    def weights(bound, tolerance):
        arguments, start = {"X": X, "y": y, "delta": bound}, np.zeros((len(y), 2))
        found = iterate(reweighted, start, arguments, largest_gradient, tolerance * abs(X).max(), 3000)
        return np.asarray(found.point), found.certificate

    squares, _ = weights(np.inf, 1e-9 * abs(y).max())  # without a bound on the pulls
    robust, gradient = weights(delta, 1e-7)
    return Lines(squares, robust, X[-1, :, 0], y[-1], delta, gradient, len(y) - 1)


def distances(w: np.ndarray) -> np.ndarray:
    """Of lines from the truth, root mean square over [0, 10]."""
    slope, intercept = (w - TRUTH).T
    return np.sqrt(slope**2 * 100 / 3 + slope * intercept * 10 + intercept**2)


@jax.enable_x64(True)
def run(config: Config, progress: script.Progress = script.no_progress) -> Results:
    rng = np.random.default_rng(config.seed)
    x = np.linspace(0, 10, 40)
    moves = np.zeros(40)
    moves[MOVED] = BY
    y = x * TRUTH[0] + TRUTH[1] + NOISE * rng.normal(size=(config.samples, 40))
    samples, further = lines(x, y + moves, DELTA), lines(x, y + FURTHER * moves, DELTA)
    ratio = distances(samples.huber) / distances(samples.squares)
    median = int(np.argsort(ratio)[len(ratio) // 2])
    samples = samples._replace(y=y[median] + moves, shown=median)

    near = np.sort(rng.uniform(-3, 3, 30))
    steep = 2 * near + 0.3 * rng.normal(size=30)
    x, y = (
        np.column_stack([np.broadcast_to(part, (len(PLACES), 30)), last])
        for part, last in ((near, PLACES), (steep, -PLACES))
    )
    return Results(samples, further, lines(x, y, 1.0))


def claim(results: Results) -> str:
    require, samples, further, leverage = script.require, results.samples, results.further, results.leverage
    for name, found in (("samples", samples), ("outliers further off", further), ("leverage", leverage)):
        X, y, at = np.stack([found.x, np.ones_like(found.x)], axis=1), found.y, found.shown
        pull = X.T @ np.clip(X @ found.huber[at] - y, -found.delta, found.delta)
        smallest = 2e-7 * abs(X).max()
        require(abs(pull).max() <= smallest, f"{name}: Huber's gradient, {pull}, vanishes")
        require(found.gradient <= smallest, f"{name}: it does in all problems, to {found.gradient:.1e}")
        pull = X.T @ (X @ found.squares[at] - y)
        require(abs(pull).max() <= 1e-10 * np.linalg.norm(X) * np.linalg.norm(y), f"{name}: so does that of squares")
    require(abs(samples.delta - DELTA) <= 1e-12, f"delta, {samples.delta:g}, is 1.35 noise, {DELTA:g}")
    squares, robust = distances(samples.squares), distances(samples.huber)
    closer, gain = np.mean(robust < squares), robust.mean() / squares.mean()
    require(0.85 <= closer <= 0.99, f"Huber's line is the nearer one in {closer:.1%} of the samples, not in all")
    require(gain <= 0.6, f"on average it is {gain:.2f} times as far from the truth")
    moved = np.linalg.norm(further.squares - samples.squares, axis=1) / (FURTHER - 1)
    require(
        moved.min() >= 0.05 and np.ptp(moved) <= 1e-9, f"least squares moves by {moved[0]:g} per move of the outliers"
    )
    stays = abs(further.huber - samples.huber).max()
    require(stays <= 1e-5, f"Huber's lines stay put to {stays:.1e} when the outliers move on")

    steep, tilted = leverage.huber[:, 0], leverage.squares[:, 0]
    at = np.argmin(abs(PLACES - 20))
    require(abs(steep[0] - 2) <= 0.3, f"with the point at x = 3 Huber's slope, {steep[0]:.2f}, is near 2")
    require(steep[at] >= 1.4, f"with it at x = 20 Huber's slope is {steep[at]:.2f}, still nearer to 2 than to -1")
    require(tilted[at] <= 0.2, f"then that of least squares is {tilted[at]:.2f}, nearer to -1 than to 2")
    ends = steep[-1], tilted[-1]
    require(np.max(np.abs(np.add(ends, 1))) <= 0.1, f"with it at x = 100 the slopes, {ends}, are that of the point, -1")
    return (
        f"of {len(squares)} samples Huber's line is nearer to the truth in {closer:.1%}, mean distance "
        f"{robust.mean():.3f} against {squares.mean():.3f}; outliers {FURTHER:.0f} times as far move it by "
        f"{stays:.0e}, least squares by {moved[0] * (FURTHER - 1):.0f}; a point at x = 100 leaves slopes of "
        f"{ends[0]:.3f} and {ends[1]:.3f} out of 2"
    )


def plot(results: Results) -> Figure:
    figure = Figure(figsize=(10.5, 4.2))
    one, many, far = figure.subplots(1, 3)
    samples, leverage = results.samples, results.leverage
    squares, robust = distances(samples.squares), distances(samples.huber)
    styles = {"color": VERMILION, "linestyle": "--"}, {"color": BLUE, "linestyle": "-"}
    ends = np.array([0.0, 10.0])
    inlying = np.delete(np.arange(len(samples.x)), MOVED)
    one.plot(samples.x[inlying], samples.y[inlying], "o", ms=3.5, color=SKY)
    one.plot(samples.x[MOVED], samples.y[MOVED], "X", ms=7, color=ORANGE, label="moved")
    one.plot(ends, TRUTH[0] * ends + TRUTH[1], ":", color=BLACK, linewidth=2, label="truth")
    named = ("least squares", samples.squares, squares), ("Huber", samples.huber, robust)
    for (name, found, distance), style in zip(named, styles, strict=True):
        w, off = found[samples.shown], distance[samples.shown]
        one.plot(ends, w[0] * ends + w[1], label=f"{name}: {w[0]:.3f}x + {w[1]:.3f}, off by {off:.3f}", **style)
    one.set(xlabel="input x", ylabel="target y", title="outlying targets, the median sample")
    one.set_ylim(samples.y.min() - 1, samples.y.max() + 8)
    one.legend(fontsize=7.5, loc="upper left")

    many.loglog(squares, robust, "o", ms=2.5, alpha=0.6, color=BLUE, label=f"{len(squares)} samples")
    many.plot(squares[samples.shown], robust[samples.shown], "*", ms=13, color=ORANGE, mec=BLACK, label="shown left")
    both = np.concatenate([squares, robust])
    many.plot([both.min(), both.max()], [both.min(), both.max()], "--", color=BLACK, label="equally far")
    many.set(xlabel="distance of least squares from the truth", ylabel="distance of Huber's line from the truth")
    many.set_title(f"Huber's is nearer in {np.mean(robust < squares):.1%}")
    many.legend(fontsize=8, loc="lower left")

    far.semilogx(PLACES, leverage.squares[:, 0], "s", ms=4, label="least squares", **styles[0])
    far.semilogx(PLACES, leverage.huber[:, 0], "o", ms=4, label="Huber", **styles[1])
    far.axhline(2, color=BLACK, linestyle=":", label="slope of the 30 points")
    far.axhline(-1, color=ORANGE, linestyle="-.", label="slope of the one point")
    far.set(xlabel="input x of the one point (x, -x)", ylabel="slope of the line", ylim=(-1.3, 3.6))
    far.set_title(f"an outlying input: Huber ends at {leverage.huber[-1, 0]:.3f}")
    far.legend(fontsize=8, loc="upper right")
    return figure


if __name__ == "__main__":
    sys.exit(script.main(sys.modules[__name__]))
