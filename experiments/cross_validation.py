"""Cross-validation of polynomials has no U: its curve turns several times, also when it is averaged over 60 partitions,
and its right arm is made by the outermost points, which the other folds predict by extrapolation. Partitions choose
different degrees; the choice of their mean is nearly the best one for new data in the median sample, but not in every
one. The training error falls all the while.

50 points uniform on [-1, 1], y = sin 3x + 0.4x + noise of standard deviation 0.25, degrees 1 to 15, five folds. One
QR decomposition X = QR of Chebyshev's polynomials serves all degrees and all folds: the columns of Q are polynomials
orthogonal on the sample, and the first k + 1 fit degree k. The errors on a fold F that is left out are
(I - H_FF)^-1 r_F, with the residuals r and the hat matrix H = QQ' of the fit to all points, hence no smaller than r_F.

Source: ML Math Derivations, part 5, "Evaluation", its figure 6; Hastie, Tibshirani and Friedman, The Elements of
Statistical Learning (2nd edition), chapter 7.
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
from numpy.polynomial.chebyshev import chebvander

from experiments import settings
from experiments.files import BLACK, BLUE, GREEN, VERMILION

FIGURES = ("F5.6",)
LEDGER = ("C5.52", "C5.53", "C5.54")

DEGREES = np.arange(1, 16)
NOISE = 0.25
GRID = (np.arange(400) + 0.5) / 200 - 1


@dataclass(frozen=True)
class Config(settings.Config):
    samples: int = settings.option(60, "number of samples", quick=20, least=1)
    partitions: int = settings.option(60, "partitions of each sample into five folds", least=50)


class Results(NamedTuple):
    """Mean squares, by sample and degree. The first sample is shown."""

    train: np.ndarray
    validated: np.ndarray  # mean over the partitions
    new: np.ndarray  # error on new data
    outer: np.ndarray  # share of the four outermost points in the validated error
    alone: np.ndarray  # of the shown sample: the validated error by partition and degree
    turns: np.ndarray  # by sample: how often the curve of a partition turns, in the median
    different: np.ndarray  # by sample: how many degrees the partitions choose


def truth(x):
    return np.sin(3 * x) + 0.4 * x


@jax.jit
def errors(Q, y, folds, at_grid, targets):
    """The results of one sample whose points are in order: Q (50, 16), folds (partitions, 5, 10), Q at the grid."""

    def of_degree(columns):
        q = Q * columns
        r = y - q @ (q.T @ y)
        left_out = q[folds]
        inverse_leverage = jnp.eye(folds.shape[-1]) - left_out @ left_out.swapaxes(-1, -2)
        e = jnp.linalg.solve(inverse_leverage, r[folds][..., None])[..., 0] ** 2
        outermost = jnp.where((folds < 2) | (folds >= len(y) - 2), e, 0.0)
        off = at_grid @ (q.T @ y) - targets
        return jnp.mean(r**2), jnp.mean(e, axis=(1, 2)), NOISE**2 + jnp.mean(off**2), outermost.sum() / e.sum()

    return jax.vmap(of_degree, out_axes=(0, 1, 0, 0))(jnp.tril(jnp.ones((16, 16)))[1:])


@jax.enable_x64(True)
def run(config: Config, progress: script.Progress = script.no_progress) -> Results:
    rng, report, found = np.random.default_rng(config.seed), progress("samples"), []
    for done in range(config.samples):
        x = np.sort(rng.uniform(-1, 1, 50))
        y = truth(x) + NOISE * rng.normal(size=50)
        Q, R = np.linalg.qr(chebvander(x, 15))
        at_grid = np.linalg.solve(R.T, chebvander(GRID, 15).T).T
        folds = np.stack([rng.permutation(50).reshape(5, 10) for _ in range(config.partitions)])
        found.append(jax.device_get(errors(Q, y, folds, at_grid, truth(GRID))))
        report(done + 1, config.samples)
    train, alone, new, outer = (np.stack(part) for part in zip(*found, strict=True))
    chosen = [len(set(row)) for row in alone.argmin(axis=2)]
    return Results(
        train=train,
        validated=alone.mean(axis=1),
        new=new,
        outer=outer,
        alone=alone[0],
        turns=np.median(turns(alone), axis=1),
        different=np.array(chosen, float),
    )


def turns(curves: np.ndarray) -> np.ndarray:
    """How often curves along the last axis change direction; a U does once."""
    return np.count_nonzero(np.diff(np.sign(np.diff(curves))), axis=-1)


def choices(results: Results) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """By sample: the degree of the least validated error, its error on new data, and the least one there is."""
    at = results.validated.argmin(axis=1)
    return DEGREES[at], np.take_along_axis(results.new, at[:, None], axis=1)[:, 0], results.new.min(axis=1)


def claim(results: Results) -> str:
    require, train, mean, alone = script.require, results.train, results.validated, results.alone
    degrees, chosen, best = choices(results)
    require((np.diff(train) < 0).all(), "the training error falls with the degree in every sample")
    require((mean >= train).all(), "errors on folds left out are not below the training error")
    require((alone >= train[0]).all(), "nor are they for any partition")
    require(np.allclose(alone.mean(axis=0), mean[0], rtol=1e-12, atol=0), "the partitions shown are those of the mean")
    require(
        np.median(turns(alone)) == results.turns[0], f"partitions of the first sample turn {results.turns[0]} times"
    )
    often, averaged = np.median(results.turns), np.median(turns(mean))
    require(often >= 4, f"the curve of one partition turns {often:.0f} times in the median")
    require(2 <= averaged <= often, f"the mean curve turns {averaged:.0f} times in the median: no U")
    ends = np.median(mean[:, [0, -1]] / mean.min(axis=1, keepdims=True), axis=0)
    require(ends[0] >= 2, f"degree 1 has {ends[0]:.1f} times the least validated error in the median")
    require(ends[1] >= 50, f"degree 15 has {ends[1]:.0f} times the least validated error in the median")
    early, late = np.median(results.outer[:, [1, -1]], axis=0)
    require(late >= 0.9, f"at degree 15 {late:.0%} of the error is at the four outermost points in the median")
    require(early <= 0.5, f"at degree 2 {early:.0%} of it is")
    different = np.median(results.different)
    require(different >= 2, f"partitions of one sample choose {different:.0f} different degrees in the median")
    cost = chosen / best - 1
    require(np.median(cost) <= 0.15, f"the choice costs {np.median(cost):.1%} of the least error in the median")
    require(np.mean(cost > 0) >= 0.2, f"it is not the best in {np.mean(cost > 0):.0%} of the samples")
    require((chosen < results.new[:, 0]).mean() >= 0.9, "it beats degree 1 in nine of ten samples")
    require((chosen < results.new[:, -1]).mean() >= 0.8, "it beats degree 15 in eight of ten samples")
    return (
        f"medians of {len(train)} samples: curves turn {often:.0f} times, their means over {len(alone)} partitions "
        f"{averaged:.0f} times; degree 15 has {ends[1]:.0f} times the least validated error, {late:.1%} of it at the "
        f"four outermost points; {different:.0f} different choices; that of the mean (degrees {degrees.min()} to "
        f"{degrees.max()}) costs {np.median(cost):.1%} on new data, {cost.max():.0%} at worst, nothing in "
        f"{np.mean(cost == 0):.0%} of the samples"
    )


def plot(results: Results) -> Figure:
    figure = Figure(figsize=(10.5, 4.2))
    curves, points, costs = figure.subplots(1, 3, width_ratios=(1.5, 1, 1))
    alone, mean = results.alone, results.validated[0]
    curves.semilogy(DEGREES, alone.T, color="0.75", linewidth=0.7)
    curves.plot([], [], color="0.75", label=f"each of {len(alone)} partitions")
    curves.plot(DEGREES, mean, "o-", ms=4, color=VERMILION, label="mean of them")
    curves.plot(DEGREES, results.new[0], "s-.", ms=3.5, color=GREEN, label="error on new data")
    curves.plot(DEGREES, results.train[0], "^--", ms=4, color=BLUE, label="training error")
    curves.axhline(NOISE**2, color=BLACK, linestyle=":", label="noise")
    often, picked = turns(alone), DEGREES[alone.argmin(axis=1)]
    curves.set_title(
        f"one sample: curves turn {often.min()} to {often.max()} times, least at {picked.min()} to {picked.max()};\n"
        f"their mean turns {turns(mean)} times, least at degree {DEGREES[mean.argmin()]}"
    )
    curves.set(xlabel="degree", ylabel="mean squared error")
    curves.legend(fontsize=8, loc="upper left")

    low, middle, high = 100 * np.quantile(results.outer, [0.1, 0.5, 0.9], axis=0)
    points.fill_between(DEGREES, low, high, color=VERMILION, alpha=0.2, label="10 to 90 %")
    points.plot(DEGREES, middle, "o-", ms=4, color=VERMILION, label="median sample")
    points.axhline(8, color=BLACK, linestyle=":", label="4 of 50 points")
    points.set(xlabel="degree", ylabel="share of the four outermost points (%)", ylim=(0, 125))
    points.set_title("whose error it is")
    points.set_yticks(range(0, 101, 20))
    points.legend(fontsize=7.5, loc="upper left")

    _, chosen, best = choices(results)
    costs.plot(best, chosen, "o", ms=4, color=BLUE, label=f"{len(best)} samples")
    ends = np.array([best.min(), best.max()])
    costs.plot(ends, ends, "--", color=BLACK, label="the best choice")
    costs.set(xlabel="least error on new data of a degree", ylabel="error on new data of the mean's choice")
    costs.set_title(f"{np.mean(chosen == best):.0%} of the choices are the best")
    costs.legend(fontsize=8, loc="upper left")
    return figure


if __name__ == "__main__":
    sys.exit(script.main(sys.modules[__name__]))
