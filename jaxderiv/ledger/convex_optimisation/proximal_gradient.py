r"""Optimality of the lasso, and the proximal gradient method that finds it.

$F(w) = \frac12 w^\top A w - b^\top w + \lambda \|w\|_1$ is the lasso with $A = X^\top X$ and $b = X^\top y$. One with a
known minimiser $w^*$ is made by $b = A w^* + \lambda s$ with a subgradient s of the norm at $w^*$. R is the distance of
the start from $w^*$, and L any number that $\lambda_{\max}(A)$ does not exceed.

Source: ML Math Derivations, part 4, "Subgradients"; the exact worst case of the proximal gradient method: Taylor,
Hendrickx and Glineur, Exact worst-case performance of first-order methods for composite convex optimization (2017).
"""

import jax
import jax.numpy as jnp

from jaxderiv.domains import (
    Array,
    Bit,
    FullColumnRank,
    Nonnegative,
    Positive,
    PositiveSemidefinite,
    Real,
    Share,
    Sign,
    d,
    n,
)
from jaxderiv.ledger.notation import Function, iterates, soft_threshold
from jaxderiv.theorem import HYP, TRUE, at_most, equal, statement

optimality = statement(
    "C4.30",
    TRUE,
    r"$x^*$ minimises $f$ if and only if $0 \in \partial f(x^*)$.",
)


def lasso(A, b, lam) -> Function:
    r"""$\frac12 w^\top A w - b^\top w + \lambda \|w\|_1$, the lasso with $A = X^\top X$ and $b = X^\top y$"""
    return lambda w: w @ A @ w / 2 - b @ w + lam * jnp.sum(abs(w))


def subgradient_of_the_norm(w, share):
    """A subgradient of the 1-norm at w: the sign, and at zero any number from -1 to 1."""
    return jnp.where(w == 0, 2 * share - 1, jnp.sign(w))


@optimality.true
def zero_subgradient_is_minimum(
    A: PositiveSemidefinite[Array, d, d], size: Real[Array, d], zero: Bit[Array, d], share: Share[Array, d],
    lam: Nonnegative[Array, ()], w: Real[Array, d],
):  # fmt: skip
    r"""A lasso with $A w^* - b + \lambda s = 0$ and $s \in \partial \|w^*\|_1$: no w has a smaller loss"""
    best = (1 - zero) * size
    F = lasso(A, A @ best + lam * subgradient_of_the_norm(best, share), lam)
    return at_most(F(best), F(w))


def excess(A, lam, best, s) -> Function:
    r"""$\frac12 (w - w^*)^\top A (w - w^*) + \lambda \sum_i (|w_i| - s_i w_i)$"""
    return lambda w: (w - best) @ A @ (w - best) / 2 + lam * jnp.sum(abs(w) - s * w)


@optimality.true
def why_it_is_the_minimum(
    A: PositiveSemidefinite[Array, d, d], size: Positive[Array, d], sign: Sign[Array, d], zero: Bit[Array, d],
    share: Share[Array, d], lam: Nonnegative[Array, ()], w: Real[Array, d],
):  # fmt: skip
    r"""Then $F(w) - F(w^*) = \frac12 (w - w^*)^\top A (w - w^*) + \lambda \sum_i (|w_i| - s_i w_i)$, with no negative
    term"""
    best, s = (1 - zero) * sign * size, zero * (2 * share - 1) + (1 - zero) * sign
    F = lasso(A, A @ best + lam * s, lam)
    return equal(F(w) - F(best), excess(A, lam, best, s)(w))


@optimality.control
def too_large_at_zero(a: Real[Array, ()], lam: Positive[Array, ()]):
    r"""Zero minimises $\frac12 w^2 - 1.05 \lambda w + \lambda |w|$, though its s would have to be 1.05"""
    F = lasso(jnp.ones((1, 1)), 1.05 * lam[None], lam)
    return at_most(F(jnp.zeros(1)), F(a[None]))


@optimality.true
def no_zero_subgradient_no_minimum(
    X: FullColumnRank[Array, n, d], y: Real[Array, n], lam: Positive[Array, ()], w: Real[Array, d]
):
    r"""Otherwise there is a smaller loss: a proximal step from w moves, to $w^+$, and gains $\frac L2 \|w^+ - w\|^2$ at
    least (with $L = \operatorname{tr} A$); it stays exactly where $0 \in \partial F(w)$"""
    A, b = X.T @ X, X.T @ y
    F, L = lasso(A, b, lam), jnp.trace(A)
    after = soft_threshold(w - (A @ w - b) / L, lam / L)
    return at_most(F(after) + L / 2 * jnp.sum((after - w) ** 2), F(w), scale=F(w) + y @ y)


