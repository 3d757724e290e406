"""Neither path of regularisation is monotone: ridge weights cross zero on their way to it, and in some samples a lasso
weight that has become zero comes back as the penalty grows. From lambda_max = max_j |x_j'y| on all lasso weights are
zero; ridge weights are zero at crossings only.

80 observations of 8 features, the second the first plus 0.05 of noise, weights (2, -1.5, 0, 0, 1, 0, -0.7, 0), noise of
standard deviation 0.5; columns standardised, y centred, hence no intercept. Both panels have the same lambda, that of
a sum of squares: the losses are |y - Xw|^2 / 2 plus lambda/2 |w|_2^2 or plus lambda |w|_1. (scikit-learn's Lasso(alpha)
divides the squares by 2n: its alpha is lambda/80.) Ridge for all lambdas from one decomposition in singular values, the
lasso by coordinate descent from the solution of the larger lambda next to it, on the triangle R of X = QR, which has
the Gram matrix of X. Of the samples that one is shown in which a lasso weight comes back most visibly.

Source: ML Math Derivations, part 5, "Regularisation", its figure 4; Friedman, Hastie and Tibshirani, Regularization
paths for generalized linear models via coordinate descent (2010).
"""

# First, so that Ctrl-C is answered while JAX is imported.
from experiments import script  # isort: split

import sys
from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np
from matplotlib.figure import Figure

from experiments import certificates, settings, steps
from experiments.files import BLACK, BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION
from experiments.loops import iterate
from jaxderiv import optimisers

FIGURES = ("F5.4",)
LEDGER = ("C5.24", "C5.27", "C5.28", "C5.29", "C5.30", "C5.31")

WEIGHTS = np.array([2, -1.5, 0, 0, 1, 0, -0.7, 0])
ROUNDS = 20  # of coordinate descent from one certificate to the next
TOLERANCE = 1e-6  # on the lasso's KKT residual, in units of lambda


@dataclass(frozen=True)
class Config(settings.Config):
    samples: int = settings.option(50, "number of samples", quick=16, least=1)
    lambdas: int = settings.option(81, "number of lambdas up to 1000", quick=25, least=3)
    lowest: float = settings.option(1e-3, "smallest lambda", quick=0.05, above=0)


class Results(NamedTuple):
    """Weights by lambda, then by feature; of the sample that is shown."""

    lambdas: np.ndarray
    X: np.ndarray
    y: np.ndarray
    ridge: np.ndarray
    lasso: np.ndarray
    crossing: np.ndarray  # by sample and weight: 1 if that of ridge changes sign
    coming_back: np.ndarray  # by sample and weight: `comeback` of the lasso's
    rounds: np.ndarray  # of coordinate descent, by lambda, for the slowest sample


def rounds_of_all(w, X, y, lam):
    """Some rounds of coordinate descent for each sample."""
    one = jax.vmap(steps.coordinate_descent, in_axes=(0, 0, 0, None))
    return jax.lax.fori_loop(0, ROUNDS, lambda _, w: one(w, X, y, lam), w)


def worst_kkt(w, X, y, lam):
    return jax.vmap(certificates.elastic_net_kkt, in_axes=(0, 0, 0, None))(w, X, y, lam).max() / lam


