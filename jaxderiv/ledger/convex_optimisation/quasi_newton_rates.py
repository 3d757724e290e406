r"""How fast quasi-Newton methods converge: BFGS faster than any linear rate, L-BFGS at a linear one.

Both run on $\frac12 \sum d_i x_i^2 + \sum \log\cosh x_i$, with 40 curvatures $d_i$ from 1 to 10⁴ and the minimum 0
at 0, whose values keep their relative precision down to 1e-60: the rates are seen, and no rounding floor.

Source: ML Math Derivations, part 4, "Second-order methods"; the theorem: Nocedal and Wright, Numerical Optimization,
theorem 6.6; the weak Wolfe search by bisection: Lewis and Overton (2013).
"""

import functools

import numpy as np

from jaxderiv.ledger.convex_optimisation.quasi_newton import bfgs, two_loops
from jaxderiv.theorem import FALSE, HYP, at_most, close, statement

CURVATURES = np.logspace(0, 4, 40)


def value(x):
    """The function; log cosh is written so that a small one keeps its digits"""
    return x @ (CURVATURES * x) / 2 + np.sum(np.log1p(2 * np.sinh(x / 2) ** 2))


def slope(x):
    """Its gradient"""
    return CURVATURES * x + np.tanh(x)


def wolfe(f, gradient, x, p):
    """A step length with sufficient decrease and curvature, by doubling and bisection from 1"""
    t, low, high = 1.0, 0.0, np.inf
    here, down = f(x), gradient(x) @ p
    for _ in range(60):
        if f(x + t * p) > here + 1e-4 * t * down:
            high = t
        elif gradient(x + t * p) @ p < 0.9 * down:
            low = t
        else:
            break
        t = (low + high) / 2 if high < np.inf else 2 * t
    return t


def minimise(f, gradient, x, memory=None, length=wolfe, steps=4000):
    """Values (until 1e-60) and step lengths of L-BFGS with this memory, and of BFGS if it is None"""
    H, values = np.eye(len(x)), [f(x)]
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    lengths: list[float] = []
    while values[-1] > 1e-60 and len(lengths) < steps:
        g = gradient(x)
        if memory is None:
            p = -H @ g
        else:
            S, Y = np.reshape(pairs, (-1, 2, len(x))).swapaxes(0, 1)
            p = -two_loops(g, S, Y, (S[-1] @ Y[-1]) / (Y[-1] @ Y[-1]) if pairs else 1.0)
        lengths.append(length(f, gradient, x, p))
        s = lengths[-1] * p
        y = gradient(x + s) - g
        if memory is None:
            H = bfgs(H, s, y)
        else:
            pairs = [*pairs, (s, y)][-memory:]
        x = x + s
        values.append(f(x))
    return np.array(values), np.array(lengths)


def ratios(values):
    r"""Of three thirds of a run the mean (geometric) of the ratios $\sqrt{f_{k+1} / f_k}$"""
    return np.array([np.exp(np.mean(part)) for part in np.array_split(np.diff(np.log(values)) / 2, 3)])


full = statement(
    "C4.67",
    HYP,
    r"BFGS converges superlinearly.",
    r"For a strongly convex f with a Lipschitz Hessian, and steps of a Wolfe search that takes the length 1 in the "
    r"end. At a minimum without curvature, or with shorter steps, the rate is linear.",
)


@full.as_worded
def degenerate_minimum():
    r"""On the convex $\frac14 x^4$ the ratio of the values is below 0.1 at the end of the run"""
    values, _ = minimise(lambda x: (x @ x) ** 2 / 4, lambda x: (x @ x) * x, np.array([0.7]))
    return at_most(ratios(values)[-1], 0.1)


@full.true
def superlinear(rng):
    r"""From a normal start the mean ratio falls from third to third, to less than 0.1, and the last ten lengths are
    1"""
    values, lengths = minimise(value, slope, rng.normal(size=40))
    found = ratios(values)
    return at_most(found[1:], found[:-1]), at_most(found[-1], 0.1), close(lengths[-10:], 1.0, 0.0)


@full.control
def half_lengths(rng):
    r"""The same, the lengths being 1/2 as soon as the value is below 1e-6"""
    length = lambda f, gradient, x, p: 0.5 if f(x) < 1e-6 else wolfe(f, gradient, x, p)
    values, _ = minimise(value, slope, rng.normal(size=40), length=length)
    return at_most(ratios(values)[-1], 0.1)


limited = statement(
    "C4.68",
    FALSE,
    r"L-BFGS converges superlinearly.",
    r"With a fixed memory it converges linearly: its ratio stays where it was. Only as long as the memory holds all "
    r"pairs is it BFGS.",
)


@functools.cache
def limited_run():
    """The values of L-BFGS with memory 5"""
    return minimise(value, slope, np.random.default_rng(0).normal(size=40), memory=5)[0]


@limited.as_worded
def falling_ratio():
    r"""With memory 5 the mean ratio of the last third is at most half of that of the first"""
    first, _, last = ratios(limited_run())
    return at_most(last, first / 2)


@limited.true
def steady_ratio():
    r"""The mean ratio is 0.97 in each third of the run, which is more than 2000 steps; BFGS takes less than 100"""
    values = limited_run()
    bfgs_steps = len(minimise(value, slope, np.random.default_rng(0).normal(size=40))[0])
    return close(ratios(values), 0.97, 0.01), at_most(2000.0, len(values)), at_most(bfgs_steps, 100.0)


@limited.true
def linear_bound():
    r"""Meanwhile a linear rate holds for the values: $f_k \le f_0 \cdot 0.97^k$ at every iterate"""
    values = limited_run()
    return at_most(values, values[0] * 0.97 ** np.arange(len(values)))
