r"""Frequent questions about logistic regression.

Losses are means, labels are 0 or 1.

Source: ML Math Derivations, part 6, "FAQ"; Sur and Candes (2019) for many features.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm
from scipy.optimize import linprog
from scipy.special import expit

from jaxderiv.catalogue.classification import logistic
from jaxderiv.catalogue.notation import sigmoid, softmax
from jaxderiv.domains import Array, Bit, K, Positive, Real, n
from jaxderiv.ledger.logistic_regression.regularisation import mean_loss
from jaxderiv.ledger.notation import gradient_descent
from jaxderiv.theorem import HYP, NA, TRUE, at_most, close, equal, holds, statement

history = statement(
    "C6.69",
    NA,
    "The method is named after the logistic function, which was first used to regress a probability",
    "History, which no computation decides: Verhulst introduced the function in 1838 for the growth of populations",
)

likelihoods = statement(
    "C6.70",
    HYP,
    "The squared error is the negative log likelihood of Gaussians, cross-entropy that of Bernoulli variables",
    r"The mean squared error is so after the factor $N / (2 \sigma^2)$ and up to a constant, $\sigma$ known. The slope "
    "of both is mean minus observation: in the logit of Bernoulli variables, in the mean of Gaussians of variance 1",
)


def of_gaussians(z, y, s):
    return -jnp.sum(norm.logpdf(y, z, s))


@likelihoods.as_worded
def mean_squared_error(z: Real[Array, n], y: Real[Array, n]):
    """With variance 1 the negative log likelihood is the mean squared error"""
    return equal(of_gaussians(z, y, 1.0), jnp.mean((y - z) ** 2))


@likelihoods.true
def scaled(z: Real[Array, n], v: Real[Array, n], y: Real[Array, n], s: Positive[Array, ()]):
    r"""Its differences are $N / (2 \sigma^2)$ times the mean squared error's; with $\sigma = 1$ its slope is $z - y$"""
    error = lambda z: jnp.mean((y - z) ** 2)
    return (
        equal(of_gaussians(z, y, s) - of_gaussians(v, y, s), len(y) / (2 * s**2) * (error(z) - error(v))),
        equal(jax.grad(of_gaussians)(z, y, 1.0), z - y),
    )


@likelihoods.true
def bernoulli(z: Real[Array, ()], y: Bit[Array, ()]):
    r"""The negative log likelihood of y with $P(1) = \sigma(z)$ is the cross-entropy, with the slope $\sigma(z) - y$"""
    cost = lambda z: -jnp.log(y * sigmoid(z) + (1 - y) * sigmoid(-z))
    return equal(cost(z), logistic.pointwise(z, y)), equal(jax.grad(cost)(z), sigmoid(z) - y)


features = statement("C6.71", TRUE, "With features that are not linear in x, a linear classifier has curved boundaries")
CORNERS = np.array(list(itertools.product((-1.0, 1.0), repeat=2)))


def separable(features, signs):
    """Whether w and b exist with a margin of 1 at every point: a linear program."""
    A = -signs[:, None] * np.column_stack([features, np.ones(len(features))])
    return linprog(np.zeros(A.shape[1]), A, -np.ones(len(A)), bounds=(None, None)).status == 0


@features.true
def exclusive_or():
    """No line separates the corners of a square by the sign of x times y; with it as a third feature a plane does"""
    product = CORNERS[:, 0] * CORNERS[:, 1]
    answers = separable(CORNERS, product), separable(np.column_stack([CORNERS, product]), product)
    return holds(np.array(answers) == np.array([False, True]))


exclusive = statement(
    "C6.72", TRUE, "Softmax is for labels of which exactly one applies, sigmoids for labels of which any number may"
)


def over_all_subsets(z):
    """The sum, over all sets of labels, of the product of the sigmoids for being in or out."""
    subsets = jnp.array(list(itertools.product((-1.0, 1.0), repeat=len(z))))
    return jnp.sum(jnp.prod(sigmoid(subsets * z[None]), axis=1))


@exclusive.true
def what_sums_to_one(z: Real[Array, K]):
    """Softmax is a distribution over the labels, the sigmoids make one over the sets of labels"""
    return equal(jnp.sum(softmax(z)), 1.0), equal(over_all_subsets(z), 1.0)


@exclusive.control
def sigmoids_over_labels(z: Real[Array, K]):
    """The sigmoids sum to one over the labels"""
    return equal(jnp.sum(sigmoid(z)), 1.0)


grid = statement(
    "C6.73",
    NA,
    r"Choose $\lambda$ by cross-validation on a grid from $10^{-4}$ to $10^2$",
    "Advice. Which penalties matter depends on the scale of the features and on whether the loss is a mean",
)

