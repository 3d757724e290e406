"""What optax lacks, as optax transformations, and the direct solutions of least squares.

The transformations are used as `optax.lbfgs` is: ``update`` takes the keyword arguments ``value``, ``grad`` and
``value_fn``, and the data of the problem (``X=X, y=y, lam=lam``), which every formula takes **by name**. So the
formulas of the catalogue go in as they stand::

    optimiser = newton(logistic.hessian)                  # logistic.hessian(w, X, lam)
    updates, state = optimiser.update(g, state, w, value=f, grad=g, value_fn=logistic.loss, X=X, y=y, lam=lam)

Data are arguments of the update, not closures, so that one compiled program serves all data of one shape. float32 and
float64 are kept. Second-order methods take one array of any shape as parameter (a vector (d,), a matrix (d, K)),
first-order methods any pytree.

What optax has is used from there: `optax.sgd` (gradient descent; with ``momentum`` the heavy ball), `optax.adam`,
`optax.lbfgs`, `optax.scale_by_backtracking_linesearch`, `optax.scale_by_zoom_linesearch` and `optax.projections`.

Convention: ``scale_by_*`` return the ascent direction P g, as optax's do; the sign is turned and the step is
    damped behind them.
"""

from jaxderiv.optimisers.arguments import named
from jaxderiv.optimisers.direct import least_squares, ridge_path
from jaxderiv.optimisers.irls import irls, scale_by_irls
from jaxderiv.optimisers.linesearch import WolfeState, armijo, weak_wolfe
from jaxderiv.optimisers.momentum import (
    ExtrapolationState,
    extrapolation,
    heavy_ball_rates,
    nesterov,
    nesterov_momentum,
)
from jaxderiv.optimisers.newton import NewtonState, newton, regularised_newton, scale_by_newton
from jaxderiv.optimisers.newton_cg import NewtonCGState, newton_cg, scale_by_newton_cg
from jaxderiv.optimisers.proximal import (
    fista,
    prox_elastic_net,
    prox_l1,
    prox_norm,
    prox_squared_norm,
    proximal,
    proximal_gradient,
    soft_threshold,
)
from jaxderiv.optimisers.quasi_newton import BFGSState, bfgs, scale_by_bfgs
from jaxderiv.optimisers.stochastic import AverageState, BestState, best_iterate, polyak_ruppert, power_schedule
from jaxderiv.optimisers.trust_region import TrustRegionState, trust_region

__all__ = [
    "AverageState",
    "BFGSState",
    "BestState",
    "ExtrapolationState",
    "NewtonCGState",
    "NewtonState",
    "TrustRegionState",
    "WolfeState",
    "armijo",
    "best_iterate",
    "bfgs",
    "extrapolation",
    "fista",
    "heavy_ball_rates",
    "irls",
    "least_squares",
    "named",
    "nesterov",
    "nesterov_momentum",
    "newton",
    "newton_cg",
    "polyak_ruppert",
    "power_schedule",
    "prox_elastic_net",
    "prox_l1",
    "prox_norm",
    "prox_squared_norm",
    "proximal",
    "proximal_gradient",
    "regularised_newton",
    "ridge_path",
    "scale_by_bfgs",
    "scale_by_irls",
    "scale_by_newton",
    "scale_by_newton_cg",
    "soft_threshold",
    "trust_region",
    "weak_wolfe",
]
