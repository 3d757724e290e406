"""At the optimum of a convex problem the negative gradient of the objective is a combination of the gradients of the
active constraints with multipliers of zero or more: along the one constraint that is active, in the cone of the two at
a corner, and zero where none is.

The problem: the point x of the triangle x_1 + x_2 <= 2, x >= 0 that is nearest to a target, min |x - target|^2. It is
solved by its dual, -d(lam) = |A'lam|^2 / 4 - lam'(A target - b), by gradient descent projected onto lam >= 0; x is then
target - A'lam / 2. Three targets are shown, and more are drawn: for each the KKT conditions are residuals, and no
duality gap is left. -grad f and lam grad g are parallel, not opposite: that is +grad f. Source: ML Math Derivations,
part 4, figure 4, where the arrow called -grad f is drawn along +grad f.
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
from experiments.files import BLACK, BLUE, ORANGE, SKY, VERMILION
from experiments.loops import Problem, minimise
from jaxderiv.optimisers import proximal_gradient

FIGURES = ("F4.4",)
LEDGER = ("C4.80", "C4.81", "C4.82", "C4.83", "C4.84", "C4.85")
A, b = np.array([[1.0, 1.0], [-1.0, 0.0], [0.0, -1.0]]), np.array([2.0, 0.0, 0.0])
NAMES = ("$x_1 + x_2 \\leq 2$", "$x_1 \\geq 0$", "$x_2 \\geq 0$")
TARGETS = np.array([[2.0, 2.0], [2.8, 0.3], [0.6, 0.7]])
OPTIMA = np.array([[1.0, 1.0], [2.0, 0.0], [0.6, 0.7]])  # worked out by hand, as are the multipliers
MULTIPLIERS = np.array([[2.0, 0.0, 0.0], [1.6, 0.0, 1.0], [0.0, 0.0, 0.0]])

FRAME = (-1.2, 3.8)


@dataclass(frozen=True)
class Config(settings.Config):
    targets: int = settings.option(500, "drawn targets", quick=100, least=1)
    tolerance: float = settings.option(1e-10, "largest KKT residual", above=0)


class Results(NamedTuple):
    """Problems by row, those of the figure first."""

    targets: np.ndarray  # (m, 2)
    points: np.ndarray  # (m, 2)
    multipliers: np.ndarray  # (m, 3)
    steps: int


def nearest(lam, targets):
    """The minimisers of the Lagrangian."""
    return targets - lam @ A / 2


def negative_dual(lam, targets):
    return jnp.sum((lam @ A) ** 2) / 4 - jnp.sum(lam * (targets @ A.T - b))


def negative_dual_gradient(lam, targets):
    return b - nearest(lam, targets) @ A.T


def nonnegative(v, t):
    """The projection, which is the proximal operator of the constraint, whatever the step."""
    return optax.projections.projection_non_negative(v)


def residual(lam, targets):
    """The largest |min(lam, b - Ax)|: zero if both are not negative and one of them is zero."""
    return jnp.abs(jnp.minimum(lam, b - nearest(lam, targets) @ A.T)).max()


@jax.enable_x64(True)
def run(config: Config, progress: script.Progress = script.no_progress) -> Results:
    drawn = np.random.default_rng(config.seed).uniform(-2, 4, size=(config.targets, 2))
    targets = np.concatenate([TARGETS, drawn])
    optimiser = proximal_gradient(2 / np.linalg.norm(A @ A.T, 2), nonnegative)
    problem, data = Problem(negative_dual, negative_dual_gradient), {"targets": targets}
    start = np.zeros((len(targets), 3))
    found = minimise(problem, optimiser, start, data, config.tolerance, 10_000, certificate=residual)
    return Results(targets, nearest(found.params, targets), found.params, found.steps)


def claim(results: Results) -> str:
    targets, x, lam = results.targets, results.points, results.multipliers
    down = 2 * (targets - x)  # -grad f
    for what, violation in (
        ("-grad f is the combination of the constraints' gradients", np.abs(down - lam @ A)),
        ("the points are feasible", x @ A.T - b),
        ("no multiplier is negative", -lam),
        ("each multiplier or its slack is zero", np.abs(lam * (b - x @ A.T))),
        ("no duality gap is left", np.abs(np.sum((x - targets) ** 2, axis=1) - dual(lam, targets))),
        ("the points of the figure are the optima", np.abs(x[:3] - OPTIMA)),
        ("their multipliers are those worked out", np.abs(lam[:3] - MULTIPLIERS)),
    ):
        script.require(violation.max() <= 1e-7, f"{what}, up to {violation.max():.1e}")
    cosine = down[0] @ A[0] / (np.linalg.norm(down[0]) * np.linalg.norm(A[0]))
    script.require(cosine >= 1 - 1e-9, f"-grad f and grad g, cosine {cosine:.6f}, have the same direction")
    counts = np.bincount((lam > 1e-6).sum(axis=1), minlength=3)
    script.require((counts > 0).all() and len(counts) == 3, f"of 0, 1 and 2 active constraints there are {counts}")
    return (
        f"{len(x)} targets, of them {counts[0]}, {counts[1]} and {counts[2]} with 0, 1 and 2 multipliers above zero; "
        f"at ({x[0][0]:.4f}, {x[0][1]:.4f}) lam = {lam[0][0]:.4f} and the cosine of -grad f and grad g is {cosine:.4f}"
    )


def dual(lam: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """d(lam), by row."""
    return np.sum(lam * (targets @ A.T - b), axis=1) - np.sum((lam @ A) ** 2, axis=1) / 4


def plot(results: Results) -> Figure:
    figure = Figure(figsize=(10.5, 4.3))
    near = lambda v: v.round(4) + 0.0  # without the minus of a rounded zero
    grid = np.stack(np.meshgrid(*[np.linspace(*FRAME, 251)] * 2), axis=-1)
    titles = "one active constraint: parallel", "two at a corner: in their cone", "none: the gradient is zero"
    for case, (axes, title) in enumerate(zip(figure.subplots(1, 3), titles, strict=True)):
        target, x, lam = results.targets[case], results.points[case], results.multipliers[case]
        distances = np.sum((grid - target) ** 2, axis=-1)
        axes.contour(*np.moveaxis(grid, -1, 0), distances, 12, colors="grey", linewidths=0.6, alpha=0.7)
        axes.fill([0, 2, 0], [0, 0, 2], facecolor=SKY, alpha=0.4, edgecolor=BLUE, linewidth=1.5, label="feasible set")
        axes.plot(*target, "D", color=ORANGE, mec=BLACK, ms=10, label=f"target ({target[0]:g}, {target[1]:g})")
        axes.plot(*x, "o", color=BLACK, ms=5, zorder=5, label="optimum ({:g}, {:g})".format(*near(x)))
        # Behind the others, and wider, so that both arrows are seen where they coincide.
        arrow = {"angles": "xy", "scale_units": "xy", "scale": 1, "zorder": 4}
        down = 2 * (target - x)
        named = "$-\\nabla f$ = ({:g}, {:g})".format(*near(down))
        axes.quiver(*x, *down, color=VERMILION, width=0.026, label=named, **arrow)
        for j in np.flatnonzero(lam > 1e-6):
            label = f"$\\lambda\\nabla g$ of {NAMES[j]}, $\\lambda$ = {lam[j]:.3g}"
            axes.quiver(*x, *(lam[j] * A[j]), color=BLUE if j == 0 else BLACK, width=0.009, label=label, **arrow)
        axes.set(xlim=FRAME, ylim=FRAME, aspect="equal", xlabel="$x_1$", ylabel="$x_2$", title=title)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), fontsize=8, frameon=False)
    figure.suptitle("min $|x - c|^2$ over the triangle, c being the target", fontsize=10)
    return figure


if __name__ == "__main__":
    sys.exit(script.main(sys.modules[__name__]))
