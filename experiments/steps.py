r"""Methods for which an optax transformation has no place: pure step functions, state -> state.

They run in `experiments.loops.iterate` (until a certificate) and `experiments.loops.follow` (recording every state),
which hand them their data by name. Steps that have options are frozen objects, made once: equal ones share a compiled
program.

Convention: the elastic net is $\frac12 \|y - Xw\|^2 + \lambda (\alpha \|w\|_1 + \frac{1 - \alpha}2 \|w\|^2)$, a *sum*
    over observations without intercept; $\alpha$ is ``l1_ratio``. X is (n, d), y (n,), w (d,).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from experiments.loops import Problem
from jaxderiv.errors import InputError
from jaxderiv.optimisers.arguments import named, within
from jaxderiv.optimisers.proximal import prox_l1, soft_threshold


def lasso_subgradient(w: jax.Array, X: jax.Array, y: jax.Array, lam) -> jax.Array:
    r"""$X^\top (Xw - y) + \lambda\, \mathrm{sign}(w)$: of all subgradients of the lasso that with 0 where $w_j = 0$"""
    return X.T @ (X @ w - y) + lam * jnp.sign(w)


def coordinate_descent(w: jax.Array, X: jax.Array, y: jax.Array, lam, l1_ratio=1.0) -> jax.Array:
    r"""One round of exact minimisations of the elastic net, along one coordinate after the other.

    $w_j \leftarrow S_{\lambda\alpha}(x_j^\top r^{(j)}) / (\|x_j\|^2 + \lambda(1 - \alpha))$, $r^{(j)} = y - \sum_{k \ne
    j} x_k w_k$. For a column of zeros w_j becomes 0 under a penalty, and stays as it is without. Costs O(nd).

    Source: Friedman, Hastie and Tibshirani, Regularization paths for generalized linear models via coordinate descent,
        J. Stat. Softw. 33 (2010); ML Math Derivations, part 5, "Lasso".
    """
    w, X = jnp.asarray(w), jnp.asarray(X)
    columns, squares = X.T, jnp.sum(X**2, axis=0)

    def along(j, carry):
        w, r = carry
        curvature = squares[j] + lam * (1 - l1_ratio)
        at_best = soft_threshold(columns[j] @ r + squares[j] * w[j], lam * l1_ratio)
        flat = curvature == 0
        best = jnp.where(flat, jnp.where(lam * l1_ratio > 0, 0.0, w[j]), at_best / jnp.where(flat, 1.0, curvature))
        return w.at[j].set(best), r - columns[j] * (best - w[j])

    return jax.lax.fori_loop(0, w.size, along, (w, y - X @ w))[0]


class AdmmState(NamedTuple):
    """State of `Admm`.

    Attributes:
        x: minimises the first function; z: the second; u: the scaled multiplier, y / rho.
        primal: |Ax - z|, how far the constraint is from being met.
        dual: rho |A'(z - z before)|, how far the stationarity is.
    """

    x: jax.Array
    z: jax.Array
    u: jax.Array
    primal: jax.Array
    dual: jax.Array


@dataclass(frozen=True)
class Admm:
    r"""One iteration of scaled ADMM for $f(x) + g(z)$ subject to Ax = z.

    $x_+ = \arg\min_x f(x) + \frac\rho2 \|Ax - z + u\|^2$; $z_+ = \mathrm{prox}_{g/\rho}(A x_+ + u)$; $u_+ = u + A x_+ -
    z_+$. The residuals are $r = A x_+ - z_+$ and $s = \rho A^\top (z_+ - z)$ (that is $\rho A^\top B (z_+ - z)$ with B
    = -I, up to the sign).

    Attributes:
        minimise_x: ``minimise_x(v, rho, **data)``, the minimiser of $f(x) + \frac\rho2 \|Ax - v\|^2$.
        prox: ``prox(v, t, **data)``, the proximal operator of g.
        image: ``image(x, **data)`` is Ax; x itself if None.

    The data need ``rho`` > 0. Start with ``start(x)``.

    Source: Boyd, Parikh, Chu, Peleato and Eckstein, Distributed optimization and statistical learning via ADMM (2011),
        section 3.1.1; ML Math Derivations, part 4, "ADMM".
    """

    minimise_x: Callable[..., jax.Array]
    prox: Callable[..., jax.Array]
    image: Callable[..., jax.Array] | None = None

    def start(self, x: jax.Array, **data: Any) -> AdmmState:
        """The state with u = 0 and z = Ax; it needs the data of the image only."""
        x = jnp.asarray(x)
        z, unknown = self._image(x, data), jnp.full((), jnp.inf, x.dtype)
        return AdmmState(x, z, jnp.zeros_like(z), unknown, unknown)

    def _image(self, x, data):
        return x if self.image is None else self.image(x, **named(self.image, data))

    def __call__(self, state: AdmmState, rho, **data: Any) -> AdmmState:
        known = {**data, "rho": rho}
        x = self.minimise_x(state.z - state.u, **named(self.minimise_x, known))
        Ax, transposed = jax.vjp(lambda x: self._image(x, known), x)
        z = self.prox(Ax + state.u, 1 / rho, **named(self.prox, known, given=2))
        dual = rho * jnp.linalg.norm(transposed(z - state.z)[0].ravel())
        return AdmmState(x, z, state.u + Ax - z, jnp.linalg.norm((Ax - z).ravel()), dual)


def gram_factor(X: jax.Array, rho) -> jax.Array:
    r"""The Cholesky factor of $X^\top X + \rho I$, taken once for all iterations: (d, d), or (B, d, d) for blocks.

    Raises:
        InputError: for rho <= 0 or empty data.
    """
    within("rho", rho, above=0)
    X = jnp.asarray(X)
    if not X.size:
        raise InputError(f"X has shape {X.shape}; allowed: (n, d) with n, d >= 1")
    gram = jnp.swapaxes(X, -1, -2) @ X
    return jnp.linalg.cholesky(gram + rho * jnp.eye(X.shape[-1], dtype=X.dtype))


def ridge_step(v: jax.Array, rho, X: jax.Array, y: jax.Array, factor: jax.Array) -> jax.Array:
    r"""$(X^\top X + \rho I)^{-1} (X^\top y + \rho v)$, the minimiser of $\frac12 \|y - Xx\|^2 + \frac\rho2 \|x -
    v\|^2$"""
    return jax.scipy.linalg.cho_solve((factor, True), X.T @ y + rho * v)


def block_ridge_steps(v: jax.Array, rho, X: jax.Array, y: jax.Array, factor: jax.Array) -> jax.Array:
    """`ridge_step` of each block of rows by itself: v is (B, d), X (B, m, d), y (B, m), factor (B, d, d)"""
    return jax.vmap(ridge_step, in_axes=(0, None, 0, 0, 0))(v, rho, X, y, factor)


def prox_consensus_l1(v: jax.Array, t, lam) -> jax.Array:
    r"""Of $\lambda \|z\|_1$ where all B rows are to be the same z: $S_{t\lambda/B}$ of the mean row, B times"""
    return jnp.broadcast_to(soft_threshold(v.mean(axis=0), t * lam / len(v)), v.shape)


def row_blocks(X: jax.Array, y: jax.Array, count: int) -> tuple[jax.Array, jax.Array]:
    """Consecutive rows in so many blocks: (B, m, d) and (B, m); the last ones are filled with rows of zeros, which
    leave every $X^\\top X$ and $X^\\top y$ as they are.

    Raises:
        InputError: for a count below 1 or above the number of rows.
    """
    n, d = X.shape
    if not 1 <= count <= n:
        raise InputError(f"count is {count}; allowed: 1 to {n}, the number of rows")
    height = -(-n // count)
    missing = height * count - n
    X, y = jnp.pad(jnp.asarray(X), ((0, missing), (0, 0))), jnp.pad(jnp.asarray(y), (0, missing))
    return X.reshape(count, height, d), y.reshape(count, height)


# The lasso by ADMM. The data are X, y, lam, rho and factor = gram_factor(X, rho); the point is z.
lasso_admm = Admm(ridge_step, prox_l1)
# The same, the rows of X, y = row_blocks(X, y, B) being in different places that agree on z; x, z and u are (B, d).
consensus_lasso_admm = Admm(block_ridge_steps, prox_consensus_l1)


class MiniBatchState(NamedTuple):
    """State of `MiniBatch`: the parameter, the state of the transformation and the key of the next draw."""

    params: jax.Array
    memory: Any
    key: jax.Array


@dataclass(frozen=True)
class MiniBatch:
    r"""One step of a stochastic method: an optax transformation fed with the gradient over B rows drawn at random.

    $x_+ = x - \alpha_k \frac1B \sum_{i \in b} \nabla f_i(x)$ with `optax.sgd`, for a loss that is a *mean* over
    observations (a sum would need the factor n/B).

    Attributes:
        problem: loss and gradient, as functions of all rows; they are called with the drawn ones.
        optimiser: any optax transformation, such as ``optax.chain(optax.sgd(schedule), polyak_ruppert())``.
        size: B, 1 or more.
        replace: whether a row may be drawn twice for one step.
        rows: the names of the data that have one row for each observation.

    Raises:
        InputError: for a size below 1; while tracing, without replacement, for one above the number of observations.
    """

    problem: Problem
    optimiser: optax.GradientTransformation
    size: int = 1
    replace: bool = True
    rows: tuple[str, ...] = ("X", "y")

    def __post_init__(self) -> None:
        if self.size < 1:
            raise InputError(f"size is {self.size}; allowed: 1 or more observations")

    def start(self, params: jax.Array, seed: int) -> MiniBatchState:
        """The state before the first step; the seed decides all draws."""
        params = jnp.asarray(params)
        return MiniBatchState(params, self.optimiser.init(params), jax.random.PRNGKey(seed))

    def __call__(self, state: MiniBatchState, **data: Any) -> MiniBatchState:
        key, now = jax.random.split(state.key)
        n = len(data[self.rows[0]])
        if self.replace:
            chosen = jax.random.randint(now, (self.size,), 0, n, jnp.int32)
        elif self.size <= n:
            chosen = jax.random.permutation(now, n)[: self.size]
        else:
            raise InputError(f"size is {self.size}; allowed: 1 to {n}, the number of observations")
        batch = {name: value[chosen] if name in self.rows else value for name, value in data.items()}
        loss, gradient = self.problem
        g = gradient(state.params, **named(gradient, batch))
        known = {"value": loss(state.params, **named(loss, batch)), "grad": g, "value_fn": loss}
        optimiser = optax.with_extra_args_support(self.optimiser)
        updates, memory = optimiser.update(g, state.memory, state.params, **known, **batch)
        return MiniBatchState(optax.apply_updates(state.params, updates), memory, key)


def params_of(state: MiniBatchState) -> jax.Array:
    """The point of `MiniBatch`: the last parameter"""
    return state.params


def average_of(state: MiniBatchState) -> jax.Array:
    """The point of `MiniBatch` with `polyak_ruppert`: the average"""
    return optax.tree.get(state.memory, "average")


def split_of(state: AdmmState) -> jax.Array:
    """The point of `Admm`: z, which has the zeros of a lasso; for `consensus_lasso_admm` it has a row for each block"""
    return state.z


def agreed_of(state: AdmmState) -> jax.Array:
    """The point of `consensus_lasso_admm`: the z that all blocks agree on, (d,)"""
    return state.z[0]