convexity = statement(
    "C6.74",
    TRUE,
    r"The loss is convex, as every $\hat y (1 - \hat y)$ lies in $(0, \frac14]$, so that a local minimum is global",
)
convexity.line("classification/logistic", "curvature_along")


@convexity.true
def weights_of_the_hessian(z: Real[Array, ()], u: Real[Array, ()], y: Bit[Array, ()]):
    r"""$0 \le \ell'' \le \frac14$, and $\ell$ lies above its tangents, so above $\ell(z)$ where $\ell'(z) = 0$"""
    loss = lambda z: logistic.pointwise(z, y)
    curvature, tangent = jax.grad(jax.grad(loss))(z), loss(z) + jax.grad(loss)(z) * (u - z)
    return at_most(0.0, curvature), at_most(curvature, 0.25), at_most(tangent, loss(u))


calibrated = statement(
    "C6.75",
    HYP,
    "The probabilities of logistic regression are calibrated",
    "On the training data their mean is the share of ones, given an intercept that is not penalised; a penalty on it "
    "shifts the mean. With 400 features and 2000 observations the fitted logits are too large",
)


def mean_error(rng, penalise):
    """Mean probability less the share of ones, after a fit with penalty 0.1 to data with few ones."""
    X = np.column_stack([np.ones(200), rng.standard_normal((200, 2))])
    y, mask = 1.0 * (rng.random(200) < expit(X @ [-2.0, 1.0, 1.0])), jnp.array([penalise, 1.0, 1.0])
    rate = 1 / float(np.linalg.norm(X, 2) ** 2 / 800 + 0.1)
    loss = lambda w: mean_loss(w, X, y) + 0.05 * jnp.sum(mask * w**2)
    w = gradient_descent(loss, jnp.zeros(3), rate, 1000)[-1]
    return jnp.mean(sigmoid(jnp.asarray(X) @ w)) - np.mean(y)


@calibrated.as_worded
def with_everything_penalised(rng):
    """The mean error is 0 when the column of ones is penalised like the rest"""
    return close(mean_error(rng, 1.0), 0.0, 0.01)


@calibrated.true
def with_a_free_intercept(rng):
    """It is 0 when the intercept is not penalised"""
    return close(mean_error(rng, 0.0), 0.0, 1e-10)


def inflation(rng):
    """Slope of the fitted logits on the true ones: 2000 observations of 400 features, true logits of variance 4."""
    X, w = rng.standard_normal((2000, 400)), np.full(400, 0.1)
    y, fitted = 1.0 * (rng.random(2000) < expit(X @ w)), np.zeros(400)
    for _ in range(8):
        p = expit(X @ fitted)
        fitted = fitted - np.linalg.solve(X.T @ (X * (p * (1 - p))[:, None]), X.T @ (p - y))
    return w @ fitted / (w @ w)


@calibrated.as_worded
def with_many_features(rng):
    """With 400 features and 2000 observations the fitted logits have the slope 1 on the true ones"""
    return close(inflation(rng), 1.0, 0.05)


@calibrated.true
def over_confident(rng):
    """The slope is more than 1.05"""
    return at_most(1.05, inflation(rng))


everyone = statement(
    "C6.76",
    TRUE,
    "Every observation contributes to the gradient; to that of the hinge loss only those within the margin do",
)


@everyone.true
def slopes(z: Real[Array, ()], y: Bit[Array, ()], beyond: Positive[Array, ()]):
    r"""$|\hat y - y| = \sigma(-sz) > 0$ with $s = 2y - 1$, and $\max(0, 1 - sz)$ has the slope 0 beyond $sz = 1$"""
    s = 2 * y - 1
    hinge = lambda z: jnp.maximum(0.0, 1 - s * z)
    return equal(s * (y - sigmoid(z)), sigmoid(-s * z)), equal(jax.grad(hinge)(s * (1 + beyond)), 0.0)


@everyone.control
def hinge_within_the_margin(y: Bit[Array, ()], within: Positive[Array, ()]):
    """The slope of the hinge loss is 0 within the margin, too"""
    s = 2 * y - 1
    return equal(jax.grad(lambda z: jnp.maximum(0.0, 1 - s * z))(s * (1 - within)), 0.0)


praise = statement(
    "C6.77",
    NA,
    "Cross-entropy follows from maximum likelihood in two lines, and the logistic unit is what every neuron rests on",
    "How long a derivation is, and what underpins what, are matters of taste; C6.66 has the two lines",
)
