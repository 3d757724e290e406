r"""What part 4's summary says once more, without the hypotheses.

Source: ML Math Derivations, part 4, "Summary".
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jax.scipy.stats import norm

from jaxderiv.domains import Array, Nonnegative, Positive, PositiveSemidefinite, Real, Share, UnitInterval, d, n
from jaxderiv.ledger.notation import gradient_descent, iterates, quadratic
from jaxderiv.theorem import FALSE, IMPR, at_most, close, equal, statement

# EM --------------------------------------------------------------------------------------------------------
mixtures = statement(
    "C4.109",
    FALSE,
    r"Algorithms of the EM kind reduce to convex problems.",
    but=r"Some of their M-steps do: given the responsibilities, the fit of the means is a weighted least-squares problem. "
    r"What is to be minimised in the end, the negative log-likelihood of the observations, is not convex: of 200 points "
    r"around $\pm 3$ it is 486 at the means $(-3, 3)$ and $(3, -3)$ and 1138 halfway between them.",
)
AROUND = np.concatenate([centre + np.linspace(-1.5, 1.5, 9) for centre in (-3.0, 3.0)])


def observed(means, x):
    """Negative log-likelihood of x under equal parts of two unit normals."""
    return -jnp.sum(logsumexp(norm.logpdf(x[:, None], means[None, :]) - jnp.log(2.0), axis=1))


def complete(means, x, share):
    """Of the M-step: negative log-likelihood with the two components weighed by their responsibilities."""
    parts = norm.logpdf(x[:, None], means[None, :])
    return -(share @ parts[:, 0] + (1 - share) @ parts[:, 1])


@mixtures.as_worded(at=[{"x": AROUND, "means": np.array([-3.0, 3.0])}])
def likelihood_is_convex(x: Real[Array, n], means: Real[Array, 2]):
    """Halfway between means and the same means in the other order the likelihood is no worse than at these"""
    return at_most(observed((means + means[::-1]) / 2, x), (observed(means, x) + observed(means[::-1], x)) / 2)


@mixtures.true
def names_do_not_matter(x: Real[Array, n], means: Real[Array, 2]):
    """Both orders of the means are worth the same, so neither minimum is the only one"""
    return equal(observed(means, x), observed(means[::-1], x))


@mixtures.true
def m_step_is_convex(x: Real[Array, n], a: Real[Array, 2], b: Real[Array, 2], share: Share[Array, n], t: Share[Array, ()]):
    """Given the responsibilities the chord lies above the negative log-likelihood"""
    f = lambda means: complete(means, x, share)
    chord = t * f(a) + (1 - t) * f(b)
    return at_most(f(t * a + (1 - t) * b), chord)


@mixtures.true
def m_step_is_a_weighted_mean(x: Real[Array, n], share: UnitInterval[Array, n]):
    r"""It is solved by $\mu_k = \sum_i r_{ik} x_i / \sum_i r_{ik}$"""
    means = jnp.stack([share @ x / jnp.sum(share), (1 - share) @ x / jnp.sum(1 - share)])
    return equal(jax.grad(complete)(means, x, share), jnp.zeros(2))
