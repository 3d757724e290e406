r"""Least squares: the model, its loss, the normal equations, and when they have one solution.

X is n by d, with a column of ones if the model has an intercept (so d counts it). The loss is half the *sum* of squared
residuals, $L(w) = \frac12 \|y - Xw\|^2$.

Source: ML Math Derivations, part 5, "Setup" and "Algebra"; Galton (1886), Table I.
"""

import jax
import jax.numpy as jnp
import numpy as np

from jaxderiv import data
from jaxderiv.domains import Array, FullColumnRank, Positive, Real, Symmetric, d, n
from jaxderiv.theorem import HYP, TRUE, at_most, close, equal, statement

# The model -------------------------------------------------------------------------------------------------
galton = statement(
    "C5.01",
    TRUE,
    r"Galton (1886): children of tall or short parents are, on average, nearer to the mean than their parents.",
)


def centred(x):
    return x - jnp.mean(x)


@galton.true
def galtons_table():
    r"""Slope 0.6463, correlation 0.4588, slope of parent on child 0.3256; the line meets child = parent at 67.69
    inches"""
    table = data.galton()
    parent, child = (np.repeat(x, table.counts) for x in (table.parent, table.child))
    slope, intercept = np.polyfit(parent, child, 1)
    figures = [slope, np.corrcoef(parent, child)[0, 1], np.polyfit(child, parent, 1)[0]]
    return close(figures, [0.6463, 0.4588, 0.3256], 5e-5), close(intercept / (1 - slope), 67.69, 5e-3)


@galton.true(at=lambda: [{"x": jnp.arange(7.0), "y": 2 * jnp.arange(7.0)}])
def in_units_of_deviation(x: Real[Array, n], y: Real[Array, n]):
    r"""In standardised units the slope is the correlation, either way, and $|r| \le 1$: $(u^\top v)^2 \le \|u\|^2
    \|v\|^2$"""
    u, v = centred(x), centred(y)
    return at_most((u @ v) ** 2, (u @ u) * (v @ v), scale=1e-300 + (x @ x) * (y @ y))


@galton.true
def slopes_of_both_regressions(w: Real[Array, 2], x: FullColumnRank[Array, n, 2]):
    r"""The slopes of $v$ on $u$ and of $u$ on $v$ (centred) multiply to $r^2$, so they are no inverses"""
    u, v = centred(x[:, 0]), centred(x[:, 1])
    newton = lambda f, w: w - jax.grad(f)(w) / jax.hessian(f)(w)
    forth, back = newton(lambda a: jnp.sum((v - a * u) ** 2), w[0]), newton(lambda a: jnp.sum((u - a * v) ** 2), w[1])
    return equal(forth * back * (u @ u) * (v @ v), (u @ v) ** 2)


@galton.control(at=lambda: [{"x": jnp.arange(7.0), "y": 2 * jnp.arange(7.0)}])
def in_any_units(x: Real[Array, n], y: Real[Array, n]):
    """A slope of at most one whatever the units"""
    u, v = centred(x), centred(y)
    return at_most(u @ v, u @ u)


bias = statement("C5.02", TRUE, r"A trailing feature of ones absorbs the intercept: $Xw + b = (X, 1)(w, b)$.")


@bias.true
def absorbed(X: Real[Array, n, d], w: Real[Array, d], b: Real[Array, ()]):
    r"""$Xw + b 1 = \begin{pmatrix} X & 1 \end{pmatrix} \begin{pmatrix} w \\ b \end{pmatrix}$"""
    return equal(X @ w + b, jnp.hstack([X, jnp.ones((len(X), 1))]) @ jnp.append(w, b))


predictions = statement("C5.03", TRUE, r"All predictions at once are $\hat y = Xw$.")


@predictions.true
def row_by_row(X: Real[Array, n, d], w: Real[Array, d]):
    r"""$\hat y_i = \sum_j w_j x_{ij}$"""
    return equal(jax.vmap(lambda row: jnp.sum(w * row))(X), X @ w)


