"""Right and wrong derivations, most of them of losses that the catalogue does not hold.

Every wrong formula is a mistake that people make by hand; `cause` is the first of these that explains it:

scale    a constant factor, or a power of a size: a lost 2, a lost or doubled 1/n
sign     the whole result is negated
layout   a transpose, a permutation of axes, a reshape in the other order, a sum over the other axis
term     one addend is missing, halved, doubled, superfluous or of the wrong sign
chain    a factor is missing that is an argument or an intermediate of the loss, such as sigma'(z)
branch   one case of a piecewise function, or the wrong case of it, was used
path     something that depends on the parameter was held constant
where    only some entries are wrong, such as those off the diagonal or at the ends
unknown  none of these

A diagnosis may say less than `cause`, never something else: where `cause` is "unknown", naming one is an
error. Every formula passes JAX's strict dtype and rank promotion, and the right ones hold at all sizes at
which the loss is finite in exact arithmetic (`log_det_gram` needs n >= d, a standard deviation n > 1). Labels
index an axis of another argument, so a smaller axis needs smaller labels. A wrong formula with cause "branch"
agrees at points where no observation lies in the branch in question.
"""

from . import curvature, likelihoods, losses, matrices, networks, norms, rewritings, softmax
from .pair import Pair

MODULES = (matrices, norms, softmax, likelihoods, losses, networks, curvature, rewritings)
PAIRS = [pair for module in MODULES for pair in module.PAIRS]

__all__ = ["PAIRS", "Pair"]
