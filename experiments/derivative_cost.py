"""A Hessian from the hand-derived formula, in one pass over blocks of the data, needs a small part of the memory of
jax.hessian, no more when there are more observations, and for softmax regression a small part of its time.

For each model and size the time and the memory of the kernel (`jaxderiv.kernels`) stand beside those of JAX's
automatic differentiation (value_and_grad; jax.hessian, which is forward over reverse; jvp of the gradient), of the
readable formulas of the catalogue, and of NumPy (two products with X; the Hessian by BLAS's dsyrk on scaled blocks of
rows). All get the same arrays in float64; each of JAX's programs once with X whole and once with its rows split over
the devices, which the cores of a CPU are, and the faster counts. Memory is what the compiled program takes beside
arguments and results (XLA's memory analysis), which is the same at each run: for the kernel that of the larger of the
two, for the others that of the smaller. Times are taken in turn, round by round; each is the shortest,
as what else runs on the machine only adds to it (most to NumPy's, as BLAS's threads wait for each other: compare with
NumPy where nothing else runs). The floor is this machine's own: what reading X takes on all cores, or the products at
the rate of a square matrix product, each as fast as NumPy or JAX does it; an X that lies in a cache is read from there.
Of times no more is claimed than holds on a busy machine; the table has what was measured.
"""

# First, so that Ctrl-C is answered while JAX is imported.
from experiments import script  # isort: split

import itertools
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure
from scipy import special
from scipy.linalg.blas import dsyrk

from experiments import settings
from experiments.files import BLACK, BLUE, GREEN, ORANGE, VERMILION
from experiments.solvers.arrays import split_over
from jaxderiv.catalogue.classification import logistic, softmax
from jaxderiv.catalogue.regression import huber, least_squares, poisson
from jaxderiv.derivation import arguments
from jaxderiv.kernels.glm import kernel
from jaxderiv.optimisers.arguments import named

TASKS = ("value, gradient", "value, gradient, Hessian", "Hessian-vector product")
METHODS = ("kernel", "JAX", "readable", "NumPy")
KERNEL, JAX, READABLE, NUMPY = range(4)
HESSIAN = 1  # the task
WANTS = (("value", "gradient"), ("value", "gradient", "hessian"), ("hvp",))
LARGE = 8  # times the entries of the other data, for an X that caches do not hold
MORE = 16  # times the observations, for which the memory is to be the same
BLOCK = 1000  # rows of NumPy's blocks
PAUSE = 0.1  # seconds
IN_TURN = 2  # calls, of which the shorter counts: the first one finds caches and threads as another method left them
SQUARE = 640  # rows of the matrices whose product gives the floor
BELOW = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.13), "ncols": 3, "fontsize": 8}  # a legend
FIGURES = ()
LEDGER = ()


class Case(NamedTuple):
    name: str
    model: ModuleType
    d: int
    K: int = 1
    extra: tuple[float, ...] = (0.1,)  # lam, or delta
    times: int = 1  # as many entries


CASES = (
    Case("least squares", least_squares, 100, extra=()),
    Case("Huber", huber, 100, extra=(1.0,)),
    Case("Poisson", poisson, 100),
    Case("logistic", logistic, 20),
    Case("logistic", logistic, 100),
    Case("least squares", least_squares, 100, extra=(), times=LARGE),
    Case("logistic", logistic, 100, times=LARGE),
    Case("logistic", logistic, 1000),
    Case("softmax", softmax, 20, 5),
    Case("softmax", softmax, 64, 10),
)


@dataclass(frozen=True)
class Config(settings.Config):
    entries: int = settings.option(8_000_000, "entries of X, n times d", quick=400_000, least=100_000)
    widest: int = settings.option(1000, "features of the widest data", quick=20, least=20)
    rounds: int = settings.option(5, "rounds of timing", quick=3, least=3)


