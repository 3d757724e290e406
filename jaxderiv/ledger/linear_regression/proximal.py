r"""Problems with a kink and a solution in closed form: proximal operators.

The proximal operator of h takes a to the minimiser of $\frac12\|p - a\|^2 + h(p)$. The function is strongly convex, so
p is the minimiser exactly if zero is a subgradient there: $h(v) \ge h(p) + (a - p)^\top (v - p)$ for all v. Each
formula below is put to that test. S_t is soft thresholding: towards zero by t, and zero within t of it.

Source: ML Math Derivations, part 5, "Regularisation"; Parikh and Boyd, Proximal Algorithms (2014), chapter 6.
"""

import jax
import jax.numpy as jnp

from jaxderiv.domains import Array, FullColumnRank, K, Nonnegative, Positive, Real, Share, Simplex, d, n
from jaxderiv.ledger.notation import rotation, soft_threshold
from jaxderiv.theorem import IMPR, at_most, equal, holds, statement

closed_form = statement(
    "C5.26",
    IMPR,
    r"Unlike ridge regression the lasso has no closed form, because $|\cdot|$ has no derivative at zero.",
    but=r"With one feature, or with orthonormal columns, soft thresholding is the closed form. The kink is not what "
    r"is in the way: the proximal operators of $\|\cdot\|_1$, $\|\cdot\|_2$, the elastic net, the nuclear norm and of "
    r"a box or simplex have formulas too. It is the coupling of the coordinates by $X^\top X$ that leaves none.",
)


def lasso_loss(X, y, lam):
    r"""$F(w) = \frac12 \|y - Xw\|^2 + \lambda \|w\|_1$"""
    return lambda w: (y - X @ w) @ (y - X @ w) / 2 + lam * jnp.sum(abs(w))


def minimises(h, p, a, v):
    r"""$h(p) + (a - p)^\top (v - p) \le h(v)$: a - p is a subgradient of h at p, so p is the proximal point of a"""
    return at_most(h(p) + jnp.sum((a - p) * (v - p)), h(v), scale=h(p) + h(v) + jnp.sum(abs(a) * (abs(p) + abs(v))))


@closed_form.as_worded(at=[{"x": [1.0], "y": [3.0], "lam": 1.0}])
def no_formula_is_optimal(x: Real[Array, n], y: Real[Array, n], lam: Positive[Array, ()]):
    r"""With a kink in the penalty a formula, here $S_\lambda(x^\top y) / x^\top x$, misses the optimality condition"""
    w, square = soft_threshold(x @ y, lam) / (x @ x), x @ x
    correlation = x @ y - square * w  # of x and the residual; optimal: lam sign(w), or within lam of 0 where w is 0
    missed = jnp.where(w == 0, jnp.maximum(abs(correlation) - lam, 0.0), abs(correlation - lam * jnp.sign(w)))
    return holds(missed > 1e-6 * lam)


# The lasso, where it has one ----------------------------------------------------------------------------------
@closed_form.true
def one_feature(x: Real[Array, n], y: Real[Array, n], lam: Positive[Array, ()], v: Real[Array, ()]):
    r"""$w = S_\lambda(x^\top y) / x^\top x$ minimises $\frac12 \|y - xw\|^2 + \lambda |w|$"""
    F = lasso_loss(x[:, None], y, lam)
    return at_most(F(soft_threshold(x @ y, lam)[None] / (x @ x)), F(v[None]))


@closed_form.true
def orthonormal_design(u: Real[Array, 2, n], y: Real[Array, n], lam: Positive[Array, ()], v: Real[Array, 2]):
    r"""If $X^\top X = I$, then $w = S_\lambda(X^\top y)$ has $F(w) + \frac12 \|v - w\|^2 \le F(v)$ for every v"""
    X = rotation(u)[:, :2]  # two columns of a product of reflections
    F, w = lasso_loss(X, y, lam), soft_threshold(X.T @ y, lam)
    return at_most(F(w) + (v - w) @ (v - w) / 2, F(v))


@closed_form.control(at=[{"X": [[1.0, 1.0], [0.0, 1.0]], "y": [1.0, 1.0], "lam": 0.1, "v": [0.0, 1.3]}])
def dependent_design(X: FullColumnRank[Array, n, d], y: Real[Array, n], lam: Positive[Array, ()], v: Real[Array, d]):
    r"""The same formula with columns of length one that are not orthogonal"""
    X = X / jnp.sqrt(jnp.sum(X**2, axis=0, keepdims=True))
    F = lasso_loss(X, y, lam)
    return at_most(F(soft_threshold(X.T @ y, lam)), F(v))


