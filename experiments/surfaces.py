"""A convex bowl has one minimum, which every start of Newton's method leads to; an egg carton has six in the square
that is shown, at four heights, and only one of them is the lowest.

The functions are (x^2 + y^2) / 2 and sin 2x cos 2y + 0.15 (x^2 + y^2). Newton's method with a line search runs from
starts drawn in the square; where the Hessian is not positive definite it is shifted until it is, so that the limits are
minima and no saddles. The lowest minimum is the global one: further out than 0.76 from the origin the carton is higher,
since it is above -1 + 0.15 (x^2 + y^2), and nearer a grid finds nothing below. Source: ML Math Derivations, part 4,
figure 2, whose marked minima are not stationary points.
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
from experiments.files import BLACK, VERMILION
from experiments.loops import Problem, follow
from experiments.methods import Method
from jaxderiv.optimisers import newton

FIGURES = ("F4.2",)
LEDGER = ("C4.10", "C4.11", "C4.112")
EDGE = 2.2  # of the square, from -EDGE to EDGE
# The minima of the carton in the square, lowest first: heights to four digits, and how many are that high.
HEIGHTS = np.array([-0.9139, -0.5699, -0.5699, -0.2259, 0.1169, 0.1169])


@dataclass(frozen=True)
class Config(settings.Config):
    starts: int = settings.option(1000, "starts per surface", quick=300, least=1)
    steps: int = settings.option(40, "steps of Newton's method", least=1)


class Results(NamedTuple):
    bowl_ends: np.ndarray  # (starts, 2), after the last step
    carton_ends: np.ndarray
    bowl_minima: np.ndarray  # (m, 2), those in the square, lowest first
    carton_minima: np.ndarray


def surface(x, rough):
    """The bowl for rough = 0, the carton for rough = 1; x is (2,) or (2, ...)."""
    return rough * jnp.sin(2 * x[0]) * jnp.cos(2 * x[1]) + (0.5 - 0.35 * rough) * (x[0] ** 2 + x[1] ** 2)


@jax.enable_x64(True)
def heights(points: np.ndarray, rough: float) -> np.ndarray:
    """The values at points (..., 2)."""
    return np.asarray(jax.jit(surface)(np.moveaxis(points, -1, 0), rough))


@jax.enable_x64(True)
def slopes_and_curvatures(points: np.ndarray, rough: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gradient norms and least eigenvalues of the Hessian at points (n, 2), by autodiff."""
    derivatives = jax.jit(jax.vmap(lambda x, rough: (jax.grad(surface)(x, rough), jax.hessian(surface)(x, rough))))
    gradients, hessians = derivatives(points, rough)
    return np.linalg.norm(gradients, axis=1), np.linalg.eigvalsh(hessians)[:, 0]


def inside(ends: np.ndarray) -> np.ndarray:
    return ends[(np.abs(ends) <= EDGE).all(axis=1)]


@jax.enable_x64(True)
def run(config: Config, progress: script.Progress = script.no_progress) -> Results:
    starts = np.random.default_rng(config.seed).uniform(-EDGE, EDGE, size=(config.starts, 2))
    method = Method(Problem(surface, jax.grad(surface)), newton(jax.hessian(surface)))

    def steps(state, rough):
        return jax.vmap(lambda state, rough: method(state, rough=rough))(state, rough)

    rough = np.repeat([0.0, 1.0], config.starts)
    begun = jax.jit(jax.vmap(lambda start, rough: method.begin(start, {"rough": rough})))(
        np.tile(starts, (2, 1)), rough
    )
    final, _ = follow(steps, begun, {"rough": rough}, config.steps, lambda state: ())

    def distinct(ends, rough):
        _, first = np.unique(ends.round(5) + 0.0, axis=0, return_index=True)
        return ends[first][np.lexsort((*ends[first].T, heights(ends[first], rough).round(9)))]

    ends = np.split(final.params, 2)
    return Results(*ends, *(distinct(inside(each), rough) for each, rough in zip(ends, (0.0, 1.0), strict=True)))


