r"""Adam: its recursion, what its corrections do, and the convex problem that it fails on.

Steps are counted from k = 0, and both averages start at zero.

Source: ML Math Derivations, part 4, "Stochastic gradients"; Kingma and Ba (2015), algorithm 1; the failure and AMSGrad:
Reddi, Kale and Kumar (2018), theorems 1 to 3 and section 5; the regret of projected steps: Zinkevich (2003), theorem 1.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxderiv.domains import Array, Positive, Real, UnitInterval, k
from jaxderiv.theorem import FALSE, NA, TRUE, at_most, close, equal, statement

recursion = statement(
    "C4.53",
    TRUE,
    r"Adam: $m \leftarrow \beta_1 m + (1 - \beta_1) g$, $v \leftarrow \beta_2 v + (1 - \beta_2) g^2$, both corrected "
    r"by $1 - \beta^{k+1}$, and $x \leftarrow x - \alpha \hat m / (\sqrt{\hat v} + \varepsilon)$.",
)


def corrected(gradients, decay):
    r"""$\hat m_k$ for every k: the averages that start at zero, divided by $1 - \beta^{k+1}$"""
    out, m = [], 0 * gradients[0]
    for i, g in enumerate(gradients, start=1):
        m = decay * m + (1 - decay) * g
        out.append(m / (1 - decay**i))
    return jnp.stack(out)


def adam_steps(gradients, alpha, b1, b2, eps):
    r"""$-\alpha \hat m_k / (\sqrt{\hat v_k} + \varepsilon)$ for every k"""
    return -alpha * corrected(gradients, b1) / (jnp.sqrt(corrected(gradients**2, b2)) + eps)


@recursion.true
def optax_adam(rng):
    r"""Step by step the updates of `optax.adam`"""
    gradients, how = rng.normal(size=(30, 3)) * 10.0 ** rng.uniform(-9, 2, size=(30, 3)), (0.02, 0.8, 0.95, 1e-8)
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):  # optax's Adam needs them
        optimiser, theirs = optax.adam(*how), []
        state, step = optimiser.init(jnp.zeros(3)), jax.jit(optimiser.update)
        for g in gradients:
            update, state = step(jnp.asarray(g), state)
            theirs.append(update)
    return at_most(abs(jnp.stack(theirs) - adam_steps(jnp.asarray(gradients), *how)), 1e-12)


@recursion.true
def constant_gradient(g: Real[Array, ()], b1: UnitInterval[Array, ()], b2: UnitInterval[Array, ()]):
    r"""Of a constant gradient $\hat m_k = g$ and $\hat v_k = g^2$ at every k, which is what the correction is for"""
    gradients = jnp.stack([g] * 6)
    return equal(corrected(gradients, b1), gradients), equal(corrected(gradients**2, b2), gradients**2)


@recursion.control
def without_correction(g: Real[Array, ()], b1: UnitInterval[Array, ()]):
    r"""The uncorrected average of a constant gradient is that gradient"""
    return equal(b1 * ((1 - b1) * g) + (1 - b1) * g, g)


@recursion.true
def first_step_is_a_sign(g: Real[Array, k], alpha: Positive[Array, ()], eps: Positive[Array, ()]):
    r"""The first step is $-\alpha g / (|g| + \varepsilon)$: $-\alpha\, \mathrm{sign}\, g$ unless g is as small as
    $\varepsilon$"""
    return equal(adam_steps(g[None], alpha, 0.75, 0.875, eps)[0], -alpha * g / (abs(g) + eps))


@recursion.true
def blind_to_scale(rng):
    r"""With $\varepsilon = 0$ the steps for c f are those for f"""
    gradients = jnp.asarray(rng.normal(size=(10, 3)))
    steps = lambda c: adam_steps(c * gradients, 0.1, 0.9, 0.999, 0.0)
    return [at_most(abs(steps(c) - steps(1.0)), 1e-12) for c in (1e-6, 1e6)]


defaults = statement(
    "C4.54",
    NA,
    r"The defaults $\beta_1 = 0.9$, $\beta_2 = 0.999$, $\alpha = 10^{-3}$, $\varepsilon = 10^{-8}$ work well.",
    r"An experience with networks, not a statement about a class of functions.",
)

rate = statement(
    "C4.69",
    FALSE,
    r"On convex problems SGD and Adam converge at $O(1/\sqrt k)$.",
    r"For averaged projected SGD steps it holds. Adam can end at the *worst* point of a linear problem on an "
    r"interval: a rare large gradient is divided by the average that it has just raised. AMSGrad, which keeps the "
    r"largest $\hat v$, arrives.",
)
G, D = 10.0, 2.0  # bounds of the gradients, and the length of [-1, 1]


def periodic(alpha, length, correct=False, keep=False):
    r"""Iterates of Adam on [-1, 1] for the slopes 10, -1, -1, 10, ...: $\beta_1 = 0$, $\beta_2 = 1 / (1 + 10^2)$, step
    $\alpha / \sqrt t$; `keep`: AMSGrad"""
    decay = 1 / (1 + G**2)

    def step(state, now):
        x, v, largest = state
        t, g = now
        v = decay * v + (1 - decay) * g**2
        hat = v / (1 - decay**t) if correct else v
        largest = jnp.maximum(largest, hat) if keep else hat
        return (jnp.clip(x - alpha / jnp.sqrt(t) * g / jnp.sqrt(largest), -1.0, 1.0), v, largest), x

    slopes = jnp.tile(jnp.array([G, -1.0, -1.0]), length // 3)
    (x, _, _), before = jax.lax.scan(step, (jnp.zeros(()),) * 3, (jnp.arange(1.0, length + 1), slopes))
    return x, before, slopes


def regret(before, slopes):
    r"""$\sum_{t \le T} (g_t x_t - g_t u)$ against the u of [-1, 1] that is best for T, for every T"""
    return jnp.cumsum(slopes * before) + abs(jnp.cumsum(slopes))


@rate.as_worded
def regret_of_adam():
    r"""Adam's regret per step at $T = 6 \cdot 10^4$ is at most $\frac32 G D / \sqrt T$"""
    _, before, slopes = periodic(0.1, 60_000)
    return at_most(regret(before, slopes)[-1] / 60_000, 1.5 * G * D / 60_000**0.5)


