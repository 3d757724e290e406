"""On a convex bowl gradient descent runs down to the only minimum; on an egg carton it descends as steadily and ends at
the minimum of the valley that it started in: at the global one only from the starts around it.

The functions are (3 x^2 + y^2) / 2, with steps of 0.18, and sin 1.3x cos 1.3y + 0.1 (x^2 + y^2), with steps of 0.3,
which are below 2/L. The shaded starts are those of a grid from which gradient descent gets to the global minimum. The
frame is wide enough for the path from (-2.2, 2.2), which ends at (-3.193, 2.113). Source: ML Math Derivations, part 4,
figure 3.
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
from experiments.files import BLACK, ORANGE, SKY, VERMILION
from experiments.loops import Problem, follow, trace

FIGURES = ("F4.3",)
LEDGER = ("C4.10", "C4.37")
CURVATURES, RATES = np.array([3.0, 1.0]), (0.18, 0.3)
STARTS = np.array([[-2.6, 2.5], [-2.2, 2.2], [-1.8, 1.8]])  # on the bowl, and two on the carton
EDGE = 3.6  # of the carton's frame
LIPSCHITZ = 1.3**2 + 0.2  # of the carton's gradient: the Hessian of the product has no larger eigenvalue than 1.3^2


@dataclass(frozen=True)
class Config(settings.Config):
    steps: int = settings.option(60, "steps of the paths", least=40)
    grid_steps: int = settings.option(400, "steps from each start of the grid", quick=300, least=40)
    grid: int = settings.option(121, "starts of the grid along each side", quick=41, least=5)


class Results(NamedTuple):
    bowl_path: np.ndarray  # (steps + 1, 2)
    far_path: np.ndarray  # on the carton
    near_path: np.ndarray
    starts: np.ndarray  # (grid, grid, 2)
    ends: np.ndarray


def bowl(x):
    return CURVATURES @ x**2 / 2


def carton(x):
    return jnp.sin(1.3 * x[0]) * jnp.cos(1.3 * x[1]) + 0.1 * (x @ x)


@jax.enable_x64(True)
def on_carton(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values and gradients of the carton at points (n, 2)."""
    return tuple(np.asarray(part) for part in jax.jit(jax.vmap(jax.value_and_grad(carton)))(points))


@jax.enable_x64(True)
def run(config: Config, progress: script.Progress = script.no_progress) -> Results:
    def path(function, rate, start):
        problem = Problem(function, jax.grad(function))
        return trace(problem, optax.sgd(rate), start, {}, config.steps, lambda x, state: x).recorded

    line = np.linspace(-EDGE, EDGE, config.grid)
    starts = np.stack(np.meshgrid(line, line), axis=-1)
    gradients = jax.vmap(jax.vmap(jax.grad(carton)))
    ends, _ = follow(lambda x: x - RATES[1] * gradients(x), starts, {}, config.grid_steps, lambda x: ())
    paths = zip((bowl, carton, carton), (RATES[0], RATES[1], RATES[1]), STARTS, strict=True)
    return Results(*(path(*one) for one in paths), starts, ends)


def reached(results: Results) -> np.ndarray:
    """From which starts of the grid the end is the global minimum, that is, where the path from near by ended."""
    return np.linalg.norm(results.ends - results.near_path[-1], axis=-1) <= 1e-3


