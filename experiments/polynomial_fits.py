"""A polynomial of degree 15 through 30 noisy points of a sine wave overfits without passing through them: its typical
residual is over half of the noise, and it explodes mostly on the margins without observations. Through 16 points it
does pass, and swings between them. The training error falls with the degree in every draw, while that on new data is
least at degree 3.

Inputs are uniform on [0, 1], y = sin 2 pi x + noise of standard deviation 0.22. Fits are exact least squares in the
basis of Chebyshev's polynomials on the interval of the inputs, by QR: in that of monomials the design of degree 15 is
close to singular, and solvers that cut small singular values return something else. Training errors are mean squares;
the error on new data is that of a new x on [0, 1]. The training error plus 2 d/n of the noise's variance, for d
weights, is on average the error on new targets of the *same* inputs (Mallows' C_p); where no input is it says nothing.
Of the samples those are shown whose polynomials of degree 15 are nearest to the medians in height.

Source: ML Math Derivations, part 5, "Evaluation", its figure 3; Mallows, Some comments on C_p (1973).
"""

# First, so that Ctrl-C is answered while JAX is imported.
from experiments import script  # isort: split

import sys
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from matplotlib.figure import Figure
from numpy.polynomial.chebyshev import chebvander

from experiments import settings
from experiments.files import BLACK, BLUE, SKY, VERMILION
from jaxderiv import optimisers

FIGURES = ("F5.3",)
LEDGER = ("C5.53", "C5.55", "C5.56")

FITS = ((1, 30), (3, 30), (15, 30), (15, 16))  # degree and number of points
GRID = (np.arange(400) + 0.5) / 400


@dataclass(frozen=True)
class Config(settings.Config):
    draws: int = settings.option(400, "number of samples", quick=100, least=10)
    noise: float = settings.option(0.22, "standard deviation of the noise", above=0)


class Fit(NamedTuple):
    """Polynomials of one degree: by sample, and for the sample that is shown the points and the curve."""

    train: np.ndarray  # mean squared residuals
    same: np.ndarray  # error on new targets of the same inputs
    new: np.ndarray  # error on new data
    inside: np.ndarray  # the largest value within the inputs
    highest: np.ndarray  # and on [0, 1]
    x: np.ndarray
    y: np.ndarray
    curve: np.ndarray  # on the grid
    shown: int = 0


class Results(NamedTuple):
    fits: tuple[Fit, ...]
    noise: float


def sine(x):
    return np.sin(2 * np.pi * x)


@jax.enable_x64(True)
def run(config: Config, progress: script.Progress = script.no_progress) -> Results:
    rng = np.random.default_rng(config.seed)
    samples = {}
    for n in (30, 16):
        x = np.sort(rng.uniform(size=(config.draws, n)), axis=1)
        samples[n] = x, sine(x) + config.noise * rng.normal(size=x.shape)
    fits = [fit(*samples[n], degree, config.noise) for degree, n in FITS]
    first, second = (typical(found) for found in fits[2:])
    chosen = zip(fits, (first, first, first, second), strict=True)
    return Results(tuple(found._replace(**sample(found, at)) for found, at in chosen), config.noise)


def typical(found: Fit) -> int:
    """The sample whose polynomial is nearest to the medians of its heights."""
    return int(np.argmin(sum(abs(np.log(h / np.median(h))) for h in (found.inside, found.highest))))


def sample(found: Fit, shown: int) -> dict[str, Any]:
    return {"shown": shown, **{name: getattr(found, name)[shown] for name in ("x", "y", "curve")}}


def fit(x, y, degree, noise) -> Fit:
    first, last = x[:, :1], x[:, -1:]
    design, at_grid = (chebvander((2 * at - first - last) / (last - first), degree) for at in (x, GRID))
    weights = np.asarray(jax.jit(jax.vmap(optimisers.least_squares))(design, y))
    at_points, curves = ((A @ weights[:, :, None])[:, :, 0] for A in (design, at_grid))
    size, within = abs(curves), (first <= GRID) & (last >= GRID)
    return Fit(
        train=np.mean((y - at_points) ** 2, axis=1),
        same=noise**2 + np.mean((sine(x) - at_points) ** 2, axis=1),
        new=noise**2 + np.mean((sine(GRID) - curves) ** 2, axis=1),
        inside=np.max(size * within, axis=1),
        highest=size.max(axis=1),
        x=x,
        y=y,
        curve=curves,
    )