# The loss --------------------------------------------------------------------------------------------------
half = statement(
    "C5.04",
    HYP,
    r"The factor $\frac12$ in front of the sum of squares changes nothing but the look of the gradient.",
    but=r"It leaves the minimiser alone as long as nothing is added to the loss. Beside a penalty it halves what the "
    r"data weigh: $\frac12 \|y - Xw\|^2 + \lambda \|w\|^2$ is minimised where $\|y - Xw\|^2 + 2 \lambda \|w\|^2$ "
    r"is; a mean instead of a sum divides by $n$ likewise.",
)


def minimiser(f, size):
    """Of a strictly convex quadratic function, by one step of Newton's method."""
    start = jnp.zeros(size)
    return -jnp.linalg.solve(jax.hessian(f)(start), jax.grad(f)(start))


def penalised(X, y, weight, penalty):
    """Minimiser of a weight times the sum of squares, plus a penalty times the squared norm."""
    return minimiser(lambda w: weight * jnp.sum((y - X @ w) ** 2) + penalty * (w @ w), X.shape[1])


@half.as_worded
def beside_a_penalty(X: Real[Array, n, d], y: Real[Array, n], lam: Positive[Array, ()]):
    r"""With $\lambda \|w\|^2$ added, too, the minimiser is the same with $\frac12$ and without"""
    return equal(penalised(X, y, 0.5, lam), penalised(X, y, 1.0, lam))


@half.true
def without_a_penalty(X: FullColumnRank[Array, n, d], y: Real[Array, n], weight: Positive[Array, ()]):
    """Any positive factor leaves the minimiser of the sum of squares alone"""
    return equal(penalised(X, y, weight, 0.0), jnp.linalg.solve(X.T @ X, X.T @ y))


@half.true
def with_the_penalty_rescaled(X: Real[Array, n, d], y: Real[Array, n], lam: Positive[Array, ()]):
    r"""$\frac12$ and $\lambda$ are 1 and $2 \lambda$, and are $\frac1n$ and $\frac{2 \lambda}{n}$"""
    halved = penalised(X, y, 0.5, lam)
    return equal(halved, penalised(X, y, 1.0, 2 * lam)), equal(halved, penalised(X, y, 1 / len(y), 2 * lam / len(y)))


expansion = statement("C5.05", TRUE, r"$L(w) = \frac12 (y^\top y - 2 y^\top X w + w^\top X^\top X w)$.")
expansion.line("regression/least_squares", "expansion")

rules = statement(
    "C5.06",
    TRUE,
    r"$\nabla (a^\top w) = a$, and $\nabla (w^\top A w) = 2 A w$ for symmetric $A$, $(A + A^\top) w$ in general.",
)


@rules.true
def of_a_linear_form(a: Real[Array, d], w: Real[Array, d]):
    r"""$\nabla (a^\top w) = a$"""
    return equal(jax.grad(lambda w: a @ w)(w), a)


@rules.true
def of_a_symmetric_form(A: Symmetric[Array, d, d], w: Real[Array, d]):
    r"""$\nabla (w^\top A w) = 2 A w$, $A = A^\top$"""
    return equal(jax.grad(lambda w: w @ A @ w)(w), 2 * A @ w)


@rules.true
def of_a_quadratic_form(A: Real[Array, d, d], w: Real[Array, d]):
    r"""$\nabla (w^\top A w) = (A + A^\top) w$"""
    return equal(jax.grad(lambda w: w @ A @ w)(w), (A + A.T) @ w)


@rules.control
def as_if_symmetric(A: Real[Array, d, d], w: Real[Array, d]):
    r"""$\nabla (w^\top A w) = 2 A w$ whatever $A$"""
    return equal(jax.grad(lambda w: w @ A @ w)(w), 2 * A @ w)


gradient = statement("C5.07", TRUE, r"$\nabla L(w) = X^\top (Xw - y)$.")
gradient.line("regression/least_squares", "gradient_by_observation", "gradient")