def claim(results: Results) -> str:
    points = np.concatenate(results)
    rough = np.repeat([0.0, 1.0, 0.0, 1.0], [len(part) for part in results])
    slopes, curvatures = slopes_and_curvatures(points, rough)
    script.require(slopes.max() <= 1e-9, f"every run ends where the surface is level, up to {slopes.max():.0e}")
    script.require(curvatures.min() >= 0.1, f"every end is a minimum, of curvature {curvatures.min():g} or more")
    for name, ends, minima in (
        ("bowl", results.bowl_ends, results.bowl_minima),
        ("carton", results.carton_ends, results.carton_minima),
    ):
        distances = np.linalg.norm(inside(ends)[:, None] - minima, axis=-1).min(axis=1)
        script.require(distances.max() <= 1e-6, f"every end in the square is a listed minimum of the {name}")
    off = np.abs(results.bowl_ends).max()
    script.require(
        len(results.bowl_minima) == 1 and off <= 1e-9, f"all ends on the bowl, {off:.0e} off, are its centre"
    )
    found = heights(results.carton_minima, 1.0)
    match = len(found) == len(HEIGHTS) and (np.abs(found - HEIGHTS) <= 5e-5).all()
    script.require(match, f"the carton's minima have the heights {HEIGHTS}, lowest first, not {found}")
    lowest = results.carton_minima[0]
    place = np.abs(lowest - [-0.7305, 0]).max()
    script.require(place <= 5e-5, f"the lowest one, {lowest}, is at (-0.7305, 0)")
    below = found[0] - heights(square(441), 1.0).min()
    script.require(below <= 0, f"no point of a grid is lower than {found[0]:.4f}")
    script.require(found[0] < -1 + 0.15 * 0.76**2, "further out than 0.76 the carton is higher")
    levels = np.unique(found.round(4))
    return (
        f"{len(results.bowl_ends)} starts: one minimum of the bowl; {len(found)} of the carton, at the heights "
        f"{', '.join(f'{level:.4f}' for level in levels)}, the lowest at ({lowest[0]:.4f}, {abs(lowest[1]):.4f})"
    )


def square(count: int) -> np.ndarray:
    """A grid over the square, (count, count, 2)."""
    return np.stack(np.meshgrid(*[np.linspace(-EDGE, EDGE, count)] * 2), axis=-1)


def plot(results: Results) -> Figure:
    figure = Figure(figsize=(10.5, 4.9))
    grid, floor = square(111), -3.0
    for rough, minima, name in (
        (0, results.bowl_minima, "convex: $(x^2 + y^2)/2$"),
        (1, results.carton_minima, "not convex: $\\sin 2x\\,\\cos 2y + 0.15\\,(x^2 + y^2)$"),
    ):
        axes = figure.add_subplot(1, 2, 1 + rough, projection="3d", computed_zorder=False)
        z, levels = heights(grid, float(rough)), heights(minima, float(rough))
        axes.contourf(*np.moveaxis(grid, -1, 0), z, 14, zdir="z", offset=floor, cmap="viridis", alpha=0.75, zorder=0)
        axes.plot_surface(*np.moveaxis(grid, -1, 0), z, cmap="viridis", alpha=0.8, rcount=45, ccount=45, zorder=1)
        for (x, y), height in zip(minima, levels, strict=True):
            lowest = height == levels[0]
            style = {"color": VERMILION if lowest else BLACK, "zorder": 3}
            axes.plot([x, x], [y, y], [floor, height], ":", linewidth=1, **style)
            axes.plot([x], [y], [height], "*" if lowest else "o", ms=12 if lowest else 5, mec="white", **style)
            axes.plot([x], [y], [floor], "*" if lowest else "o", ms=9 if lowest else 4, mec="white", **style)
        lowest = f"({minima[0, 0]:.3f}, {abs(minima[0, 1]):.3f}), f = {levels[0]:.4f}"
        lowest = lowest.replace("-0.000", "0.000").replace("f = -0.0000", "f = 0.0000")
        axes.plot([], [], [], "*", ms=11, color=VERMILION, label=f"global minimum {lowest}")
        if len(minima) > 1:
            others = ", ".join(f"{level:.4f}" for level in np.unique(levels.round(4))[1:])
            axes.plot([], [], [], "o", color=BLACK, label=f"{len(minima) - 1} local minima, f = {others}")
        axes.set(xlabel="$x$", ylabel="$y$", zlabel="f(x, y)", title=name, zlim=(floor, 5))
        axes.view_init(elev=32, azim=-62)
        axes.set_box_aspect(None, zoom=0.92)  # else the label of the height is cut off
        axes.legend(loc="upper left", fontsize=8)
    return figure


if __name__ == "__main__":
    sys.exit(script.main(sys.modules[__name__]))