def claim(results: Results) -> str:
    require, noise, fits = script.require, results.noise, results.fits
    wild, through = fits[2:]
    for (degree, n), found in zip(FITS, fits, strict=True):
        what = f"degree {degree} through {n} points"
        by_curve = noise**2 + np.mean((sine(GRID) - found.curve) ** 2)
        error = found.new[found.shown]
        require(abs(by_curve - error) <= 1e-9 * error, f"{what}: the error on new data of the curve is {error:g}")
        lacking = found.train + 2 * noise**2 * (degree + 1) / n - found.same
        error = np.std(lacking) / np.sqrt(len(lacking))
        require(abs(lacking.mean()) <= 5 * error + 1e-12, f"{what}: C_p is off by {lacking.mean():.1e} +- {error:.1e}")
    by_degree = np.array([found.train for found in fits[:3]])
    require((np.diff(by_degree, axis=0) <= 0).all(), "the training error falls with the degree in every draw")
    spread = np.std(wild.train) / np.sqrt(len(wild.train))
    expected = noise**2 * 14 / 30
    require(abs(wild.train.mean() - expected) <= 5 * spread, f"14/30 of the noise's square, {expected:.4f}, are left")
    typical = np.sqrt(np.median(wild.train))
    require(noise / 2 <= typical <= noise, f"degree 15: a typical residual of 30, {typical:.3f}, is 1/2 to 1 noise")
    passing = np.sqrt(through.train) / through.highest
    require((passing <= 1e-9).all(), f"of 16 points it passes through all, to {passing.max():.0e} of its height")
    least = np.mean(np.argmin([found.new for found in fits[:3]], axis=0) == 1)
    require(least >= 0.95, f"degree 3 has the least error on new data in {least:.0%} of the draws")
    medians = [np.median(found.new) for found in fits]
    require(medians[2] >= 10 * medians[0], f"degree 15 is off on new data by {medians[2]:.3g} in the median")
    inside, highest, swing = np.median(wild.inside), np.median(wild.highest), np.median(through.inside)
    require(inside <= 4, f"within 30 points it reaches {inside:.2f} in the median")
    require(highest >= 5 * inside, f"on [0, 1] it reaches {highest:.3g}, beside {inside:.2f} within the points")
    require(swing >= 100, f"between 16 points it reaches {swing:.3g} in the median")
    return (
        f"degree 15 through 30 points: typical residual {typical:.3f} (noise {noise:g}), reaching {inside:.2f} within "
        f"the points and {highest:.3g} on [0, 1]; through 16 points: residuals up to {passing.max():.0e} "
        f"of its height, {swing:.2g} between them (medians of {len(wild.train)} draws); degree 3 is best on new data "
        f"in {least:.1%}; median errors on new data {medians[0]:.3f}, {medians[1]:.3f}, {medians[2]:.3g}"
    )


def number(x: float) -> str:
    """What is below 1e-12 here is round-off."""
    return f"{x:.3g}" if x > 1e-12 else "0"


def plot(results: Results) -> Figure:
    figure = Figure(figsize=(10.5, 7.0))
    panels = figure.subplots(2, 2, sharex=True)
    for axes, (degree, n), found in zip(panels.flat, FITS, results.fits, strict=True):
        axes.plot(GRID, sine(GRID), "--", color=BLACK, label="sin 2$\\pi$x")
        axes.plot(GRID, found.curve, color=VERMILION, label=f"degree {degree}")
        axes.plot(found.x, found.y, "o", ms=4, color=BLUE, label=f"{n} observations")
        axes.axvspan(0, found.x[0], color=SKY, alpha=0.3, label="no observations")
        axes.axvspan(found.x[-1], 1, color=SKY, alpha=0.3)
        kinds = found.train, found.new, found.highest
        (train, new, highest), usual = (
            [number(of(kind)) for kind in kinds] for of in (lambda k: k[found.shown], np.median)
        )
        axes.set_title(
            f"degree {degree} through {n} points\nhere: train {train}, new data {new}, highest {highest}\n"
            f"medians of {len(found.train)} draws: {', '.join(usual)}"
        )
        axes.set(xlim=(0, 1), xlabel="input x", ylabel="target y")
        if degree == 15:
            axes.set_yscale("symlog", linthresh=2)
            axes.set_ylabel("target y (linear up to 2, then logarithmic)")
        axes.legend(loc="upper right" if n == 16 else "lower left", fontsize=8)
    return figure


if __name__ == "__main__":
    sys.exit(script.main(sys.modules[__name__]))