def claim(results: Results) -> str:
    steps = np.arange(len(results.bowl_path))[:, None]
    off = np.abs(results.bowl_path - (1 - RATES[0] * CURVATURES) ** steps * STARTS[0]).max()
    script.require(off <= 1e-9, f"the path on the bowl, {off:.0e} off, is that of the step {RATES[0]}")
    end = np.linalg.norm(results.bowl_path[-1])
    script.require(end <= 1e-2, f"on the bowl the end, {end:.0e} away, is the minimum")
    paths = results.far_path, results.near_path
    values, gradients = on_carton(np.concatenate([*paths, results.ends.reshape(-1, 2)]))
    cuts = [len(steps), 2 * len(steps)]
    *path_values, end_values = np.split(values, cuts)
    *path_gradients, end_gradients = np.split(gradients, cuts)
    for name, path, start, f, g in zip(("far", "near"), paths, STARTS[1:], path_values, path_gradients, strict=True):
        off = np.abs(path[1:] - path[:-1] + RATES[1] * g[:-1]).max() + np.abs(path[0] - start).max()
        script.require(off <= 1e-9, f"the {name} path, {off:.0e} off, is gradient descent from {start.tolist()}")
        promised = RATES[1] * (1 - RATES[1] * LIPSCHITZ / 2) * np.sum(g[:-1] ** 2, axis=1)
        script.require((np.diff(f) <= 1e-12 - promised).all(), f"the {name} path descends as the step promises")
        slope = np.linalg.norm(g[-1])
        script.require(slope <= 1e-6, f"the {name} path ends where the carton is level, |gradient| = {slope:.0e}")
    (far, near), lowest = (f[-1] for f in path_values), end_values.min()
    places = np.abs(np.concatenate([results.far_path[-1], results.near_path[-1]]) - [-3.193, 2.113, -1.080, 0])
    script.require(places.max() <= 5e-4, "the paths end at (-3.193, 2.113) and (-1.080, 0)")
    script.require(abs(near + 0.8695) <= 5e-5 and abs(far - 0.685) <= 5e-4, "at the heights -0.8695 and 0.685")
    script.require(near <= lowest + 1e-9, f"no start of the grid leads below {near:.4f}, {lowest:.4f}")
    share = reached(results).mean()
    script.require(0.1 <= share <= 0.6, f"a part of the starts, {share:.1%}, lead to the global minimum")
    corners = np.abs(results.starts).max(axis=(0, 1))
    script.require((corners == EDGE).all(), f"the starts, up to {corners}, fill the frame")
    others = np.linalg.norm(end_gradients, axis=-1).max()
    script.require(others <= 1e-3, f"all other starts end where the carton is level, |gradient| <= {others:.0e}")
    return (
        f"bowl: {end:.0e} from its minimum after {len(steps) - 1} steps; carton: from (-2.2, 2.2) to "
        f"({results.far_path[-1][0]:.3f}, {results.far_path[-1][1]:.3f}) at {far:.3f}, {far - near:.3f} above the "
        f"global minimum {near:.4f}, to which {share:.0%} of the starts of a grid lead"
    )


def plot(results: Results) -> Figure:
    figure = Figure(figsize=(10.5, 5.9))
    left, right = figure.subplots(1, 2)
    for axes, function, edge in ((left, bowl, 3.0), (right, carton, EDGE)):
        line = np.linspace(-edge, edge, 201)
        grid = np.stack(np.meshgrid(line, line), axis=-1)
        with jax.enable_x64(True):
            z = np.asarray(jax.vmap(jax.vmap(function))(grid))
        drawn = axes.contour(*np.moveaxis(grid, -1, 0), z, 16, cmap="viridis", linewidths=0.8)
        axes.clabel(drawn, drawn.levels[::3], fontsize=7)
        axes.set(xlim=(-edge, edge), ylim=(-edge, edge), aspect="equal", xlabel="$x$", ylabel="$y$")
    share = reached(results)
    right.contourf(*np.moveaxis(results.starts, -1, 0), share, levels=[0.5, 2], colors=[SKY], alpha=0.35)
    (far, near), _ = on_carton(np.stack([results.far_path[-1], results.near_path[-1]]))
    x, y = results.near_path[-1]
    where = f"global minimum ({x:.3f}, {abs(y):.3f}), f = {near:.4f}"
    right.plot(x, y, "*", ms=15, color=ORANGE, mec=BLACK, zorder=3, label=where)
    right.fill([], [], color=SKY, alpha=0.35, label=f"starts that lead to it ({share.mean():.0%})")
    left.plot(*results.bowl_path.T, "o-", color=VERMILION, ms=3.5, linewidth=1.2, label="gradient descent")
    right.plot(
        *results.far_path.T, "o-", color=VERMILION, ms=3.5, linewidth=1.2, label=f"to a local minimum, f = {far:.3f}"
    )
    right.plot(*results.near_path.T, "s--", color=BLACK, ms=3.5, linewidth=1.2, label="to the global minimum")
    left.plot(0, 0, "*", ms=15, color=ORANGE, mec=BLACK, label="the only minimum, f = 0")
    left.set_title("convex: $(3x^2 + y^2)/2$")
    right.set_title("not convex: $\\sin 1.3x\\,\\cos 1.3y + 0.1\\,(x^2 + y^2)$")
    for axes in (left, right):
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.11), ncols=2, fontsize=8, frameon=False)
    return figure


if __name__ == "__main__":
    sys.exit(script.main(sys.modules[__name__]))