class Measured(NamedTuple):
    name: str
    n: int
    d: int
    K: int
    times: int  # as many entries as other data have
    seconds: np.ndarray  # by task, method and round
    scratch: np.ndarray  # bytes by task and method, without NumPy
    scratch_of_more: float  # bytes: the kernel's for the Hessian, of more observations
    error: np.ndarray  # by task and method, against JAX and relative to the largest entry
    read: np.ndarray  # seconds to read X, by round
    square: np.ndarray  # seconds of a product of square matrices, by round

    @property
    def label(self) -> str:
        return f"{self.name} {self.d}" + (f" x {self.K}" if self.K > 1 else "") + (", large" if self.times > 1 else "")

    @property
    def best(self) -> np.ndarray:
        """Seconds by task and method."""
        return self.seconds.min(axis=2)

    @property
    def slower(self) -> np.ndarray:
        """By task and method: how many times the kernel's time."""
        return self.best / self.best[:, :1]

    @property
    def larger(self) -> np.ndarray:
        """By task and method: how many times the kernel's memory."""
        return self.scratch / self.scratch[:, :1]

    @property
    def bandwidth(self) -> float:
        """Bytes per second at which this X is read; of a small one, from a cache."""
        return self.bytes[0] / self.read.min()

    @property
    def bytes(self) -> np.ndarray:
        """By task: of X, and of the Hessian where it is wanted."""
        return 8.0 * self.n * self.d + np.array([0, 8.0 * (self.d * self.K) ** 2, 0])

    @property
    def flops(self) -> np.ndarray:
        """By task: of the products with X, and of the half of the Hessian that symmetry leaves."""
        product, pairs = 2.0 * self.n * self.d * self.K, max(1, self.K * (self.K - 1) // 2)
        return np.array([2 * product, 2 * product + pairs * self.n * self.d * (self.d + 1), 3 * product])


class Results(NamedTuple):
    measured: tuple[Measured, ...]

    @property
    def rate(self) -> float:
        """Floating-point operations per second."""
        return max(2.0 * SQUARE**3 / case.square.min() for case in self.measured)

    def floor(self, case: Measured) -> np.ndarray:
        """Seconds by task."""
        return np.maximum(case.bytes / case.bandwidth, case.flops / self.rate)

    def share(self, case: Measured) -> np.ndarray:
        """By task and method: what part the floor is of the time."""
        return self.floor(case)[:, None] / case.best


def drawn(case: Case, entries: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Weights, a direction, X and targets."""
    # jax.hessian of softmax regression holds some n d K^2 numbers at once.
    n = case.times * entries // case.d if case.K == 1 else 4 * entries // (case.d * case.K**2)
    n -= n % jax.device_count()  # so that devices can share them
    shape = (case.d,) if case.K == 1 else (case.d, case.K)
    w, v = rng.normal(size=(2, *shape)) / np.sqrt(case.d)
    X, y = rng.normal(size=(n, case.d)), rng.normal(size=n)
    if case.model is softmax:
        y = np.eye(case.K)[rng.integers(case.K, size=n)]
    elif case.model is not least_squares and case.model is not huber:
        y = rng.integers(2, size=n).astype(float)
    return w, v, X, y


# The four methods: functions of (case, want, w, v, X, y, *extra) that return a list of what is wanted --------------
def by_kernel(case, want, w, v, X, y, *extra, over=None):
    made, lam = (kernel(huber, delta=extra[0]), ()) if case.model is huber else (kernel(case.model), extra)
    parts = made.passes(w, X, y, *lam, want=want, along=v if "hvp" in want else None, over=over)
    return [getattr(parts, name) for name in want]


def by_jax(case, want, w, v, X, y, *extra):
    loss = lambda w: case.model.loss(w, X, y, *extra)
    if "hvp" in want:
        return [jax.jvp(jax.grad(loss), (w,), (v,))[1]]
    return [*jax.value_and_grad(loss)(w), *([jax.hessian(loss)(w)] if "hessian" in want else [])]


def by_formula(case, want, w, v, X, y, *extra):
    data = dict(zip(arguments(case.model.loss)[1:], (X, y, *extra), strict=True))
    points = {"value": (w,), "gradient": (w,), "hessian": (w,), "hvp": (w, v)}
    formulas = {name: case.model.loss if name == "value" else getattr(case.model, name) for name in want}
    return [f(*points[name], **named(f, data, given=len(points[name]))) for name, f in formulas.items()]


def by_numpy(case, want, w, v, X, y, *extra):
    sums = case.model in (huber, least_squares)
    lam, mass, z = 0.0 if sums else extra[0], 1 if sums else len(X), X @ w
    losses, residual, weights, along = FORMULAS[case.model](z, y, *extra)
    found = {}
    if "hvp" in want:
        found["hvp"] = X.T @ along(X @ v) / mass + lam * v
    else:
        found["value"] = np.sum(losses()) / mass + lam / 2 * np.sum(w * w)
        found["gradient"] = X.T @ residual() / mass + lam * w
    if "hessian" in want:
        H = np.array([syrk(X, np.sqrt(c)) for c in weights()])
        H = H[0] if case.K == 1 else from_pairs(H, case.K).reshape(w.size, w.size)
        found["hessian"] = (H / mass + lam * np.eye(w.size)).reshape(w.shape * 2)
    return [found[name] for name in want]


def syrk(X, roots):
    """The sum of c_i x_i x_i' with c_i the squares of the roots: BLAS's product of half the cost, by blocks of rows."""
    H = np.zeros((X.shape[1],) * 2, order="F")
    for i in range(0, len(X), BLOCK):
        scaled = roots[i : i + BLOCK, None] * X[i : i + BLOCK]
        H = dsyrk(1.0, scaled.T, beta=1.0, c=H, overwrite_c=True)
    return np.triu(H) + np.triu(H, 1).T


def from_pairs(products, K):
    """The Hessian (d, K, d, K) from the sums of p_k p_m x x' by pairs of classes."""
    d = products.shape[1]
    H, (k, m) = np.zeros((K, K, d, d)), np.triu_indices(K, 1)
    H[k, m] = H[m, k] = -products
    H[range(K), range(K)] = -H.sum(axis=1)
    return H.transpose(2, 0, 3, 1)


# NumPy's formulas for one observation: loss, residual, curvature (by pairs of classes) and its product, each on demand.
def of_squares(z, y):
    return lambda: (z - y) ** 2 / 2, lambda: z - y, lambda: np.ones((1, len(z))), lambda u: u


def of_huber(z, y, delta):
    r = z - y
    inside = np.abs(r) < delta
    losses = lambda: np.where(inside, r * r / 2, delta * (np.abs(r) - delta / 2))
    return losses, lambda: np.clip(r, -delta, delta), lambda: inside[None].astype(float), lambda u: inside * u


def of_logistic(z, y, lam):
    p = special.expit(z)
    return lambda: np.logaddexp(0, z) - y * z, lambda: p - y, lambda: (p * (1 - p))[None], lambda u: p * (1 - p) * u


def of_poisson(z, y, lam):
    mean = np.exp(z)
    return lambda: mean - y * z, lambda: mean - y, lambda: mean[None], lambda u: mean * u


def of_softmax(Z, T, lam):
    Z = Z - Z.max(axis=1, keepdims=True)
    P = np.exp(Z)
    sums = P.sum(axis=1, keepdims=True)
    P /= sums
    k, m = np.triu_indices(Z.shape[1], 1)
    along = lambda U: P * (U - np.sum(P * U, axis=1, keepdims=True))
    return lambda: np.log(sums[:, 0]) - np.sum(T * Z, axis=1), lambda: P - T, lambda: P.T[k] * P.T[m], along


FORMULAS = {least_squares: of_squares, huber: of_huber, logistic: of_logistic, poisson: of_poisson, softmax: of_softmax}


# The measurement ---------------------------------------------------------------------------------------------------
def measured(case: Case, config: Config, rng: np.random.Generator, report: script.Report) -> Measured:
    own = drawn(case, config.entries, rng)
    whole = (*map(jnp.asarray, own), *case.extra)
    # One of the calls of a group is as good as another.
    groups: list[list[Callable[[], Any]]] = []
    scratch = np.zeros((len(TASKS), len(METHODS) - 1))
    mesh = split_over(jax.devices())
    layouts = [(whole, None)] + ([(split(whole, mesh), mesh)] if mesh else [])
    for i, want in enumerate(WANTS):
        for j, method in enumerate((by_kernel, by_jax, by_formula)):
            asked = [(given, partial(method, case, want, **({"over": over} if method is by_kernel else {})))
                     for given, over in layouts]  # fmt: skip
            programs = [jax.jit(f).lower(*given).compile() for given, f in asked]
            needed = [scratch_of(program, over) for program, (_, over) in zip(programs, layouts, strict=True)]
            scratch[i, j] = (max if j == KERNEL else min)(needed)
            groups.append([partial(program, *given) for program, (given, _) in zip(programs, asked, strict=True)])
        groups.append([partial(by_numpy, case, want, *own, *case.extra)])
    flat, A = own[2].ravel(), rng.normal(size=(SQUARE, SQUARE))
    sums, product, B = jax.jit(jnp.sum), jax.jit(jnp.matmul), jnp.asarray(A)
    groups.append([lambda: flat @ flat, *(partial(sums, given[2]) for given, _ in layouts)])
    groups.append([lambda: A @ A, lambda: product(B, B)])
    calls = [call for group in groups for call in group]
    found = [jax.block_until_ready(call()) for call in calls]
    seconds = np.zeros((len(calls), config.rounds))
    native = [isinstance(jax.tree.leaves(parts)[0], np.ndarray | np.generic) for parts in found]
    for k in range(config.rounds):
        # BLAS's threads wait busily for their next call, and would take cores from JAX: NumPy last, then a pause.
        # Otherwise the order is another one in each round, as the first call is slower.
        time.sleep(PAUSE)
        for i in sorted(rng.permutation(len(calls)), key=native.__getitem__):
            seconds[i, k] = min(timed(calls[i]) for _ in range(IN_TURN))
        report(k + 1, config.rounds)
    ends = np.cumsum([0, *map(len, groups)])
    best = np.array([seconds[a:b].min(axis=0) for a, b in itertools.pairwise(ends)])
    results = [found[a:b] for a, b in itertools.pairwise(ends[:-2])]
    right = [results[len(METHODS) * i + JAX][0] for i in range(len(TASKS))]
    error = [max(apart(parts, right[i // len(METHODS)]) for parts in same) for i, same in enumerate(results)]
    return Measured(
        case.name, len(flat) // case.d, case.d, case.K, case.times,
        seconds=best[:-2].reshape(len(TASKS), len(METHODS), -1),
        scratch=scratch,
        scratch_of_more=scratch_of_more(case, layouts),
        error=np.array(error).reshape(len(TASKS), len(METHODS)),
        read=best[-2],
        square=best[-1],
    )  # fmt: skip


def split(whole, mesh):
    """The same, with the rows of X and y over the devices."""
    w, v, X, y, *extra = whole
    rows = jax.NamedSharding(mesh, jax.P(mesh.axis_names))
    return w, v, jax.device_put(X, rows), jax.device_put(y, rows), *extra


def scratch_of(program, over: jax.sharding.Mesh | None) -> float:
    """Bytes, on all devices together."""
    return float(program.memory_analysis().temp_size_in_bytes * (over.size if over else 1))


def scratch_of_more(case: Case, layouts) -> float:
    """The kernel's for the Hessian, of more observations."""
    needed = []
    for (w, v, X, y, *extra), over in layouts:
        more = [jax.ShapeDtypeStruct((MORE * a.shape[0], *a.shape[1:]), a.dtype, sharding=a.sharding) for a in (X, y)]
        program = jax.jit(partial(by_kernel, case, WANTS[HESSIAN], over=over)).lower(w, v, *more, *extra).compile()
        needed.append(scratch_of(program, over))
    return max(needed)


def timed(call) -> float:
    begun = time.perf_counter()
    jax.block_until_ready(call())
    return time.perf_counter() - begun


def apart(found, right) -> float:
    """The largest difference, in parts of the largest entry of each array."""
    return max(float(np.max(np.abs(a - b)) / np.max(np.abs(b))) for a, b in zip(found, right, strict=True))


@jax.enable_x64(True)
def run(config: Config, progress: script.Progress = script.no_progress) -> Results:
    rng = np.random.default_rng(config.seed)
    cases = [case for case in CASES if case.d <= config.widest]
    return Results(tuple(measured(case, config, rng, progress(f"{case.name}, d = {case.d}")) for case in cases))


# What it shows -----------------------------------------------------------------------------------------------------
def claim(results: Results) -> str:
    cases = results.measured
    for case in cases:
        error, grown = case.error.max(), case.scratch_of_more / case.scratch[HESSIAN, KERNEL]
        script.require(error <= 1e-10, f"{case.label}: all methods agree, {error:.0e} apart")
        # The rows that are left over from whole blocks may be as many as a block.
        script.require(0.5 <= grown <= 2, f"{case.label}: {MORE}n observations take {grown:.2f} times the memory")
        largest = results.share(case).max()
        script.require(largest <= 1.5, f"{case.label}: no method is far below the floor, {largest:.1f} of its speed")
        less = case.larger[HESSIAN, JAX]
        script.require(less >= 1.5, f"{case.label}: jax.hessian takes {less:.2f} times the memory")
    few = [case for case in cases if case.K > 1]
    less, faster = (min(getattr(c, name)[HESSIAN, JAX] for c in few) for name in ("larger", "slower"))
    script.require(less >= 25, f"jax.hessian of softmax takes {less:.1f} times the memory, 25 or more")
    script.require(faster > 1, f"jax.hessian of softmax takes {faster:.2f} times the time, above 1")
    error, any_less = max(c.error.max() for c in cases), min(c.larger[HESSIAN, JAX] for c in cases)
    return (
        f"{len(METHODS)} methods agree to {error:.0e}; of softmax regression jax.hessian takes {less:.0f} or more "
        f"times the kernel's memory and {faster:.1f} or more times its time, {any_less:.1f} or more times the "
        "memory of every model; the kernel's is bounded for any number of observations\n\n"
        f"Reading X: {' to '.join(f'{bandwidth:.0f}' for bandwidth in reading(results))} GB/s; matrix product: "
        f"{results.rate / 1e9:.0f} GFLOP/s. "
        f"JAX, readable and NumPy in units of the kernel's:\n\n{table(results)}"
    )


def reading(results: Results) -> tuple[float, float]:
    """The slowest, from memory, and the fastest, GB/s."""
    found = [case.bandwidth / 1e9 for case in results.measured]
    return min(found), max(found)


def table(results: Results) -> str:
    head = ["model, d", "n", "what", "floor ms", "kernel ms", "floor/kernel", *(f"{m} time" for m in METHODS[1:]),
            "kernel MB", *(f"{m} memory" for m in METHODS[1:NUMPY])]  # fmt: skip
    rows = [
        [case.label, str(case.n), task, f"{1e3 * floor:.2f}", f"{1e3 * best:.2f}", f"{share:.2f}",
         *(f"{ratio:.2f}" for ratio in slower), f"{scratch / 1e6:.2f}", *(f"{ratio:.1f}" for ratio in larger)]
        for case in results.measured
        for task, floor, best, share, slower, scratch, larger in zip(
            TASKS, results.floor(case), case.best[:, KERNEL], results.share(case)[:, KERNEL], case.slower[:, 1:],
            case.scratch[:, KERNEL], case.larger[:, 1:], strict=True,
        )
    ]  # fmt: skip
    return script.markdown(head, rows)


def plot(results: Results) -> Figure:
    figure = Figure(figsize=(10.5, 5.2))
    roofline, ratios = figure.subplots(1, 2, width_ratios=(5, 4))
    show_roofline(roofline, results)
    show_ratios(ratios, results.measured)
    return figure


def show_roofline(axes, results: Results) -> None:
    rate = results.rate / 1e9
    for bandwidth, style, of in zip(reading(results), ("-", ":"), ("largest", "smallest"), strict=True):
        edges = np.array([0.3, rate / bandwidth, 800])
        label = f"reading the {of} X: {bandwidth:.0f} GB/s"
        axes.loglog(edges, np.minimum(bandwidth * edges, rate), style, color=BLACK, linewidth=1.5, label=label)
    axes.text(edges[-1], 1.07 * rate, f"square matrices: {rate:.0f} GFLOP/s", ha="right", va="bottom", size=8)
    # Side by side, that they do not hide each other.
    for method, colour, beside in ((KERNEL, BLUE, 0.88), (JAX, VERMILION, 1.0), (NUMPY, GREEN, 1.14)):
        axes.plot([], [], "s", color=colour, label=METHODS[method])
        for task, marker in enumerate("ovD"):
            at = [(case.flops[task] / case.bytes[task], case.flops[task] / case.best[task, method] / 1e9)
                  for case in results.measured]  # fmt: skip
            x, y = np.array(at).T
            axes.plot(beside * x, y, marker, color=colour, markerfacecolor="none", ms=5, markeredgewidth=1.3)
    for task, marker in enumerate("ovD"):
        axes.plot([], [], marker, color=BLACK, markerfacecolor="none", ms=5, label=TASKS[task])
    axes.set(
        xlabel="arithmetic intensity, FLOP per byte of X and Hessian (methods side by side)",
        ylabel="GFLOP/s",
        title="what each method reaches of the machine's speed",
    )
    axes.legend(**BELOW)


def show_ratios(axes, cases: tuple[Measured, ...]) -> None:
    rows = np.arange(len(cases))
    slower, larger = (np.array([getattr(case, name)[HESSIAN] for case in cases]) for name in ("slower", "larger"))
    axes.axvline(1, color=BLUE, linewidth=1.5, label="kernel")
    axes.plot(larger[:, JAX], rows, "s", color=VERMILION, markerfacecolor="none", label="JAX, memory")
    axes.plot(slower[:, JAX], rows, "o", color=VERMILION, label="JAX, time")
    axes.plot(slower[:, READABLE], rows, "d", color=ORANGE, label="readable, time")
    axes.plot(slower[:, NUMPY], rows, "^", color=GREEN, label="NumPy, time")
    axes.set_xscale("log")
    axes.set_yticks(rows, [case.label for case in cases])
    axes.invert_yaxis()
    axes.set(
        xlabel="times the kernel's",
        ylabel="model, features (x classes)",
        title="value, gradient and Hessian, in units of the kernel",
    )
    axes.legend(**BELOW)


if __name__ == "__main__":
    sys.exit(script.main(sys.modules[__name__]))
