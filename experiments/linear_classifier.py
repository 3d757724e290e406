"""A linear classifier gives the side that w points to the probabilities above 1/2: 0.73 at the distance 1/|w| beyond
the boundary, 0.27 as far before it; and how sure it is of a point depends on |w| times the distance, so that the same
boundary with another |w| is more or less sure of the same point.

Two round clouds of 60 points, fitted by Newton's method with a small ridge penalty; X has a column of ones. One point,
(2.6, -1.4), is marked with the segment to its foot on the boundary, found here by constrained least squares: the
stationarity conditions of min |q - x|^2 subject to w'q + b = 0 are one linear system. The two dotted lines are found by
where the fitted probability is sigma(-1) and sigma(1), and their labels are computed at the places where they stand:
the figure that this one replaces had the labels swapped. The models of the right panel have the weights c w and c b,
hence the boundary of the fitted one.

Source: ML Math Derivations, part 6, figure 7; the right panel is our own.
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
from scipy.special import expit

from experiments import settings
from experiments.files import BLACK, BLUE, GREEN, PURPLE, VERMILION
from experiments.loops import Problem, minimise
from jaxderiv import optimisers
from jaxderiv.catalogue.classification import logistic
from jaxderiv.catalogue.notation import sigmoid

FIGURES = ("F6.7",)
LEDGER = ("C6.46", "C6.47", "C6.48", "C6.49", "C6.50")
MARKED, STEEPNESS = np.array([2.6, -1.4]), (0.25, 1.0, 4.0)
DOTTED, ALONG = np.array([-1.0, 1.0]), 4.6  # logits of the two lines; how far off the segment their labels stand
EDGES = 1 / (1 + np.exp(-DOTTED))  # 0.2689 and 0.7311


@dataclass(frozen=True)
class Config(settings.Config):
    per_class: int = settings.option(60, "points of each cloud", least=2)
    lam: float = settings.option(0.01, "ridge penalty", above=0)


class Results(NamedTuple):
    points: np.ndarray  # (2 per_class, 2), class 0 first
    labels: np.ndarray
    weights: np.ndarray  # (w1, w2, b)
    lam: float
    foot: np.ndarray  # of the marked point on the boundary
    on_dotted: np.ndarray  # (2, 2): where the labels of the dotted lines stand, one row per line
    at_labels: np.ndarray  # (2,): the probabilities there, which the labels show
    confidence: np.ndarray  # of the marked point, for each of STEEPNESS


@jax.enable_x64(True)
def run(config: Config, progress: script.Progress = script.no_progress) -> Results:
    rng, y = np.random.default_rng(config.seed), np.repeat([0.0, 1.0], config.per_class)
    points = rng.normal(size=(2 * config.per_class, 2)) + np.where(y, 1.0, -1.0)[:, None] * np.array([1.3, 0.9])
    X = np.insert(points, 2, 1.0, axis=1)
    problem, newton = Problem(logistic.loss, logistic.gradient), optimisers.newton(logistic.hessian)
    fit = minimise(problem, newton, np.zeros(3), {"X": X, "y": y, "lam": config.lam}, 1e-12, 50)
    w, b = fit.params[:2], fit.params[2]
    probability = lambda q: sigmoid(w @ q + b)

    across = np.array([-w[1], w[0]]) / np.linalg.norm(w)
    beside = foot_of(MARKED + ALONG * across, w, b)
    # From a point of the boundary along the steepest ascent of the probability, which is that of w.
    ascent = np.asarray(jax.grad(probability)(beside))
    dotted = np.array([beside + z * ascent / (ascent @ w) for z in DOTTED])
    sure = [jnp.maximum(p, 1 - p) for c in STEEPNESS for p in [sigmoid(c * (w @ MARKED + b))]]
    return Results(
        points=points,
        labels=y.astype(int),
        weights=fit.params,
        lam=config.lam,
        foot=foot_of(MARKED, w, b),
        on_dotted=dotted,
        at_labels=np.array([float(probability(place)) for place in dotted]),
        confidence=np.array([float(each) for each in sure]),
    )


def foot_of(x: np.ndarray, w: np.ndarray, b: float) -> np.ndarray:
    """The nearest point of the boundary, from the stationarity conditions q + nu w = x and w'q = -b."""
    return np.linalg.solve(np.block([[np.eye(2), w[:, None]], [w, 0.0]]), [*x, -b])[:2]