@rate.true
def projected_steps(g: Real[Array, 20]):
    r"""Projected steps $\frac{D}{G \sqrt t} g_t$ on [-1, 1] have, whatever the slopes, a regret of at most $\frac32 G D
    \sqrt T$"""
    largest = jnp.max(abs(g))
    rates = D / (jnp.where(largest > 0, largest, 1.0) * jnp.sqrt(jnp.arange(1.0, len(g) + 1)))
    step = lambda x, now: (jnp.clip(x - now[0] * now[1], -1.0, 1.0), x)
    _, before = jax.lax.scan(step, 0 * largest, (rates, g))
    return at_most(regret(before, g), 1.5 * D * largest * jnp.sqrt(jnp.arange(1.0, len(g) + 1)))


@rate.true
def ends_of_adam_and_amsgrad():
    r"""After $6 \cdot 10^4$ steps Adam is at the worst point 1, corrected or not; AMSGrad at -0.9999 ($\alpha = 0.1$)
    and -0.9996 ($\alpha = 0.5$)"""
    adam = jnp.stack([periodic(0.1, 60_000, correct)[0] for correct in (False, True)])
    return (
        at_most(0.999, adam),
        close(periodic(0.1, 60_000, keep=True)[0], -0.9999, 5e-5),
        close(periodic(0.5, 60_000, keep=True)[0], -0.9996, 5e-5),
    )


@rate.true
def default_adam_on_noise(rng):
    r"""Slopes 1010 with probability 0.01 and -10 otherwise (mean 0.2, so -1 is optimal): Adam with its defaults drifts
    from 0 into the upper half; the mean of 100 runs is five of its standard errors above 0"""
    slopes = jnp.asarray(np.where(rng.random((60_000, 100)) < 0.01, 1010.0, -10.0))

    def step(state, now):
        (x, m, v), (t, g) = state, now
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        hat, size = m / (1 - 0.9**t), jnp.sqrt(v / (1 - 0.999**t))
        return (jnp.clip(x - 1e-3 * hat / (size + 1e-8), -1.0, 1.0), m, v), x

    _, trace = jax.lax.scan(step, (jnp.zeros(100),) * 3, (jnp.arange(1.0, len(slopes) + 1), slopes))
    late = jnp.mean(trace[len(trace) // 2 :], axis=0)
    return at_most(5 * jnp.std(late, ddof=1) / 10, jnp.mean(late))
