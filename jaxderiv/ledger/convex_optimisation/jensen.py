r"""Jensen's inequality, and what machine learning makes of it: the divergence of Kullback and Leibler, and the ELBO.

A law is a vector of weights w on the rows of X. 0 log 0 is 0, and a divergence is infinite if p puts weight where q
puts none; inequalities between divergences are therefore written for exp(-KL), which is finite.

Source: ML Math Derivations, part 4, "Jensen's inequality".
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxderiv.domains import Array, K, Positive, Real, Simplex, UnitInterval, d, m
from jaxderiv.ledger.convex_optimisation.convex_functions import hyperbolas
from jaxderiv.theorem import HYP, IMPR, TRUE, at_most, close, equal, expectation, holds, statement

jensen = statement(
    "C4.19",
    TRUE,
    r"Jensen: $f(\mathrm E X) \le \mathrm E f(X)$ for convex $f$ and $X$ with a mean; the right side may be infinite.",
)


@jensen.true(sizes={"m": 6, "d": 3})
def of_finite_laws(w: Simplex[Array, m], X: Real[Array, m, d], A: Real[Array, m, d]):
    r"""$f(\sum_k w_k x_k) \le \sum_k w_k f(x_k)$ for a sum of hyperbolas f"""
    f = hyperbolas(A)
    return at_most(f(w @ X), w @ jax.vmap(f)(X))


@jensen.control
def concave(w: Simplex[Array, m], x: Positive[Array, m]):
    r"""Of $\log x$, which is concave, the opposite holds"""
    return at_most(jnp.log(w @ x), w @ jnp.log(x))


@jensen.true
def of_a_normal_law(rng):
    r"""$1 = e^{\mathrm E X} \le \mathrm E e^X = \sqrt e$ for a standard normal X, from 100 000 draws"""
    values = np.exp(rng.standard_normal(100_000))
    return expectation(values, np.exp(0.5)), at_most(1.0, np.mean(values))


@jensen.true
def with_an_infinite_side():
    r"""$P(X = 2^k) = 3 \cdot 4^{-k}$, $k \ge 1$: the mean is 3, the first n terms of $\mathrm E X^2$ add up to 3n"""
    k = np.arange(1.0, 61.0)
    weights = 3 * 4**-k
    return (
        close(weights.sum(), 1, 1e-12),
        close(weights @ 2**k, 3, 1e-12),
        close(np.cumsum(weights * 4**k), 3 * k, 1e-9),
    )


strictly = statement(
    "C4.20",
    TRUE,
    r"Jensen's inequality is strict if $f$ is strictly convex and $X$ is not constant (almost surely).",
)


@strictly.true
def by_the_variance(w: Simplex[Array, m], x: Real[Array, m]):
    r"""$\mathrm E e^X \ge e^{\mathrm E X} + \frac12 \min_k e^{x_k} \operatorname{Var} X$"""
    variance = w @ (x - w @ x) ** 2
    return at_most(jnp.exp(w @ x) + jnp.exp(jnp.min(x)) * variance / 2, w @ jnp.exp(x))


@strictly.true
def exactly_the_variance(w: Simplex[Array, m], x: Real[Array, m]):
    r"""For $f(x) = x^2$ the difference is the variance"""
    return equal(w @ x**2 - (w @ x) ** 2, w @ (x - w @ x) ** 2)


@strictly.control(at=[{"w": [0.5, 0.5], "x": [1.0, 2.0]}])
def affine_where_the_law_lives(w: Simplex[Array, m], x: Positive[Array, m]):
    r"""Without strictness: $|x|$ is affine on positive x, and the two sides are equal"""
    mean = w @ x
    return at_most(abs(mean) + 0.001 * (w @ (x - mean) ** 2), w @ abs(x))


proof = statement(
    "C4.21",
    IMPR,
    r"Jensen's inequality for finitely many values follows from the definition by induction; for a general law, "
    r"approximate.",
    but=r"An approximation has to be chosen so that both sides converge: the laws that put $1/n$ on $n$ and the rest "
    r"on 0 converge to the law of the constant 0, but their means are 1. No approximation is needed: take "
    r"expectations in $f(X) \ge f(\mathrm E X) + g^\top (X - \mathrm E X)$, where $g$ is the (sub)gradient at the "
    r"mean.",
)


def escaping(n):
    """The values and weights of a law that converges to the constant 0."""
    return np.array([0.0, n]), np.array([1 - 1 / n, 1 / n])


@proof.as_worded
def means_of_approximations():
    r"""If laws converge to that of X, so do their means: here to 0"""
    values, weights = escaping(1e6)
    return close(values @ weights, 0.0, 0.01)


@proof.true
def approximations_converge():
    r"""The laws do converge (bounded continuous functions have converging expectations), while $\mathrm E X_n^2 = n$"""
    values, weights = escaping(1e6)
    return (
        close(np.cos(values) @ weights, 1, 1e-5),
        close(np.arctan(values) @ weights, 0, 1e-5),
        close(values**2 @ weights, 1e6, 1e-3),
    )


@proof.true(sizes={"m": 6, "d": 3})
def supporting_line(x: Real[Array, d], mean: Real[Array, d], A: Real[Array, m, d]):
    r"""$f(x) \ge f(c) + \nabla f(c)^\top (x - c)$ at every x, for any c, also the mean"""
    f = hyperbolas(A)
    return at_most(f(mean) + jax.grad(f)(mean) @ (x - mean), f(x))


@proof.true
def expectation_of_the_line(w: Simplex[Array, m], X: Real[Array, m, d], A: Real[Array, m, d]):
    r"""The expectation of that line is $f(c)$ if c is the mean"""
    f, mean = hyperbolas(A), w @ X
    line = f(mean) + (X - mean[None]) @ jax.grad(f)(mean)
    return equal(w @ line, f(mean))


def log_ratio(p, q):
    r"""$\log(p_k / q_k)$, and 0 where $p_k = 0$"""
    return jnp.log(jnp.where(p > 0, p, 1.0)) - jnp.log(jnp.where(p > 0, q, 1.0))


def divergence(p, q):
    r"""$\mathrm{KL}(p\|q) = \sum_{p_k > 0} p_k \log(p_k / q_k)$"""
    return p @ log_ratio(p, q)


gibbs = statement(
    "C4.22",
    IMPR,
    r"$\mathrm{KL}(p\|q) \ge 0$, since it is at least $-\log \mathrm E_p[q/p] = 0$.",
    but=r"$\mathrm E_p[q/p]$ is the weight that $q$ puts where $p$ puts some, which is at most 1: the chain ends with "
    r"$\ge 0$. For $p = (1, 0)$ and $q = (\frac12, \frac12)$, $-\log \mathrm E_p[q/p] = \log 2$.",
)


@gibbs.as_worded(at=[{"p": [1.0, 0.0], "q": [0.5, 0.5]}])
def chain_ends_at_zero(p: Simplex[Array, K], q: Simplex[Array, K]):
    r"""$-\log \mathrm E_p[q/p] = 0$"""
    return at_most(abs(jnp.log(jnp.sum(jnp.where(p > 0, q, 0.0)))), 1e-9)


@gibbs.true
def chain(p: Simplex[Array, K], q: Simplex[Array, K]):
    r"""$e^{-\mathrm{KL}} \le \mathrm E_p[q/p] \le 1$"""
    shared = jnp.sum(jnp.where(p > 0, q, 0.0))
    return at_most(jnp.exp(-divergence(p, q)), shared), at_most(shared, 1.0)


@gibbs.true
def zero_only_if_equal(p: Simplex[Array, K], q: Simplex[Array, K]):
    r"""$\mathrm{KL} \ge \frac12 \|p - q\|_1^2$ (Pinsker), so that it is 0 only if $p = q$"""
    return at_most(jnp.exp(-divergence(p, q)), jnp.exp(-(jnp.sum(abs(p - q)) ** 2) / 2))


@gibbs.true
def ends_of_the_scale():
    r"""$\log 2$ in the example, on both ends of the chain; infinite if p puts weight where q puts none"""
    p, q = jnp.array([1.0, 0.0]), jnp.array([0.5, 0.5])
    shared = jnp.sum(jnp.where(p > 0, q, 0.0))
    return (
        close(-jnp.log(shared), 0.693, 5e-4),
        close(divergence(p, q), 0.693, 5e-4),
        holds(jnp.isinf(divergence(q, p))),
    )


elbo = statement(
    "C4.23",
    HYP,
    r"$\log p(x) \ge \mathrm E_q[\log p(x, z) - \log q(z)]$, and the gap is $\mathrm{KL}(q \| p(z|x))$.",
    but=r"The bound is finite only if $q$ puts no weight where $p(z|x) = 0$; otherwise it is "
    r"$-\infty$ and the gap infinite.",
)


def lower_bound(q, joint):
    r"""$\mathrm E_q[\log p(x, z) - \log q(z)]$, from the values $p(x, z)$ for all z"""
    return -q @ log_ratio(q, joint)


@elbo.true
def gap(q: Simplex[Array, K], prior: Simplex[Array, K], likelihood: UnitInterval[Array, K]):
    r"""$\log p(x) - \mathrm E_q[\log p(x, z) - \log q(z)] = \mathrm{KL}(q \| p(z|x))$, $p(x) = \sum_z p(z)\, p(x|z)$"""
    joint = prior * likelihood
    evidence = jnp.sum(joint)
    return equal(jnp.log(evidence) - lower_bound(q, joint), divergence(q, joint / evidence))


@elbo.true
def below_the_evidence(q: Simplex[Array, K], prior: Simplex[Array, K], likelihood: UnitInterval[Array, K]):
    r"""$\exp \mathrm E_q[\log p(x, z) - \log q(z)] \le p(x)$"""
    joint = prior * likelihood
    return at_most(jnp.exp(lower_bound(q, joint)), jnp.sum(joint))


@elbo.as_worded(at=[{"q": [0.5, 0.5], "prior": [1.0, 0.0], "likelihood": [0.5, 0.5]}])
def always_finite(q: Simplex[Array, K], prior: Simplex[Array, K], likelihood: UnitInterval[Array, K]):
    r"""The bound is a number for every q"""
    return holds(jnp.isfinite(lower_bound(q, prior * likelihood)))