def claim(results: Results) -> str:
    require, (w, b) = script.require, (results.weights[:2], results.weights[2])
    X, steepness = np.insert(results.points, 2, 1.0, axis=1), np.linalg.norm(w)
    slope = X.T @ (expit(X @ results.weights) - results.labels) / len(X) + results.lam * results.weights
    require(np.linalg.norm(slope) <= 1e-11, f"the weights are stationary, |g| = {np.linalg.norm(slope):.1e}")
    right = np.mean((X @ results.weights >= 0) == results.labels)
    require(right >= 0.85, f"the right side of the boundary has {100 * right:.0f} % of the points")

    found = expit(results.on_dotted @ w + b)
    require(
        (abs(results.at_labels - found) <= 1e-13).all(), f"the labels {results.at_labels} are true where they stand"
    )
    require((abs(found - EDGES) <= 1e-13).all(), f"they are {EDGES}")
    require((results.on_dotted[1] - results.on_dotted[0]) @ w > 0, "the larger one is on the side that w points to")
    width = np.linalg.norm(results.on_dotted[1] - results.on_dotted[0])
    require(abs(width * steepness - 2) <= 1e-12, f"the band is 2/|w| = {2 / steepness:.4f} wide, {width:.4f}")

    segment = MARKED - results.foot
    signed = (w @ MARKED + b) / steepness
    require(abs(w @ results.foot + b) <= 1e-12, "the segment ends on the boundary")
    require(abs(w[0] * segment[1] - w[1] * segment[0]) <= 1e-12, "it is perpendicular to it")
    require(abs(np.linalg.norm(segment) - abs(signed)) <= 1e-12, f"it is |{signed:.4f}| long")
    sure = expit(np.array(STEEPNESS) * steepness * abs(signed))
    require((abs(results.confidence - sure) <= 1e-13).all(), "the confidence is sigma(|w| |distance|)")
    require((np.diff(results.confidence) > 1e-4).all(), f"at one distance it is {results.confidence}, as |w| grows")
    return (
        f"w = ({w[0]:.3f}, {w[1]:.3f}), b = {b:.3f}; labels {found[0]:.4f} and {found[1]:.4f}, {width:.3f} apart; "
        f"marked point {signed:.3f} off the boundary, confidence {sure[1]:.3f}, with the same boundary "
        f"{sure[0]:.3f} at |w|/4 and {sure[2]:.3f} at 4|w|; {100 * right:.1f} % of the points on their side"
    )


def plot(results: Results) -> Figure:
    w, b = results.weights[:2], results.weights[2]
    steepness = np.linalg.norm(w)
    figure = Figure(figsize=(10.5, 4.8))
    plane, sure = figure.subplots(1, 2, width_ratios=(1.2, 1))
    for k, marker, colour in ((0, "o", BLUE), (1, "^", VERMILION)):
        own = results.points[results.labels == k]
        plane.plot(*own.T, marker, ms=4, color=colour, mec="white", mew=0.3, label=f"class {k}, {len(own)} points")
    across = np.array([-w[1], w[0]]) / steepness
    ends = np.array([[-9.0], [6.6]]) * across
    plane.plot(*(results.foot + ends).T, color=BLACK, label="boundary: probability 0.50")
    boxed = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.9}
    for place, p in zip(results.on_dotted, results.at_labels, strict=True):
        plane.plot(*(place - ALONG * across + ends).T, ":", color=BLACK)
        plane.text(*place, f"{p:.2f}", ha="center", va="center", bbox=boxed, fontsize=8)
    signed = (w @ MARKED + b) / steepness
    plane.plot(*np.array([results.foot, MARKED]).T, "--", color=GREEN, linewidth=2, label=f"distance {signed:.2f}")
    plane.plot(*MARKED, "*", ms=13, color=GREEN, mec=BLACK, label=f"({MARKED[0]:g}, {MARKED[1]:g})")
    base = results.foot + 2.0 * across
    plane.annotate("", base + 1.3 * w / steepness, base, arrowprops={"arrowstyle": "-|>", "lw": 2})
    plane.annotate("w", base + 1.5 * w / steepness, ha="center", va="center")
    plane.set(xlim=(-4.6, 4.6), ylim=(-3.6, 5.4), aspect="equal", xlabel="feature x₁", ylabel="feature x₂")
    plane.set_title(f"|w| = {steepness:.3f}; dotted: |w'x + b| = 1, a band {2 / steepness:.2f} wide")
    plane.legend(loc="upper left", fontsize=8, ncols=2)

    distance = np.linspace(0, 4, 201)
    for c, line, colour in zip(STEEPNESS, (":", "-", "--"), (PURPLE, BLACK, VERMILION), strict=True):
        label = "the fitted model" if c == 1 else f"weights {c:g} w, {c:g} b"
        sure.plot(distance, expit(c * steepness * distance), line, color=colour, label=label)
    sure.axvline(abs(signed), color=GREEN, linestyle="--", linewidth=1)
    for c in results.confidence:
        sure.plot(abs(signed), c, "*", ms=12, color=GREEN, mec=BLACK)
        beside = (8, 6 if c == results.confidence.max() else -16)
        sure.annotate(f"{c:.3f}", (abs(signed), c), beside, textcoords="offset points", fontsize=8, bbox=boxed)
    sure.set(xlim=(0, 4), ylim=(0.48, 1.06), xlabel="distance from the boundary |d|", ylabel="confidence σ(|w| |d|)")
    sure.set_title("one boundary, three confidences in the marked point")
    sure.legend(loc="lower right", fontsize=8)
    return figure


if __name__ == "__main__":
    sys.exit(script.main(sys.modules[__name__]))
