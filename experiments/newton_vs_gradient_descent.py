"""Near the minimum Newton's method doubles its correct digits per step, while gradient descent takes off a
fixed share of the gradient per step: the share that the extreme eigenvalues of the Hessian at the minimum
predict.

Logistic regression on the breast cancer data: 569 biopsies, label 1 for benign, 30 features standardised to
mean 0 and variance 1 (the condition number of the raw columns would speak of their units). Mean loss with a
ridge penalty on every weight, hence no intercept: the boundary runs through the mean of the data. Gradient
descent takes the step 1/L, L = eig_max(X'X)/(4n) + lam, which bounds the Hessian everywhere. The start is
drawn, so that the error has a part in every eigenvector. Times leave compilation out, which is given apart.

Without the penalty it depends on the intercept. With one the classes can be separated, so there is no
minimum: Newton's method runs off along a separating direction, checked here as a certificate, and only gains
a factor e per step. Without one they cannot: at a point of zero gradient the residuals are weights that
balance the two classes.
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

from experiments import settings
from experiments.files import BLACK, BLUE, VERMILION
from experiments.loops import Problem, timed, trace
from jaxderiv import data
from jaxderiv.catalogue.classification import logistic
from jaxderiv.optimisers import newton

ROUND_OFF = 1e-13  # below it the gradient norms of this problem are noise


FIGURES = ()
LEDGER = ("C4.60", "C4.61", "C6.23", "C6.27")


@dataclass(frozen=True)
class Config(settings.Config):
    lam: float = settings.option(1e-2, "ridge penalty", quick=0.1, above=0)
    descent_steps: int = settings.option(8000, "steps of gradient descent", quick=900, least=1)
    newton_steps: int = settings.option(20, "steps of Newton's method", least=1)
    spread: float = settings.option(0.1, "standard deviation of the weights at the start", above=0)


class Run(NamedTuple):
    gradient_norm: np.ndarray  # by step, the start first
    compile_seconds: float
    seconds: float  # of all steps


class Results(NamedTuple):
    descent: Run
    newton: Run
    newton_lengths: np.ndarray  # of the damped steps, 1 for a full one
    newton_moves: np.ndarray  # |w_(k+1) - w_k|
    lam: float
    step_size: float  # of gradient descent
    eigenvalues: np.ndarray  # of the Hessian at the minimum
    hessian_lipschitz: float
    distance: float  # between the two end points
    separating_margin: float  # with an intercept: the least signed logit of a direction of unit length
    separating_norms: np.ndarray  # gradient norms of Newton's method on its way there
    inseparable_margin: float  # without: no direction of unit length has a larger margin
    inseparable_weights: float  # |w| at the minimum without penalty

    @property
    def condition_number(self) -> float:
        return self.eigenvalues[-1] / self.eigenvalues[0]

    @property
    def predicted_share(self) -> float:
        """What the extreme eigenvalues say that a step of gradient descent takes off near the minimum."""
        return 1 - np.abs(1 - self.step_size * self.eigenvalues[[0, -1]]).max()


def place_and_length(w, state):
    return w, optax.tree.get(state, "learning_rate")


@jax.enable_x64(True)
def run(config: Config, progress: script.Progress = script.no_progress) -> Results:
    table = data.breast_cancer()
    X, y = (table.X - table.X.mean(axis=0)) / table.X.std(axis=0), table.y.astype(float)
    arguments = {"X": X, "y": y, "lam": config.lam}
    start = config.spread * np.random.default_rng(config.seed).normal(size=X.shape[1])
    covariance = np.linalg.eigvalsh(X.T @ X / len(X))
    step_size = 1 / (covariance[-1] / 4 + config.lam)
    problem = Problem(logistic.loss, logistic.gradient)
    first_order, second_order = optax.sgd(step_size), newton(logistic.hessian)

    def descent():
        report = progress("gradient descent")
        return trace(problem, first_order, start, arguments, config.descent_steps, report=report)

    def newtons(arguments, start):
        return trace(problem, second_order, start, arguments, config.newton_steps, place_and_length)

    slow, *slow_seconds = timed(descent)
    fast, *fast_seconds = timed(lambda: newtons(arguments, start))
    places, lengths = fast.recorded

    unpenalised = newtons({**arguments, "lam": 0.0}, np.zeros_like(start))
    residuals = np.abs(jax.nn.sigmoid(X @ unpenalised.params) - y)
    with_ones = np.column_stack([X, np.ones(len(X))])
    separating = trace(problem, second_order, np.zeros(31), {"X": with_ones, "y": y, "lam": 0.0}, 40)
    margins = (2 * y - 1) * (with_ones @ separating.params)
    return Results(
        descent=Run(slow.gradient_norm, *slow_seconds),
        newton=Run(fast.gradient_norm, *fast_seconds),
        newton_lengths=lengths[1:],
        newton_moves=np.linalg.norm(np.diff(places, axis=0), axis=1),
        lam=config.lam,
        step_size=step_size,
        eigenvalues=np.linalg.eigvalsh(logistic.hessian(fast.params, X, config.lam)),
        # |sigma''| is at most 1/(6 sqrt 3), and sum_i (x_i'u)^2 |x_i'v| at most eig_max(X'X) max_i |x_i|.
        hessian_lipschitz=np.linalg.norm(X, axis=1).max() * covariance[-1] / (6 * np.sqrt(3)),
        distance=float(np.linalg.norm(slow.params - fast.params)),
        separating_margin=margins.min() / np.linalg.norm(separating.params),
        separating_norms=separating.gradient_norm,
        # A unit vector u of margin m has -u'g >= m mean |sigma(z) - y|, whatever w is.
        inseparable_margin=unpenalised.gradient_norm[-1] / residuals.mean(),
        inseparable_weights=float(np.linalg.norm(unpenalised.params)),
    )


def order(norms: np.ndarray) -> float:
    """The p of |g_(k+1)| = C |g_k|^p through the last three gradient norms above round-off."""
    last = np.log(norms[norms > ROUND_OFF][-3:])
    return (last[2] - last[1]) / (last[1] - last[0]) if len(last) == 3 else np.nan


def shares(norms: np.ndarray) -> np.ndarray:
    """What each step takes off the gradient norm, in the last quarter of the steps above round-off."""
    norms = norms[norms > ROUND_OFF]
    late = norms[3 * len(norms) // 4 :]
    return 1 - late[1:] / late[:-1] if len(late) > 1 else np.array([np.nan])


def claim(results: Results) -> str:
    require = script.require
    newton_norms, descent_norms = results.newton.gradient_norm, results.descent.gradient_norm
    p, share = order(newton_norms), shares(descent_norms)
    require(newton_norms[-1] <= ROUND_OFF, f"Newton ends at round-off, |g| = {newton_norms[-1]:.1e}")
    require(abs(p - 2) <= 0.1, f"Newton's order {p:.2f} is 2")
    full, bound = results.newton_lengths == 1, results.hessian_lipschitz / 2 * results.newton_moves**2
    require(full[-3:].all(), f"Newton's last steps {results.newton_lengths[-3:]} are full ones")
    require((newton_norms[1:] <= bound + ROUND_OFF)[full].all(), "after a full step |g| <= M/2 |move|^2")

    predicted = results.predicted_share
    late = f"late shares, {share.min():.6f} to {share.max():.6f},"
    require(descent_norms[-1] <= 1e-6, f"gradient descent gets to 1e-6, |g| = {descent_norms[-1]:.1e}")
    require((share >= 0.99 * predicted).all(), f"{late} are not below the predicted {predicted:.6f}")
    require((share <= 1.15 * predicted).all(), f"{late} are within 15 % of the predicted {predicted:.6f}")
    require(np.ptp(share) <= 0.1 * predicted, f"{late} are fixed to 10 %")
    reach = (newton_norms[-1] + descent_norms[-1]) / results.lam + ROUND_OFF
    require(results.distance <= reach, f"both ends, {results.distance:.1e} apart, are one minimum")

    gains = results.separating_norms[-6:-1] / results.separating_norms[-5:]
    free, fixed = results.separating_margin, results.inseparable_margin
    require(free > 0, f"with an intercept a direction separates, margin {free:.1e}")
    require((abs(gains / np.e - 1) <= 0.02).all(), f"there Newton's gains, {gains}, are e per step")
    require(fixed <= 1e-9, f"without an intercept no direction separates, margin {fixed:.1e}")
    return (
        f"Newton: order {p:.2f}, |g| <= 1e-13 at step {np.argmax(newton_norms <= ROUND_OFF)}; "
        f"gradient descent: share {share[-1]:.6f} per step (predicted {predicted:.6f}), "
        f"|g| = {descent_norms[-1]:.0e} at step {len(descent_norms) - 1}; "
        f"condition number {results.condition_number:.1f}; "
        f"without penalty: separable with an intercept (margin {free:.1e}), not without one "
        f"(margin <= {fixed:.0e}, minimum at |w| = {results.inseparable_weights:.0f})"
    )


def plot(results: Results) -> Figure:
    figure = Figure(figsize=(10.5, 3.9))
    by_step, by_time, by_norm = figure.subplots(1, 3)
    share, slope = shares(results.descent.gradient_norm)[-1], order(results.newton.gradient_norm)
    for label, found, late, style in (
        ("gradient descent", results.descent, f"descent: late share {share:.4f}", {"color": VERMILION}),
        (
            "Newton",
            results.newton,
            f"Newton: late slope {slope:.2f}",
            {"color": BLUE, "linestyle": "--", "marker": "o", "ms": 4},
        ),
    ):
        milliseconds = 1e3 * found.seconds / (len(found.gradient_norm) - 1)
        end = np.argmax(np.append(found.gradient_norm, 0) <= ROUND_OFF)
        norms, steps = found.gradient_norm[: end + 1], np.arange(1, len(found.gradient_norm[: end + 1]))
        by_step.semilogy(steps, norms[1:], label=label, **style)
        by_time.loglog(milliseconds * steps, norms[1:], label=label, **style)
        by_norm.loglog(norms[: end - 1], norms[1:end], label=late, **style)
    last = np.arange(len(results.descent.gradient_norm))[results.descent.gradient_norm > ROUND_OFF]
    late = last[len(last) // 4 :]
    line = results.descent.gradient_norm[late[-1]] * (1 - results.predicted_share) ** (late - late[-1])
    by_step.semilogy(late, line, ":", color=BLACK, label=f"share {results.predicted_share:.4f}, as predicted")
    by_step.set(xlabel="step", ylabel="Euclidean gradient norm")
    by_step.set_title(f"lam = {results.lam:g}, condition number {results.condition_number:.0f}")
    by_time.set(xlabel="time without compilation (ms)", ylabel="Euclidean gradient norm")
    times = results.descent.compile_seconds, results.newton.compile_seconds
    by_time.set_title("compilation: {:.1f} s, Newton's {:.1f} s".format(*times))
    by_norm.set(xlabel="gradient norm before a step", ylabel="gradient norm after it")
    by_norm.set_title("what one step does")
    by_step.legend(loc="upper right", fontsize=8)
    by_norm.legend(loc="lower right", fontsize=8)
    return figure


if __name__ == "__main__":
    sys.exit(script.main(sys.modules[__name__]))