@jax.enable_x64(True)
def run(config: Config, progress: script.Progress = script.no_progress) -> Results:
    rng = np.random.default_rng(config.seed)
    X = rng.normal(size=(config.samples, 80, len(WEIGHTS)))
    X[:, :, 1] = X[:, :, 0] + 0.05 * X[:, :, 1]
    y = X @ WEIGHTS + 0.5 * rng.normal(size=X.shape[:2])
    X, y = (X - X.mean(axis=1, keepdims=True)) / X.std(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    lambdas = np.geomspace(config.lowest, 1e3, config.lambdas)
    ridge = np.asarray(jax.jit(jax.vmap(optimisers.ridge_path, in_axes=(0, 0, None)))(X, y, lambdas))

    Q, R = np.linalg.qr(X)
    rotated = {"X": R, "y": np.einsum("knd,kn->kd", Q, y)}
    report, lasso, rounds = progress("lasso"), [np.zeros_like(rotated["y"])], []
    for done, lam in enumerate(lambdas[::-1]):
        arguments = {**rotated, "lam": lam}
        found = iterate(rounds_of_all, lasso[-1], arguments, worst_kkt, TOLERANCE, limit=2000)
        lasso.append(np.asarray(found.point))
        rounds.append(float(ROUNDS * found.steps))
        report(done + 1, config.lambdas)
    lasso = np.stack(lasso[:0:-1], axis=1)
    coming_back = np.array([comeback(path) for path in lasso])
    shown = np.argmax(coming_back.max(axis=1))
    return Results(
        lambdas=lambdas,
        X=X[shown],
        y=y[shown],
        ridge=ridge[shown],
        lasso=lasso[shown],
        crossing=np.array([crosses(path).any(axis=0) for path in ridge], float),
        coming_back=coming_back,
        rounds=np.array(rounds[::-1]),
    )


def crosses(path: np.ndarray) -> np.ndarray:
    """By pair of neighbouring lambdas and weight: whether the sign changes."""
    return path[1:] * path[:-1] < 0


def second_start(w: np.ndarray) -> int:
    """The index at which one weight becomes active a second time, or changes its sign by way of zero; 0 if it never
    does."""
    sign = np.sign(w)
    return next((k for k in range(1, len(w)) if sign[k] and sign[k] != sign[k - 1] and sign[:k].any()), 0)


def comeback(path: np.ndarray) -> np.ndarray:
    """By weight: the smaller of its largest sizes before and after its second start; 0 if it has none."""
    starts = [(w, second_start(w)) for w in path.T]
    return np.array([min(abs(w[:k]).max(), abs(w[k:]).max()) if k else 0.0 for w, k in starts])


def claim(results: Results) -> str:
    require, X, y, lambdas = script.require, results.X, results.y, results.lambdas
    largest = abs(X.T @ y).max()
    require((np.diff(lambdas) > 0).all() and lambdas[0] > 0, "the lambdas grow")
    pull = (y - results.ridge @ X.T) @ X
    miss = abs(pull - lambdas[:, None] * results.ridge).max() / largest
    require(miss <= 1e-12, f"the ridge path solves (X'X + lambda I) w = X'y, to {miss:.1e} of lambda_max")
    pull = (y - results.lasso @ X.T) @ X / lambdas[:, None]
    miss = np.where(results.lasso == 0, abs(pull) - 1, abs(pull - np.sign(results.lasso))).max()
    require(miss <= 1.01 * TOLERANCE, f"the lasso path meets the KKT conditions, to {miss:.1e} of lambda")
    zero = (results.lasso == 0).all(axis=1)
    require((zero == (lambdas >= largest)).all(), f"the lasso is zero exactly from lambda_max = {largest:.4g} on")
    require(zero.any() and not zero.all(), f"there are lambdas on both sides of lambda_max = {largest:.4g}")
    require((results.ridge != 0).all(), "no ridge weight is zero at these lambdas")
    require((np.diff(np.linalg.norm(results.ridge, axis=1)) < 0).all(), "the norm of the ridge weights falls")
    require((np.diff(abs(results.lasso).sum(axis=1)) <= 1e-9).all(), "the l1 norm of the lasso weights falls")
    crossing, back = crosses(results.ridge).any(axis=0), comeback(results.lasso)
    require(crossing.any(), "a ridge weight crosses zero")
    require(back.max() >= 1e-5, f"a lasso weight comes back by more than round-off, to {back.max():.1e}")
    shown = np.argmax(results.coming_back.max(axis=1))
    require((crossing == results.crossing[shown]).all(), "the ridge path that is shown is that of its sample")
    require((back == results.coming_back[shown]).all(), "the lasso path that is shown is that of its sample")
    often, seldom = (np.mean(found.any(axis=1)) for found in (results.crossing, results.coming_back))
    require(often >= 0.9, f"ridge weights cross zero in {often:.0%} of the samples")
    require(0.05 <= seldom <= 0.75, f"lasso weights come back in {seldom:.0%} of the samples: in some, not in most")
    return (
        f"shown: {crossing.sum()} of {len(crossing)} ridge weights cross zero, {(back > 0).sum()} of the lasso's come "
        f"back, up to {back.max():.3f}, all zero from lambda_max = {largest:.2f} on; of {len(results.crossing)} "
        f"samples {often:.0%} have ridge weights that cross, {seldom:.0%} lasso weights that come back; KKT residual "
        f"{max(miss, 0):.0e} of lambda after up to {results.rounds.max():.0f} rounds"
    )


STYLES = [
    {"color": BLUE, "linewidth": 2.2},
    {"color": VERMILION, "linewidth": 2.2, "linestyle": "--"},
    {"color": SKY, "linestyle": "-"},
    {"color": ORANGE, "linestyle": "--"},
    {"color": GREEN, "linestyle": "-."},
    {"color": BLACK, "linestyle": ":"},
    {"color": PURPLE, "linestyle": "-"},
    {"color": "0.5", "linestyle": "--"},
]


def plot(results: Results) -> Figure:
    figure = Figure(figsize=(10.5, 4.4))
    panels = figure.subplots(1, 3)
    lambdas, largest = results.lambdas, abs(results.X.T @ results.y).max()
    middles = np.sqrt(lambdas[1:] * lambdas[:-1])
    crossing, back = crosses(results.ridge), comeback(results.lasso)
    j, size = int(np.argmax(back)), max(back.max(), 1e-3)
    for axes, path in zip(panels, (results.ridge, results.lasso), strict=False):
        for k, style in enumerate(STYLES):
            axes.plot(lambdas, path[:, k], label=f"w{k + 1}", **style)
    for k, style in enumerate(STYLES):
        at = middles[crossing[:, k]]
        panels[0].plot(at, 0 * at, "o", mfc="none", ms=8, mew=1.6, color=style["color"])
        if back[k]:
            panels[1].plot(lambdas[second_start(results.lasso[:, k])], 0, "D", mfc="none", ms=8, color=style["color"])
    panels[0].set_title(f"ridge: {crossing.any(axis=0).sum()} of 8 weights cross zero (circles)")
    panels[1].set_title(f"lasso: {(back > 0).sum()} back (diamond), zero from $\\lambda_{{max}}$ = {largest:.1f}")
    near = panels[2]
    near.plot(lambdas, results.ridge[:, j], ":", color=BLACK, label=f"w{j + 1}, ridge")
    near.plot(lambdas, results.lasso[:, j], ".-", color=VERMILION, label=f"w{j + 1}, lasso")
    near.set_ylim(-3 * size, 3 * size)
    near.set_title(f"w{j + 1} of the lasso comes back, to {size:.3f}")
    for axes in panels:
        axes.axhline(0, color=BLACK, linewidth=0.8)
        axes.axvline(largest, color="0.4", linewidth=1.2, linestyle=(0, (1, 1)), label="$\\lambda_{max}$")
        axes.set(xscale="log", xlabel="$\\lambda$ (of a sum of squares)", ylabel="weight")
    panels[0].legend(fontsize=8, ncols=2, loc="lower right")
    near.legend(fontsize=8, loc="lower left")
    return figure


if __name__ == "__main__":
    sys.exit(script.main(sys.modules[__name__]))
