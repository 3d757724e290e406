r"""Quasi-Newton methods: the BFGS update and its limited-memory form.

H approximates the inverse of the Hessian, B the Hessian; s is a step and y the change of the gradient along it.

Source: ML Math Derivations, part 4, "Second-order methods"; Nocedal and Wright, Numerical Optimization, chapter 6 and
algorithm 7.4.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxderiv.domains import Array, Positive, PositiveDefinite, Real, UnitInterval, d
from jaxderiv.theorem import HYP, TRUE, at_most, close, equal, statement


def bfgs(H, s, y):
    r"""$(I - \rho s y^\top) H (I - \rho y s^\top) + \rho s s^\top$, $\rho = 1 / y^\top s$"""
    rho = 1 / (y @ s)
    left = np.eye(len(s)) - rho * s[:, None] * y[None]
    return left @ H @ left.T + rho * s[:, None] * s[None]


update = statement(
    "C4.64",
    TRUE,
    r"BFGS: $H_+ = (I - \rho s y^\top) H (I - \rho y s^\top) + \rho s s^\top$ with $\rho = 1 / y^\top s$ meets $H_+ y "
    r"= s$.",
)


@update.true
def secant_and_symmetry(H: PositiveDefinite[Array, d, d], s: Real[Array, d], y: Real[Array, d]):
    r"""$H_+ y = s$ and $H_+ = H_+^\top$, for all s, y with $y^\top s \ne 0$"""
    after = bfgs(H, s, y)
    return equal(after @ y, s), equal(after, after.T)


@update.true
def inverse_of_the_direct_update(B: PositiveDefinite[Array, d, d], s: Real[Array, d], y: Real[Array, d]):
    r"""$H_+ \left(B - \frac{B s s^\top B}{s^\top B s} + \frac{y y^\top}{y^\top s}\right) = I$ if $H B = I$"""
    Bs = B @ s
    direct = B - Bs[:, None] * Bs[None] / (s @ Bs) + y[:, None] * y[None] / (y @ s)
    return equal(bfgs(jnp.linalg.inv(B), s, y) @ direct, jnp.eye(len(s)))


@update.true
def least_change(
    W: PositiveDefinite[Array, d, d], H: PositiveDefinite[Array, d, d], s: Real[Array, d], Z: Real[Array, d, d]
):
    r"""No symmetric matrix with the secant property is nearer to H in the norm $\mathrm{tr}(W D W D)$, $W s = y$"""
    y = W @ s
    off = jnp.eye(len(s)) - y[:, None] * y[None] / (y @ y)
    size = lambda D: jnp.trace(W @ D @ W @ D)
    after = bfgs(H, s, y)
    other = after + off @ (Z + Z.T) @ off
    return at_most(size(after - H), size(other - H))


@update.control
def turned_sign(H: PositiveDefinite[Array, d, d], s: Real[Array, d], y: Real[Array, d]):
    r"""The secant equation with $I + \rho s y^\top$"""
    rho = 1 / (y @ s)
    left = jnp.eye(len(s)) + rho * s[:, None] * y[None]
    return equal((left @ H @ left.T + rho * s[:, None] * s[None]) @ y, s)


definite = statement(
    "C4.65",
    HYP,
    r"$H_+$ remains symmetric positive definite.",
    r"If H is, and $y^\top s > 0$: as under strict convexity, or after a line search that meets the curvature "
    r"condition of Wolfe. Sufficient decrease (Armijo) alone does not give it.",
)
INDEFINITE = {"H": [[1.0, 0.0], [0.0, 1.0]], "s": [1.0, 0.0], "y": [-1.0, 0.5]}


@definite.as_worded(at=[INDEFINITE])
def any_step(H: PositiveDefinite[Array, d, d], s: Real[Array, d], y: Real[Array, d]):
    r"""The eigenvalues of $H_+$ are not negative"""
    return at_most(0.0, jnp.linalg.eigvalsh(bfgs(H, s, y)))


@definite.true
def positive_curvature(
    H: PositiveDefinite[Array, d, d], A: PositiveDefinite[Array, d, d], s: Real[Array, d], v: Real[Array, d]
):
    r"""If $y = A s$ with $A \succ 0$, $v^\top H_+ v \ge 0$ for every v, and $\det H_+ =
    \det H \cdot s^\top H^{-1} s / y^\top s$ is not zero"""
    after, y = bfgs(H, s, A @ s), A @ s
    determinant = jnp.linalg.det(H) * (s @ jnp.linalg.solve(H, s)) / (y @ s)
    return at_most(0.0, v @ after @ v), equal(jnp.linalg.det(after), determinant)


@definite.true
def indefinite_instance():
    r"""With s = (1, 0), y = (-1, 1/2) and H = I the eigenvalues are -0.883 and 1.133"""
    return close(jnp.linalg.eigvalsh(bfgs(*map(np.array, INDEFINITE.values()))), jnp.array([-0.883, 1.133]), 5e-4)


@definite.true
def wolfe(x: Real[Array, ()], t: Positive[Array, ()], c: UnitInterval[Array, ()]):
    r"""Where $s = -t f'(x)$ meets $f'(x + s) s \ge c f'(x) s$, $y s \ge (1 - c) t f'(x)^2 > 0$; on $\frac14 x^4 -
    \frac12 x^2$, not convex"""
    slope = jax.grad(lambda x: x**4 / 4 - x**2 / 2)
    s = -t * slope(x)
    met = slope(x + s) * s >= c * slope(x) * s
    return at_most(jnp.where(met, (1 - c) * t * slope(x) ** 2, 0.0), jnp.where(met, (slope(x + s) - slope(x)) * s, 0.0))


@definite.true
def armijo_alone(x: Positive[Array, ()], t: Positive[Array, ()], c: UnitInterval[Array, ()]):
    r"""On $-\frac12 x^2$ each step downhill, $s = -t f'(x)$, decreases f by more than $-c f'(x) s$, and has $y s <
    0$"""
    f = lambda x: -(x**2) / 2
    slope, s = jax.grad(f), t * x
    change = (slope(x + s) - slope(x)) * s
    return equal(f(x + s) - f(x) - c * slope(x) * s, -(t * (1 - c) + t**2 / 2) * x**2), equal(change, -(t**2) * x**2)


limited = statement(
    "C4.66",
    TRUE,
    r"L-BFGS keeps the last m pairs (s, y) and applies H to the gradient by the two-loop recursion.",
)


def two_loops(g, S, Y, gamma):
    r"""H g from the pairs (rows of S and Y, the newest last) and $H_0 = \gamma I$"""
    pairs, shares, q = list(zip(S, Y, strict=True)), [], g
    for s, y in reversed(pairs):
        shares.append((s @ q) / (y @ s))
        q = q - shares[-1] * y
    q = gamma * q
    for s, y in pairs:
        q = q + s * (shares.pop() - (y @ q) / (y @ s))
    return q


def dense(S, Y, gamma):
    r"""The matrix H of BFGS after these pairs"""
    return functools.reduce(lambda H, pair: bfgs(H, *pair), zip(S, Y, strict=True), gamma * jnp.eye(S.shape[1]))


@limited.true
def with_all_pairs(g: Real[Array, d], S: Real[Array, 2, d], Y: Real[Array, 2, d], gamma: Positive[Array, ()]):
    r"""As long as the memory holds all pairs, it is the direction of BFGS from the same $H_0$; without memory, $\gamma
    g$"""
    return equal(two_loops(g, S, Y, gamma), dense(S, Y, gamma) @ g), equal(two_loops(g, S[:0], Y[:0], gamma), gamma * g)


@limited.control
def with_fewer_pairs(g: Real[Array, d], S: Real[Array, 2, d], Y: Real[Array, 2, d], gamma: Positive[Array, ()]):
    r"""With the last of two pairs it is the direction of BFGS"""
    return equal(two_loops(g, S[1:], Y[1:], gamma), dense(S, Y, gamma) @ g)


@limited.true
def optax_lbfgs(rng):
    r"""`optax.scale_by_lbfgs` gives these directions, $\gamma = s^\top y / y^\top y$ of the newest pair, memory 3 of 6
    pairs"""
    A = rng.normal(size=(6, 4))
    xs = rng.normal(size=(7, 4))
    gs = np.sinh(xs @ A.T) @ A
    S, Y = np.diff(xs, axis=0), np.diff(gs, axis=0)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # as optax needs
        method = optax.scale_by_lbfgs(memory_size=3)
        state, step = method.init(jnp.asarray(xs[0])), jax.jit(method.update)
        for x, g in zip(xs, gs, strict=True):
            theirs, state = step(jnp.asarray(g), state, jnp.asarray(x))
    ours = two_loops(gs[-1], S[-3:], Y[-3:], (S[-1] @ Y[-1]) / (Y[-1] @ Y[-1]))
    return at_most(abs(theirs - ours), 1e-9 * abs(ours).max())
