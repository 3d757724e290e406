"""X may be kept in bfloat16 while the arithmetic is in float32 or float64: its rounding, 2^16 times that of float32,
moves a logistic fit by less than a hundredth of its standard errors, however many observations there are.

The roundings of the entries of X are independent of one another, and move a sum over observations as noise does: by a
part of its own sampling noise that does not depend on n. For each form of X and of the arithmetic the gradient and the
Hessian of logistic regression (`jaxderiv.kernels`) stand beside those in float64: the error of the arithmetic, with the
same X, and that of rounding X. Their times are given in parts of what this machine takes for reading X and for a square
matrix product in the same arithmetic. "TF32" and "bfloat16 products" are what matrix units of an accelerator do with
float32; a CPU does not, and its errors are those of float32. X is drawn block by block, where it is kept, so that it
may be as large as the device's memory: forms for which that does not suffice are left out. On an accelerator take

    python -m experiments precisions --platform gpu --entries 1e9 --square 8192

and 13.4e9 entries for 50 GiB in float32.
"""

# First, so that Ctrl-C is answered while JAX is imported.
from experiments import script  # isort: split

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from experiments import settings
from experiments.files import BLUE, ORANGE, SKY, VERMILION
from experiments.solvers.smooth import solve
from jaxderiv.catalogue.classification import logistic
from jaxderiv.kernels.glm import kernel

FIGURES = ()
LEDGER = ()
ROWS = 1024  # drawn at once
LAM = 0.1
WANTS = (("value", "gradient"), ("hessian",))
COLUMNS = 20  # of the data that are fitted
SPARE = 1.3  # of X, in memory


class Form(NamedTuple):
    """How X is kept, the arithmetic, and what the units for matrix products make of it (None: nothing)."""

    kept: str
    arithmetic: str
    products: str | None = None

    @property
    def label(self) -> str:
        products = {"tensorfloat32": ", TF32", "bfloat16": ", bfloat16 products"}.get(self.products or "", "")
        return f"{self.kept} in {self.arithmetic}{products}"


FORMS = (
    Form("float64", "float64"),
    Form("float32", "float64"),
    Form("float32", "float32", "float32"),
    Form("float32", "float32", "tensorfloat32"),
    Form("bfloat16", "float32", "float32"),
    Form("bfloat16", "float32", "bfloat16"),
)
# Of the largest entry: what the arithmetic may be wrong by, with units for matrix products or without.
ALLOWED = {"float64": 1e-11, "float32": 1e-3, "tensorfloat32": 1e-2, "bfloat16": 3e-2}


@dataclass(frozen=True)
class Config(settings.Config):
    entries: float = settings.option(8e6, "entries of X, n times d", quick=4e5, least=1e5)
    d: int = settings.option(1024, "columns of X", quick=64, least=8)
    square: int = settings.option(1024, "rows of the square matrices", quick=256, least=64)
    rounds: int = settings.option(7, "rounds of timing", quick=2, least=2)
    observations: int = settings.option(200_000, "observations of the larger fit", quick=20_000, least=5_000)


class Results(NamedTuple):
    """What is measured of each form that fits: rows of the arrays. Errors in parts of the largest entry.

    Attributes:
        seconds: of gradient and Hessian, (forms, 2, rounds).
        read, square: seconds to read X, and of the square product, (forms, rounds).
        arithmetic: error of gradient and Hessian with the same X, (forms, 2).
        rounding: by rounding X, (forms, 2).
        fitted: observations of the fits.
        moved: how far X in bfloat16 moves each, in standard errors, the largest of its parameters.
    """

    forms: tuple[str, ...]
    n: float
    d: float
    side: float
    seconds: np.ndarray
    read: np.ndarray
    square: np.ndarray
    arithmetic: np.ndarray
    rounding: np.ndarray
    fitted: np.ndarray
    moved: np.ndarray

    @property
    def used(self) -> tuple[Form, ...]:
        return tuple(form for form in FORMS if form.label in self.forms)

    @property
    def bytes(self) -> np.ndarray:
        return self.n * self.d * np.array([jnp.dtype(form.kept).itemsize for form in self.used])

    @property
    def bandwidth(self) -> float:
        """Bytes per second, the most with which any of the forms is read."""
        return float(np.max(self.bytes / self.read.min(axis=1)))

    @property
    def rate(self) -> np.ndarray:
        """Operations per second of the square product, by form."""
        return 2 * self.side**3 / self.square.min(axis=1)

    @property
    def shares(self) -> np.ndarray:
        """By form: of the bandwidth that the gradient reaches, and of the rate that the Hessian does."""
        gradient, hessian = self.seconds.min(axis=2).T
        return np.stack([self.bytes / self.bandwidth / gradient, self.n * self.d**2 / self.rate / hessian], axis=1)