@optimality.true
def median(rng):
    r"""The median minimises $\sum_i |x - a_i|$: no more than half of the signs are on either side, and no point is
    lower"""
    a = jnp.asarray(rng.standard_normal(31))
    middle, f = jnp.median(a), lambda x: jnp.sum(abs(x - a))
    points = jnp.concatenate([a, jnp.asarray(rng.standard_normal(200))])
    most = jnp.maximum(jnp.sum(a < middle), jnp.sum(a > middle))
    return at_most(most, 31 / 2), at_most(f(middle), jax.vmap(f)(points))


@optimality.true
def fixed_point(a: Real[Array, d], lam: Nonnegative[Array, ()], z: Real[Array, d]):
    r"""A step from $w = a$ to $w^+ = S_\lambda(a)$ leaves $a - w^+ \in \lambda \partial \|w^+\|_1$; so a proximal
    gradient step stays at w only if $0 \in \partial F(w)$"""
    after = soft_threshold(a, lam)
    return at_most(lam * jnp.sum(abs(after)) + (a - after) @ (z - after), lam * jnp.sum(abs(z)))


proximal = statement(
    "C4.34",
    HYP,
    r"Proximal gradient restores the rate $O(1/k)$ of smooth functions: $F(w_k) - F^* \le L R^2 / (2k)$.",
    r"The step has to be right: with $1/L$ the bound holds (with $4k$ in place of $2k$ even, which is attained); with "
    r"a step $\alpha > 2/L$ the iterates run away. Besides, the smooth part and the other are convex, the proximal "
    r"map is exact, and $F$ attains its minimum.",
)
STEPS = 20


def proximal_gradient(A, b, lam, start, rate):
    r"""Iterates of $w^+ = S_{\alpha \lambda}(w - \alpha (A w - b))$"""
    return iterates(lambda w: soft_threshold(w - rate * (A @ w - b), rate * lam), start, STEPS)


def gaps(A, lam, start, best, share, rate):
    r"""$F(w_k) - F^*$ for k = 1, 2, ..., by the formula that C4.30 proves, which loses no digits to cancellation"""
    s = subgradient_of_the_norm(best, share)
    return jax.vmap(excess(A, lam, best, s))(proximal_gradient(A, A @ best + lam * s, lam, start, rate)[1:])


@proximal.as_worded(at=[{"curvature": 1.0, "lam": 0.5, "start": 3.0, "alpha": 2.5}])
def any_step(
    curvature: Positive[Array, ()], lam: Positive[Array, ()], start: Real[Array, ()], alpha: Positive[Array, ()]
):
    r"""The bound for $\frac a2 w^2 + \lambda |w|$ with whatever step: $F(w_k) - F^* \le R^2 / (2 \alpha k)$"""
    above = gaps(curvature[None, None], lam, start[None], jnp.zeros(1), jnp.full(1, 0.5), alpha)
    return at_most(above, start**2 / (2 * alpha * jnp.arange(1.0, STEPS + 1)))


def linear_part_only(k, L=2.0):
    r"""The worst case: $F(w) = \lambda |w_1|$, of which the steps eat $\lambda / L$ each, with $\lambda = L R /
    (2k)$"""
    nothing = jnp.zeros(3)
    return {
        "A": jnp.zeros((3, 3)), "more": L, "lam": L / (2 * k), "start": jnp.array([1.0, 0.0, 0.0]),
        "size": nothing, "zero": jnp.ones(3), "share": jnp.full(3, 0.5),
    }  # fmt: skip


def within(constant, A, more, lam, start, size, zero, share):
    r"""$F(w_k) - F^* \le c L R^2 / k$"""
    best, L = (1 - zero) * size, jnp.linalg.eigvalsh(A)[-1] + more
    bounds = constant * L * jnp.sum((start - best) ** 2) / jnp.arange(1.0, STEPS + 1)
    return at_most(gaps(A, lam, start, best, share, 1 / L), bounds)


@proximal.true(at=lambda: map(linear_part_only, (1, 5, STEPS)))
def on_a_lasso(
    A: PositiveSemidefinite[Array, d, d], more: Positive[Array, ()], lam: Nonnegative[Array, ()], start: Real[Array, d],
    size: Real[Array, d], zero: Bit[Array, d], share: Share[Array, d],
):  # fmt: skip
    r"""$F(w_k) - F^* \le L R^2 / (4k)$ with the step $1/L$: twice as good as the claim, and attained by $\lambda
    |w|$"""
    return within(1 / 4, A, more, lam, start, size, zero, share)


@proximal.control(at=lambda: map(linear_part_only, (1, 5, STEPS)))
def too_strong(
    A: PositiveSemidefinite[Array, d, d], more: Positive[Array, ()], lam: Nonnegative[Array, ()], start: Real[Array, d],
    size: Real[Array, d], zero: Bit[Array, d], share: Share[Array, d],
):  # fmt: skip
    """The bound with a constant five percent too small"""
    return within(0.95 / 4, A, more, lam, start, size, zero, share)