# Proximal operators -------------------------------------------------------------------------------------------
@closed_form.true
def soft_thresholding(a: Real[Array, d], t: Positive[Array, ()], v: Real[Array, d]):
    r"""$p = S_t(a)$ minimises $M(p) = \frac12\|p - a\|^2 + t\|p\|_1$; by strong convexity
    $M(p) + \frac12\|v - p\|^2 \le M(v)$"""
    M, p = lambda p: jnp.sum((p - a) ** 2) / 2 + t * jnp.sum(abs(p)), soft_threshold(a, t)
    return at_most(M(p) + jnp.sum((v - p) ** 2) / 2, M(v))


@closed_form.control
def hard_thresholding(a: Real[Array, d], t: Positive[Array, ()], v: Real[Array, d]):
    r"""The same of the operator that keeps large entries as they are"""
    return minimises(lambda p: t * jnp.sum(abs(p)), jnp.where(abs(a) > t, a, 0.0), a, v)


@closed_form.true
def moreau_envelope(a: Real[Array, ()], t: Positive[Array, ()]):
    r"""The least value of $\frac12 (p - a)^2 + t|p|$ is Huber's function of a: it has a derivative, $a - S_t(a)$"""
    envelope = lambda a: (soft_threshold(a, t) - a) ** 2 / 2 + t * abs(soft_threshold(a, t))
    huber = jnp.where(abs(a) <= t, a**2 / 2, t * abs(a) - t**2 / 2)
    return equal(envelope(a), huber), equal(jax.grad(envelope)(a), jnp.clip(a, -t, t))


@closed_form.true
def norm(a: Real[Array, d], t: Positive[Array, ()], v: Real[Array, d]):
    r"""Of $t \|p\|_2$ (not squared): $\max(1 - t / \|a\|, 0)\, a$, all of it zero or nothing"""
    length = lambda x: jnp.sqrt(x @ x)
    return minimises(lambda p: t * length(p), jnp.maximum(1 - t / length(a), 0.0) * a, a, v)


@closed_form.true
def elastic_net(a: Real[Array, d], t: Positive[Array, ()], alpha: Share[Array, ()], v: Real[Array, d]):
    r"""Of $t (\alpha \|p\|_1 + \frac{1 - \alpha}2 \|p\|^2)$: $S_{t\alpha}(a) / (1 + t (1 - \alpha))$, first the kink,
    then the rest; at $\alpha = 0$ this is ridge regression's, which shrinks and never selects"""
    h = lambda p: t * (alpha * jnp.sum(abs(p)) + (1 - alpha) / 2 * (p @ p))
    return minimises(h, soft_threshold(a, t * alpha) / (1 + t * (1 - alpha)), a, v)


@closed_form.control
def elastic_net_in_the_wrong_order(
    a: Real[Array, d], t: Positive[Array, ()], alpha: Share[Array, ()], v: Real[Array, d]
):
    r"""The two maps composed the other way round: $S_{t\alpha}(a / (1 + t (1 - \alpha)))$"""
    h = lambda p: t * (alpha * jnp.sum(abs(p)) + (1 - alpha) / 2 * (p @ p))
    return minimises(h, soft_threshold(a / (1 + t * (1 - alpha)), t * alpha), a, v)


@closed_form.true(sizes={"n": 4, "d": 3})
def nuclear_norm(A: Real[Array, n, d], t: Positive[Array, ()], V: Real[Array, n, d]):
    r"""Of t times the sum of the singular values: soft thresholding of the singular values"""
    left, values, right = jnp.linalg.svd(A, full_matrices=False)
    P = (left * soft_threshold(values, t)[None, :]) @ right
    return minimises(lambda P: t * jnp.sum(jnp.linalg.svd(P, compute_uv=False)), P, A, V)


@closed_form.true
def box(a: Real[Array, d], low: Real[Array, d], width: Nonnegative[Array, d], share: Share[Array, d]):
    r"""Of a box (h is zero in it and infinite outside): every coordinate moves to the nearest point of its interval"""
    p, v = jnp.clip(a, low, low + width), low + share * width
    return at_most((a - p) * (v - p), 0.0 * a, scale=1 + a**2 + v**2)


def project_to_simplex(a):
    r"""$\max(a - \tau, 0)$ with the $\tau$ that makes the sum one: the largest of the candidates
    $(\sum_{j \in S} a_j - 1) / |S|$, S the k largest"""
    largest = (a[None, :] >= a[:, None]).astype(a.dtype)
    return jnp.maximum(a - jnp.max((largest @ a - 1) / jnp.sum(largest, axis=1)), 0.0)


@closed_form.true
def simplex(a: Real[Array, K], v: Simplex[Array, K]):
    r"""Of the simplex: $\max(a - \tau, 0)$, whose entries sum to one, and no v in the simplex is nearer"""
    p = project_to_simplex(a)
    return at_most(abs(jnp.sum(p) - 1), 1e-12 * (1 + jnp.sum(abs(a)))), at_most((a - p) @ (v - p), 0.0, scale=1 + a @ a)