# The data ----------------------------------------------------------------------------------------------------------
def block(key: jax.Array, w: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Some rows of X, and their targets, in float64."""
    of_X, of_y = jax.random.split(key)
    X = jax.random.normal(of_X, (ROWS, len(w)), float)
    return X, jax.random.bernoulli(of_y, logistic.sigmoid(X @ w)).astype(float)


@partial(jax.jit, static_argnames=("kept", "arithmetic"))
def drawn(keys: jax.Array, w: jax.Array, kept: str, arithmetic: str) -> tuple[jax.Array, jax.Array]:
    def rounded(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        X, y = block(key, w)
        return X.astype(kept), y.astype(arithmetic)

    X, y = jax.lax.map(rounded, keys)
    return X.reshape(-1, len(w)), y.reshape(-1)


@partial(jax.jit, static_argnames="kept")
def exact(keys: jax.Array, w: jax.Array, kept: str) -> tuple[jax.Array, jax.Array]:
    """Gradient and Hessian in float64 of X as it is kept, which is never there as a whole."""

    def added(total: Any, key: jax.Array) -> tuple[Any, None]:
        X, y = block(key, w)
        parts = kernel(logistic).passes(w, X.astype(kept).astype(float), y, LAM, want=("gradient", "hessian"))
        return jax.tree.map(jnp.add, total, (parts.gradient, parts.hessian)), None

    total, _ = jax.lax.scan(added, (jnp.zeros(len(w)), jnp.zeros((len(w),) * 2)), keys)
    return jax.tree.map(lambda part: part / len(keys), total)


def fits(form: Form, entries: float) -> bool:
    """Whether X has a place in the device's memory, where the device says how much it has."""
    device = jnp.zeros(()).devices().pop()
    limit = (device.memory_stats() or {}).get("bytes_limit", np.inf)
    return SPARE * entries * jnp.dtype(form.kept).itemsize <= limit


# The measurement ---------------------------------------------------------------------------------------------------
def compiled(form: Form, want: tuple[str, ...]) -> Callable[..., list[jax.Array]]:
    def parts(w, X, y):
        found = kernel(logistic).passes(w, X, y, jnp.asarray(LAM, form.arithmetic), want=want)
        return [getattr(found, name) for name in want]

    def called(*given):
        # Of the products a trace keeps what holds when it is made.
        with jax.default_matmul_precision(form.products):
            return program(*given)

    program = jax.jit(parts)
    return called


def timed(call: Callable[[], Any], rounds: int) -> np.ndarray:
    seconds = []
    for _ in range(rounds + 1):  # the first one compiles
        begun = time.perf_counter()
        jax.block_until_ready(call())
        seconds.append(time.perf_counter() - begun)
    return np.array(seconds[1:])


def apart(found: jax.Array, right: jax.Array) -> float:
    """The largest difference, in parts of the largest entry."""
    return float(jnp.max(jnp.abs(found.astype(float) - right)) / jnp.max(jnp.abs(right)))


def moved(n: int, rng: np.random.Generator) -> float:
    """How far a fit moves where X is rounded to bfloat16: the largest of its parameters, in standard errors."""
    X, w = rng.normal(size=(n, COLUMNS)), rng.normal(size=COLUMNS) / np.sqrt(COLUMNS)
    y = (rng.random(n) < 1 / (1 + np.exp(-2 * X @ w))).astype(float)
    narrow = np.asarray(jnp.asarray(X, "bfloat16").astype(float))
    fit = lambda X: solve("logistic", X, y, tolerance=1e-12).params
    found = fit(X)
    information = n * np.asarray(kernel(logistic).hessian(jnp.asarray(found), jnp.asarray(X), jnp.asarray(y), 0.0))
    return float(np.max(np.abs(fit(narrow) - found) / np.sqrt(np.diag(np.linalg.inv(information)))))


@jax.enable_x64(True)
def run(config: Config, progress: script.Progress = script.no_progress) -> Results:
    blocks, d, report = max(int(config.entries) // (ROWS * config.d), 1), config.d, progress("forms")
    keys = jax.random.split(jax.random.key(config.seed), blocks + 1)
    w = jax.random.normal(keys[0], (d,), float) / np.sqrt(d)
    right = {kept: exact(keys[1:], w, kept) for kept in dict.fromkeys(form.kept for form in FORMS)}
    used = [form for form in FORMS if fits(form, config.entries)]
    columns: dict[str, list[Any]] = {name: [] for name in ("seconds", "read", "square", "arithmetic", "rounding")}
    for k, form in enumerate(used):
        X, y = drawn(keys[1:], w, form.kept, form.arithmetic)
        given = (w.astype(form.arithmetic), X, y)
        calls = [compiled(form, want) for want in WANTS]
        columns["seconds"].append([timed(partial(call, *given), config.rounds) for call in calls])
        columns["arithmetic"].append([apart(c(*given)[-1], r) for c, r in zip(calls, right[form.kept], strict=True)])
        columns["rounding"].append(list(map(apart, right[form.kept], right["float64"])))
        columns["read"].append(timed(partial(jax.jit(partial(jnp.sum, dtype=form.arithmetic)), X), config.rounds))
        del X, y, given
        A = jnp.ones((config.square, config.square), form.arithmetic)
        with jax.default_matmul_precision(form.products):
            columns["square"].append(timed(partial(jax.jit(jnp.matmul), A, A), config.rounds))
        report(k + 1, len(used))
    fitted = [config.observations // 16, config.observations]
    shifts = [moved(n, np.random.default_rng([config.seed, n])) for n in fitted]
    return Results(
        tuple(form.label for form in used), float(blocks * ROWS), float(d), float(config.square),
        **{name: np.array(column) for name, column in columns.items()},
        fitted=np.array(fitted, float), moved=np.array(shifts),
    )  # fmt: skip


# What it shows -----------------------------------------------------------------------------------------------------
def claim(results: Results) -> str:
    used = results.used
    script.require(len(used) > 0, "a form of X fits the device's memory")
    for form, arithmetic, rounding in zip(used, results.arithmetic, results.rounding, strict=True):
        allowed = ALLOWED[form.products or form.arithmetic]
        script.require(
            arithmetic.max() <= allowed,
            f"{form.label}: the error of the arithmetic, {arithmetic.max():.0e}, is {allowed:.0e} at most",
        )
        script.require((rounding.max() == 0) == (form.kept == "float64"), f"{form.label}: rounding X tells")
    rounded = {form.kept: error for form, error in zip(used, results.rounding, strict=True)}
    if {"float32", "bfloat16"} <= set(rounded):
        ratios = rounded["bfloat16"] / rounded["float32"] / 2**16
        script.require(
            ratios.min() >= 0.2 and ratios.max() <= 5,
            f"bfloat16 rounds 2^16 times as much as float32, {ratios.min():.2f} to {ratios.max():.2f} times that",
        )
    script.require(results.fitted[0] < results.fitted[1], "the second fit has more observations")
    script.require(
        results.moved.min() >= 1e-5 and results.moved.max() <= 0.01,
        f"X in bfloat16 moves a fit by {results.moved.max():.2g} standard errors, 0.01 at most and not 0",
    )
    script.require(np.all(results.shares > 0), "times are positive")
    moved = " and ".join(
        f"{m:.4f} standard errors of {n:.0f}" for m, n in zip(results.moved, results.fitted, strict=True)
    )
    return (
        f"X in bfloat16 moves a logistic fit by {moved} observations\n\n{results.n:.0f} x {results.d:.0f}, read at "
        f"{results.bandwidth / 1e9:.0f} GB/s:\n\n{table(results)}"
    )


def table(results: Results) -> str:
    head = ["X, arithmetic", "gradient ms", "of bandwidth", "Hessian ms", "GFLOP/s, square", "of that",
            "errors of arithmetic", "of rounding X"]  # fmt: skip
    rows = [
        [form.label, f"{1e3 * seconds[0]:.2f}", f"{shares[0]:.2f}", f"{1e3 * seconds[1]:.2f}", f"{rate / 1e9:.0f}",
         f"{shares[1]:.2f}", *(" and ".join(f"{error:.0e}" for error in errors) for errors in (arithmetic, rounding))]
        for form, seconds, shares, rate, arithmetic, rounding in zip(
            results.used, results.seconds.min(axis=2), results.shares, results.rate, results.arithmetic,
            results.rounding, strict=True,
        )
    ]  # fmt: skip
    return script.markdown(head, rows)


def plot(results: Results) -> Figure:
    figure = Figure(figsize=(10.5, 3.6))
    errors, times = figure.subplots(1, 2, sharey=True)
    rows = np.arange(len(results.used))
    for k, what in enumerate(("gradient", "Hessian")):
        errors.plot(results.arithmetic[:, k], rows, "os"[k], color=BLUE, label=f"arithmetic, {what}")
        rounding = np.where(results.rounding[:, k] > 0, results.rounding[:, k], np.nan)
        errors.plot(rounding, rows, "os"[k], color=ORANGE, label=f"rounding X, {what}")
        times.plot(results.seconds.min(axis=2)[:, k] * 1e3, rows, "os"[k], color=(SKY, VERMILION)[k], label=what)
    errors.set_yticks(rows, [form.label for form in results.used])
    errors.invert_yaxis()
    for axes, label, title in (
        (errors, "error in parts of the largest entry", "what is lost"),
        (times, "milliseconds", f"what it takes, {results.n:.0f} x {results.d:.0f}"),
    ):
        axes.set(xscale="log", xlabel=label, ylabel="X in arithmetic", title=title)
        axes.legend(fontsize=8)
    return figure


if __name__ == "__main__":
    sys.exit(script.main(sys.modules[__name__]))
