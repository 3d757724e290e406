"""Least squares drops the targets at a right angle onto the plane that the columns span: the residual is orthogonal
to both columns. Slanted projections reach the same plane and are idempotent too, but none is symmetric, and the foot
of each is further from the targets, by Pythagoras' theorem exactly.

Three observations, two columns, no intercept: a1 = (2, 0.4, 0), a2 = (0.5, 1.8, 0), y = (1.6, 1.2, 2), so that the
plane is the floor and the foot (1.6, 1.2, 0). A slanted projection is X (Z'X)^-1 Z' with a drawn Z, what econometrics
calls instruments: it moves along the directions orthogonal to Z instead of those orthogonal to X, and Z = X gives the
hat matrix of least squares.

Source: ML Math Derivations, part 5, "Geometry", its figure 2.
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
from experiments.files import BLACK, BLUE, GREEN, ORANGE, SKY, VERMILION
from jaxderiv import optimisers

FIGURES = ("F5.2",)
LEDGER = ("C5.12", "C5.13", "C5.14", "C5.15")


@dataclass(frozen=True)
class Config(settings.Config):
    """The seed draws the slants."""

    slanted: int = settings.option(200, "number of slanted projections", quick=50, least=1)
    slant: float = settings.option(0.3, "standard deviation of Z - X", above=0)


class Results(NamedTuple):
    X: np.ndarray
    y: np.ndarray
    weights: np.ndarray  # of least squares
    hat: np.ndarray  # its projection, (3, 3)
    slanted: np.ndarray  # the others, (slanted, 3, 3)

    @property
    def foot(self) -> np.ndarray:
        return self.X @ self.weights


@jax.enable_x64(True)
def run(config: Config, progress: script.Progress = script.no_progress) -> Results:
    X, y = np.array([[2, 0.5], [0.4, 1.8], [0, 0]]), np.array([1.6, 1.2, 2])
    Z = X + config.slant * np.random.default_rng(config.seed).normal(size=(config.slanted, 3, 2))
    instruments = Z.transpose(0, 2, 1)
    return Results(
        X=X,
        y=y,
        weights=np.asarray(optimisers.least_squares(X, y)),
        hat=X @ np.asarray(optimisers.least_squares(X, np.eye(3))),
        slanted=X @ np.linalg.solve(instruments @ X, instruments),
    )


def claim(results: Results) -> str:
    require = script.require
    X, y, hat, foot = results.X, results.y, results.hat, results.foot
    residual, angles = y - foot, X.T @ (y - foot)
    require(abs(angles).max() <= 1e-12, f"the residual is orthogonal to both columns, X'r = {angles}")
    require(abs(foot - [1.6, 1.2, 0]).max() <= 1e-12, f"the foot {foot} is (1.6, 1.2, 0)")
    require(abs(residual - [0, 0, 2]).max() <= 1e-12, f"the residual {residual} is (0, 0, 2)")
    require(abs(hat @ y - foot).max() <= 1e-12, "the hat matrix leads to the foot")
    require(abs(hat - hat.T).max() <= 1e-12, "the hat matrix is symmetric")
    require(abs(hat @ hat - hat).max() <= 1e-12, "the hat matrix is idempotent")
    require(abs(np.trace(hat) - 2) <= 1e-12, f"the trace of the hat matrix, {np.trace(hat):.3g}, is its rank, 2")

    size = np.linalg.norm(results.slanted, axis=(1, 2))[:, None, None]
    require((abs(results.slanted @ X - X) <= 1e-12 * size).all(), "slanted projections leave the columns in place")
    square = results.slanted @ results.slanted
    require((abs(square - results.slanted) <= 1e-12 * size**2).all(), "slanted projections are idempotent")
    asymmetry = abs(results.slanted - results.slanted.transpose(0, 2, 1)).max(axis=(1, 2))
    require((asymmetry >= 1e-6).all(), f"slanted projections are not symmetric, by {asymmetry.min():.1e} or more")
    away, distance, shortest = distances(results)
    miss = abs(distance**2 - away**2 - shortest**2) / distance**2
    require((distance > shortest).all(), "the feet of slanted projections are further off")
    require((miss <= 1e-11).all(), f"Pythagoras holds for each, to {miss.max():.1e}")
    return (
        f"foot (1.6, 1.2, 0), distance {shortest:.6f}, X'r = 0 to {abs(angles).max():.0e}; the feet of {len(distance)} "
        f"slanted projections are {distance.min():.4f} to {distance.max():.1f} off, Pythagoras to {miss.max():.0e}; "
        f"asymmetry {asymmetry.min():.3f} or more"
    )


def distances(results: Results) -> tuple[np.ndarray, np.ndarray, float]:
    """Of the slanted feet from the foot of least squares and from y; of that foot from y."""
    feet = results.slanted @ results.y
    away, distance = (np.linalg.norm(feet - point, axis=1) for point in (results.foot, results.y))
    return away, distance, float(np.linalg.norm(results.y - results.foot))


def plot(results: Results) -> Figure:
    figure = Figure(figsize=(10.5, 4.8))
    # (Types of matplotlib know no 3-D axes by this call.)
    space: Any = figure.add_subplot(1, 2, 1, projection="3d")
    plane = figure.add_subplot(1, 2, 2)
    origin, y, foot = np.zeros(3), results.y, results.foot
    away, distance, shortest = distances(results)
    slanted = results.slanted @ y
    shown = slanted[np.argmin(abs(away - 0.9))]

    def line(start, end, label, **style):
        space.plot(*np.stack([start, end], axis=1), label=label, **{"linewidth": 2, **style})

    floor = np.array([[-0.2, -0.3], [2.7, -0.3], [2.7, 2.4], [-0.2, 2.4]]).T
    space.plot_trisurf(*floor, np.zeros(4), color=SKY, alpha=0.25)
    line(origin, results.X[:, 0], "columns", color=BLUE)
    line(origin, results.X[:, 1], None, color=BLUE)
    line(origin, y, "targets y", color=BLACK)
    line(origin, foot, "fit of least squares", color=GREEN)
    line(foot, y, "residual", color=VERMILION, linestyle="--")
    line(shown, y, "one slanted projection", color=ORANGE, linestyle=":")
    inward, up = 0.22 * -foot / np.linalg.norm(foot), np.array([0, 0, 0.22])
    space.plot(*np.stack([foot + inward, foot + inward + up, foot + up], axis=1), color=BLACK, linewidth=1)
    space.scatter(*np.stack([y, foot, shown], axis=1), color=[BLACK, GREEN, ORANGE], depthshade=False)
    for place, text in ((results.X[:, 0], " a1"), (results.X[:, 1], " a2"), (y, " y")):
        space.text(*place, text)
    space.set(xlabel="observation 1", ylabel="observation 2", zlabel="observation 3", zlim=(0, 2.2))
    space.set_title("the residual stands upright on the columns' plane")
    space.view_init(elev=18, azim=-62)
    space.legend(loc="upper center", bbox_to_anchor=(0.5, -0.04), ncols=3, fontsize=8)

    near = np.linspace(0, away.max(), 200)
    plane.plot(away, distance, "o", ms=4, color=ORANGE, label=f"{len(away)} slanted projections")
    plane.plot(near, np.hypot(near, shortest), color=BLACK, label="Pythagoras")
    plane.axhline(shortest, color=VERMILION, linestyle="--", label=f"length of the residual, {shortest:.3f}")
    plane.set(xlabel="distance of a foot from the fit of least squares")
    plane.set_ylabel("distance of a foot from the targets y")
    plane.set_title("no other point of the plane is as near to y")
    plane.legend(loc="upper left")
    return figure


if __name__ == "__main__":
    sys.exit(script.main(sys.modules[__name__]))
