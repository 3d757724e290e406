r"""Convex analyses of stochastic methods: which of them hold.

In online convex optimisation a method meets the losses $f_1, f_2, \dots$ one by one; its regret is what it paid more
than the best fixed point would have. If it grows slower than T for every sequence, stochastic convergence follows.

Source: ML Math Derivations, part 4, "FAQ"; the sequence: Reddi, Kale and Kumar (2018); the bound for AdaGrad: Duchi,
Hazan and Singer (2011); the bound with momentum: Ghadimi, Feyzmahdavian and Johansson (2015).
"""

import jax
import jax.numpy as jnp

from jaxderiv.domains import Array, PositiveSemidefinite, Real, Share, UnitInterval, d, n
from jaxderiv.ledger.notation import iterates, quadratic
from jaxderiv.theorem import IMPR, at_most, statement

analyses = statement(
    "C4.99",
    IMPR,
    r"Adam, SGD with momentum and AdaGrad are analysed in the convex setting.",
    but=r"The analyses of AdaGrad and of momentum hold. That of Adam does not: on losses $10 x, -x, -x, 10 x, \dots$ "
    r"over $[-1, 1]$ it goes to 1, the worst point, and its regret grows like T. AMSGrad repairs it.",
)


def adam(count, amsgrad):
    r"""Adam's iterates (without momentum, $\beta_2 = 1 / 101$, steps $0.1 / \sqrt t$) and the gradients it meets."""

    def step(state):
        x, v, largest, t = state
        g = jnp.where(t % 3 == 1, 10.0, -1.0)
        v = v / 101 + 100 / 101 * g**2
        largest = jnp.maximum(largest, v) if amsgrad else v
        return jnp.clip(x - 0.1 / jnp.sqrt(t) * g / jnp.sqrt(largest), -1.0, 1.0), v, largest, t + 1

    x, _, _, t = iterates(step, (jnp.asarray(0.5), jnp.zeros(()), jnp.zeros(()), jnp.ones(())), count - 1)
    return x, jnp.where(t % 3 == 1, 10.0, -1.0)


def regret(x, g):
    r"""$\sum_t g_t x_t - \min_{|u| \le 1} \sum_t g_t u$, of linear losses on the interval from -1 to 1"""
    return g @ x + abs(jnp.sum(g))


@analyses.as_worded
def adams_regret_is_sublinear():
    """After ten times as many rounds the regret per round is at most half"""
    few, many = regret(*adam(600, False)) / 600, regret(*adam(6000, False)) / 6000
    return at_most(many, few / 2)


@analyses.true
def amsgrads_regret_is_sublinear():
    """With the largest denominator so far it is"""
    few, many = regret(*adam(600, True)) / 600, regret(*adam(6000, True)) / 6000
    return at_most(many, few / 2)


@analyses.true
def limits():
    """Adam ends within 0.01 of 1, the worst point, AMSGrad within 0.01 of -1, the best one"""
    return at_most(0.99, adam(6000, False)[0][-1]), at_most(adam(6000, True)[0][-1], -0.99)


@analyses.true(sizes={"n": 12})
def regret_of_adagrad(g: Real[Array, n]):
    r"""AdaGrad, with step $\sqrt2 / \sqrt{\sum_{s \le t} g_s^2}$ on $[-1, 1]$, has a regret of at most $2 \sqrt{2
    \sum_t g_t^2}$"""
    size = jnp.sqrt(jnp.cumsum(g**2) + 1e-30)
    step = lambda x, move: (jnp.clip(x - jnp.sqrt(2.0) * move, -1.0, 1.0), x)
    _, x = jax.lax.scan(step, jnp.zeros(()), g / size)
    return at_most(regret(x, g), 2 * jnp.sqrt(2 * jnp.sum(g**2) + 1e-30))


@analyses.true
def average_with_momentum(
    x: Real[Array, d], A: PositiveSemidefinite[Array, d, d], beta: UnitInterval[Array, ()], share: Share[Array, ()]
):
    r"""$f(\bar x) - f^* \le \frac{1}{T + 1} \left(\frac{1 - \beta}{2 \alpha} R^2 + \frac{\beta}{1 - \beta} (f(x_0) -
    f^*)\right)$ for the average of $x_0, \dots, x_T$ and $0 < \alpha \le (1 - \beta) / L$"""
    f = quadratic(A)
    rate = (0.01 + 0.99 * share) * (1 - beta) / (jnp.trace(A) + 1e-30)
    heavy_ball = lambda state: (state[0] + beta * (state[0] - state[1]) - rate * jax.grad(f)(state[0]), state[0])
    trace, _ = iterates(heavy_ball, (x, x), 15)
    bound = (1 - beta) / (2 * rate) * (x @ x) + beta / (1 - beta) * f(x)
    return at_most(16 * f(jnp.mean(trace, axis=0)), bound)
