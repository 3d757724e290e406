r"""Momentum: Polyak's heavy ball.

L is the Lipschitz constant of the gradient, mu that of strong convexity, kappa = L / mu. Velocities start at zero.

Source: ML Math Derivations, part 4, "First-order methods"; the cycle: Lessard, Recht and Packard (2016), section 4.6.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxderiv.domains import Array, Nonnegative, Positive, Real, Share, UnitInterval, k
from jaxderiv.ledger.notation import quadratic
from jaxderiv.theorem import IMPR, TRUE, at_most, close, equal, statement

STEPS = 20

average = statement(
    "C4.47",
    IMPR,
    r"Momentum replaces the gradient by an average of the past gradients.",
    r"The weights of the past gradients do not sum to one but to $(1 - \beta^k) / (1 - \beta)$, ten in the long run "
    r"for $\beta = 0.9$: momentum also lengthens the step. Weighting the new gradient by $1 - \beta$ would make an "
    r"average.",
)


def velocity(gradients, alpha, beta):
    r"""$v_k$ of $v \leftarrow \beta v - \alpha g$, from zero"""
    return jax.lax.scan(lambda v, g: (beta * v - alpha * g, None), 0 * alpha, gradients)[0]


@average.as_worded
def within_the_gradients(g: Real[Array, k], beta: UnitInterval[Array, ()]):
    r"""An average is no larger than the largest: $|v_k| \le \alpha \max_i |g_i|$"""
    return at_most(abs(velocity(g, jnp.ones_like(beta), beta)), jnp.max(abs(g)))


@average.true
def geometric_weights(g: Real[Array, k], alpha: Positive[Array, ()], beta: UnitInterval[Array, ()]):
    r"""$\partial v_k / \partial g_i = -\alpha \beta^{k-i}$, and these weights sum to $-\alpha (1 - \beta^k) / (1 -
    \beta)$"""
    weights = jax.grad(velocity)(g, alpha, beta)
    powers = jnp.stack([beta**i for i in reversed(range(len(g)))])
    return equal(weights, -alpha * powers), equal(jnp.sum(weights), -alpha * (1 - beta ** len(g)) / (1 - beta))


heavy_ball = statement(
    "C4.48",
    TRUE,
    r"Heavy ball: $v_{k+1} = \beta v_k - \alpha \nabla f(x_k)$, $x_{k+1} = x_k + v_{k+1}$.",
)


@heavy_ball.true
def optax_momentum(rng):
    r"""Step by step the iterates of `optax.sgd(alpha, momentum=beta)`, here on $\sum \cosh(a_i^\top x)$"""
    A, x, alpha, beta = rng.normal(size=(4, 3)), rng.normal(size=3), 0.01, 0.9
    optimiser, theirs, v, apart = optax.sgd(alpha, momentum=beta), jnp.asarray(x), np.zeros(3), []
    state = optimiser.init(theirs)
    for _ in range(STEPS):
        v = beta * v - alpha * np.sinh(A @ x) @ A
        x = x + v
        update, state = optimiser.update(jax.grad(lambda x: jnp.sum(jnp.cosh(A @ x)))(theirs), state)
        theirs = optax.apply_updates(theirs, update)
        apart.append(abs(np.asarray(theirs) - x).max())
    return at_most(np.array(apart), 1e-12)


@heavy_ball.true
def best_rate_on_quadratics(mu: Positive[Array, ()], spread: Nonnegative[Array, ()], t: Share[Array, ()]):
    r"""With $\alpha = 4 / (\sqrt L + \sqrt\mu)^2$, $\beta = ((\sqrt\kappa - 1) / (\sqrt\kappa + 1))^2$ and a curvature
    $\lambda \in [\mu, L]$ both eigenvalues of the step have modulus $\sqrt\beta$: trace² ≤ 4 det, and det = $\beta$"""
    L = mu * (1 + spread) ** 2
    alpha, beta = 4 / (mu * (2 + spread) ** 2), (spread / (2 + spread)) ** 2
    f = quadratic(jnp.reshape(mu + t * (L - mu), (1, 1)))
    step = lambda x, v: (x + beta * v - alpha * jax.grad(f)(x), beta * v - alpha * jax.grad(f)(x))
    (a, b), (c, e) = (map(jnp.squeeze, row) for row in jax.jacobian(step, (0, 1))(jnp.ones(1), jnp.ones(1)))
    return at_most((a + e) ** 2, 4 * beta), equal(a * e - b * c, beta)


@heavy_ball.true
def cycle():
    r"""Beyond quadratics these $\alpha, \beta$ need not converge: a strongly convex function with $\mu = 1$, $L = 25$
    keeps them in a cycle of three, while gradient descent with $1/L$ arrives"""
    slope = lambda x: np.piecewise(
        x, [x < 1, (x >= 1) & (x < 2)], [lambda x: 25 * x, lambda x: x + 24, lambda x: 25 * x - 24]
    )
    x, v, descending, trace = np.array(3.3), np.array(0.0), np.array(3.3), []
    for _ in range(300):
        v = 4 / 9 * v - slope(x) / 9
        x, descending = x + v, descending - slope(descending) / 25
        trace.append(float(x))
    ends = np.sort(trace[-3:])
    periodic = close(np.array(trace[-3:]), np.array(trace[-6:-3]), 1e-12)
    return close(ends, np.array([-1.802, 0.647, 2.116]), 5e-4), periodic, at_most(abs(descending), 1e-4)
