"""The diamond of the lasso selects because its optimum is a corner with a probability that is not zero, not because it
almost always is one: of random designs 7 % at nine tenths of the l1 norm of the least-squares solution, 42 % at half
of it and 88 % at a tenth. On the disc no weight is zero, and the optimum is not the point next to the solution.

Two weights, loss (w - c)'A(w - c). Left: A = [[1, 0.45], [0.45, 0.8]], c = (2, 1.2) and the unit disc and diamond. Both
are solved by projected gradient steps until the Frank-Wolfe gap, max over the set of -gradient'(v - w), is 1e-10: no
point of the set can have a loss that is lower by more than twice this. Right: designs of 10 Gaussian observations with
a Gaussian c, and A the identity, for which the probability is 4/pi arctan((1 - s)/(1 + s)) at the share s of |c|_1.
Whether a corner is optimal follows from the gradient there: it points out along that axis and is largest along it.

Source: ML Math Derivations, part 5, "Regularisation", its figure 5.
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
from experiments.files import BLACK, BLUE, GREEN, ORANGE, VERMILION
from experiments.loops import Problem, minimise
from jaxderiv.catalogue.regression import least_squares
from jaxderiv.optimisers import proximal_gradient

FIGURES = ("F5.5",)
LEDGER = ("C5.34", "C5.35", "C5.36")

A, CENTRE = np.array([[1, 0.45], [0.45, 0.8]]), np.array([2, 1.2])
SHARES = np.append(np.linspace(0.05, 0.95, 19), 1.0)
PRINTED = {0.9: 0.068, 0.5: 0.422, 0.1: 0.883}
ROUNDED, DEVIATIONS = 5e-4, 5.0  # of the printed ones; standard deviations that are allowed for chance


@dataclass(frozen=True)
class Config(settings.Config):
    draws: int = settings.option(200_000, "number of random designs", quick=20_000, least=1000)


class Results(NamedTuple):
    lasso: np.ndarray  # the optimum on the diamond
    ridge: np.ndarray  # and on the disc
    lasso_gap: float
    ridge_gap: float
    corners: np.ndarray  # by share: how often the optimum is a corner, of random designs
    circles: np.ndarray  # and of A = identity
    least_weight: float  # of ridge regression on those designs, in units of the larger weight
    draws: float

    @property
    def nearest(self) -> np.ndarray:
        """The point of the disc next to the least-squares solution."""
        return CENTRE / np.linalg.norm(CENTRE)


def onto_diamond(v, step):
    return optax.projections.projection_l1_ball(v)


def onto_disc(v, step):
    return v / jnp.maximum(1.0, jnp.linalg.norm(v))


def diamond_gap(w, X, y):
    g = least_squares.gradient(w, X, y)
    return g @ w + jnp.abs(g).max()


def disc_gap(w, X, y):
    g = least_squares.gradient(w, X, y)
    return g @ w + jnp.linalg.norm(g)


def loss(w: np.ndarray) -> np.ndarray:
    """Of points along the last axis; twice the one of `least_squares`."""
    return np.einsum("...i,ij,...j->...", w - CENTRE, A, w - CENTRE)


def at_a_corner(matrices: np.ndarray, centres: np.ndarray, share: float) -> np.ndarray:
    """Whether the optimum on the diamond of that share of |c|_1 is a corner."""
    budget, found = share * abs(centres).sum(axis=1), np.zeros(len(centres), bool)
    for axis in (0, 1):
        for sign in (-1, 1):
            corner = np.zeros_like(centres)
            corner[:, axis] = sign * budget
            pull = np.einsum("kij,kj->ki", matrices, centres - corner)  # minus half the gradient
            found |= sign * pull[:, axis] >= abs(pull[:, 1 - axis])
    return found


@jax.enable_x64(True)
def run(config: Config, progress: script.Progress = script.no_progress) -> Results:
    rng = np.random.default_rng(config.seed)
    X = np.linalg.cholesky(A).T
    arguments, rate = {"X": X, "y": X @ CENTRE}, 1 / np.linalg.eigvalsh(A)[-1]
    problem, start = Problem(least_squares.loss, least_squares.gradient), rng.normal(size=2)
    lasso, ridge = (
        minimise(problem, proximal_gradient(rate, onto), start, arguments, 1e-10, 1000, certificate=gap)
        for onto, gap in ((onto_diamond, diamond_gap), (onto_disc, disc_gap))
    )
    designs, centres = rng.normal(size=(config.draws, 10, 2)), rng.normal(size=(config.draws, 2))
    gram, unit = designs.transpose(0, 2, 1) @ designs, np.broadcast_to(np.eye(2), (config.draws, 2, 2))
    report, often = progress("shares"), []
    for done, share in enumerate(SHARES):
        often.append([at_a_corner(matrices, centres, share).mean() for matrices in (gram, unit)])
        report(done + 1, len(SHARES))
    corners, circles = np.array(often).T
    # With any penalty it is the optimum on the disc of its own length.
    penalties = rng.uniform(0.1, 100, size=(config.draws, 1, 1)) * np.eye(2)
    weights = abs(np.linalg.solve(gram + penalties, gram @ centres[:, :, None]))[:, :, 0]
    return Results(
        lasso=lasso.params,
        ridge=ridge.params,
        lasso_gap=lasso.certificate,
        ridge_gap=ridge.certificate,
        corners=corners,
        circles=circles,
        least_weight=(weights.min(axis=1) / weights.max(axis=1)).min(),
        draws=float(config.draws),
    )


def claim(results: Results) -> str:
    require, lasso, ridge = script.require, results.lasso, results.ridge
    require(0 <= max(abs(results.lasso_gap), abs(results.ridge_gap)) <= 1e-10, "both gaps are at most 1e-10")
    require(abs(lasso - [1, 0]).max() <= 1e-9, f"the optimum on the diamond, {lasso}, is (1, 0)")
    require(abs(ridge - [0.817, 0.576]).max() <= ROUNDED, f"the optimum on the disc, {ridge}, is (0.817, 0.576)")
    require(abs(np.linalg.norm(ridge) - 1) <= 1e-9, "the optimum on the disc is on its edge")
    angles = np.linspace(0, 2 * np.pi, 3601)
    circle = loss(np.stack([np.cos(angles), np.sin(angles)], axis=-1))
    require(loss(ridge) <= circle.min() + 1e-9, "no point of the circle has a smaller loss")
    losses = np.array([loss(w) for w in (lasso, ridge, results.nearest)])
    require(abs(losses - [3.232, 2.374, 2.386]).max() <= ROUNDED, f"the losses {losses} are 3.232, 2.374 and 2.386")
    corners, circles = results.corners, results.circles
    for share, printed in PRINTED.items():
        found = corners[np.argmin(abs(SHARES - share))]
        error = DEVIATIONS * np.sqrt(printed * (1 - printed) / results.draws) + ROUNDED
        require(
            abs(found - printed) <= error, f"at the share {share:g} a corner in {found:.4f}, {printed:g} of designs"
        )
    expected = chance(SHARES)
    allowed = DEVIATIONS * np.sqrt(expected * (1 - expected) / results.draws) + 1e-12
    require((abs(circles - expected) <= allowed).all(), "circles meet corners as often as the arc tangent says")
    require((np.diff(corners) < 0).all(), "corners are the more frequent the smaller the diamond is")
    require((corners[:-1] > 0).all() and corners[-1] == 0, "corners have positive probability below the share 1")
    least = results.least_weight
    require(0 < least <= 0.01, f"on the disc no weight is zero, the smallest being {least:.0e} of the other")
    return (
        f"diamond: ({lasso[0]:.3f}, {lasso[1]:.3f}), loss {losses[0]:.3f}; disc: ({ridge[0]:.3f}, {ridge[1]:.3f}), "
        f"loss {losses[1]:.3f}, beside {losses[2]:.3f} at its point next to the centre; corners in "
        + ", ".join(f"{corners[np.argmin(abs(SHARES - s))]:.3f}" for s in PRINTED)
        + f" of {results.draws:.0f} designs at the shares 0.9, 0.5, 0.1; on the disc no zero among as many, the "
        f"smallest weight being {least:.0e} of the other"
    )


def chance(share: np.ndarray) -> np.ndarray:
    """That circles around a Gaussian centre meet the diamond in a corner."""
    return 4 / np.pi * np.arctan((1 - share) / (1 + share))


def plot(results: Results) -> Figure:
    figure = Figure(figsize=(10.5, 4.2))
    diamond, disc, often = figure.subplots(1, 3)
    grid = np.stack(np.meshgrid(np.linspace(-1.3, 3.2, 200), np.linspace(-1.6, 2.9, 200)), axis=-1)
    angles = np.linspace(0, 2 * np.pi, 200)
    edges = np.array([[1, 0, -1, 0, 1], [0, 1, 0, -1, 0]]), np.stack([np.cos(angles), np.sin(angles)])
    named = ("diamond", "lasso", results.lasso, BLUE), ("disc", "ridge", results.ridge, VERMILION)
    for axes, edge, (shape, name, best, colour) in zip((diamond, disc), edges, named, strict=True):
        levels = [0.15, 0.7, 1.4, 4.5]
        axes.contour(*np.moveaxis(grid, -1, 0), loss(grid), levels=levels, colors="0.6", linewidths=1)
        axes.contour(*np.moveaxis(grid, -1, 0), loss(grid), levels=[loss(best)], colors=[colour], linewidths=1.6)
        axes.fill(*edge, color=colour, alpha=0.25)
        axes.plot(*best, "o", color=colour, label=f"{name}: ({best[0]:.3f}, {best[1]:.3f}), loss {loss(best):.3f}")
        axes.plot(*CENTRE, "*", ms=11, color=BLACK, label="least squares: (2, 1.2), loss 0")
        axes.set(aspect="equal", xlabel="$w_1$", ylabel="$w_2$")
        axes.set_title(f"unit {shape}, loss $(w - c)^T A (w - c)$")
    near = results.nearest
    label = f"next to it: ({near[0]:.3f}, {near[1]:.3f}), loss {loss(near):.3f}"
    disc.plot([0, CENTRE[0]], [0, CENTRE[1]], ":", color=GREEN)
    disc.plot(*near, "X", color=GREEN, label=label)
    for axes in (diamond, disc):
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, -0.02), fontsize=7.5)
        axes.set_ylim(-2.6, 2.9)
    often.plot(SHARES, results.corners, "o-", ms=4, color=BLUE, label="random designs, 10 observations")
    fine = np.linspace(0, 1, 200)
    often.plot(fine, chance(fine), "--", color=BLACK, label="circles: $\\frac{4}{\\pi}\\arctan\\frac{1-s}{1+s}$")
    often.plot(SHARES, results.circles, "s", mfc="none", ms=5, color=ORANGE, label="circles, drawn")
    for share in PRINTED:
        value = results.corners[np.argmin(abs(SHARES - share))]
        often.annotate(f"{value:.3f}", (share, value), (6, 5), textcoords="offset points", fontsize=8, color=BLUE)
    often.axhline(0, color=VERMILION, linewidth=2, label="disc: a weight is never zero")
    often.set(xlabel="share s of $|c|_1$ that the diamond allows", ylabel="probability that the optimum is a corner")
    often.set_title(f"corners ({results.draws:.0f} draws)")
    often.set_ylim(-0.03, 1.4)
    often.set_yticks(np.linspace(0, 1, 6))
    often.legend(fontsize=7.5, loc="upper right")
    return figure


if __name__ == "__main__":
    sys.exit(script.main(sys.modules[__name__]))
