"""Whether a loss is convex: proved where the derivation writes v'Hv as a sum of terms that are not negative.

A line ``curvature_along`` claims to be v'Hv; once that is proved, its sign is read off its program by interval
arithmetic, for all arguments in their domains. Where there is no such line, eigenvalues of the Hessian are sampled,
and a direction of negative curvature is told when high precision confirms it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jaxderiv.derivation import Derivation
from jaxderiv.verify.algebra import Floats, Unsupported
from jaxderiv.verify.interpreter import Interpreter
from jaxderiv.verify.intervals import Intervals, anywhere
from jaxderiv.verify.precise import Precise
from jaxderiv.verify.sweep import Sweep
from jaxderiv.verify.truth import Derivative, differentiate
from jaxderiv.verify.verdict import Evidence

LINE = "curvature_along"


def of_line(one: Sweep) -> Evidence | None:
    """Convexity, of a line `curvature_along` that is verified."""
    question, place = one.question, one.judgements[0].place
    values = [anywhere(question.domains.get(name), np.shape(place.values[name])) for name in question.leaves]
    try:
        with np.errstate(all="ignore"):
            (value,) = Interpreter(Intervals())(one.programs.hand(question, place), values)
    except Unsupported as error:
        return Evidence("curvature", f"the sign of v'Hv is not known: {error} is outside of interval arithmetic")
    low = float(np.min(value.low))
    if low >= 0:
        return Evidence("curvature", "convex: v'Hv is nowhere negative, by the signs of its terms", {"low": low})
    return Evidence("curvature", f"the sign of v'Hv is not known: its terms allow for {low:.3g}", {"low": low})


def of_samples(derivation: Derivation, sweeps: Sequence[Sweep]) -> Evidence | None:
    """A direction of negative curvature at one of the places, or the least eigenvalue that was met; None for a loss of
    several parameters or without a Hessian."""
    hessian = next((s for s in sweeps if s.question.what.kind in ("hessian", "hvp") and s.judgements), None)
    if hessian is None or len(derivation.parameters) != 1:
        return None
    question, programs = hessian.question, hessian.programs
    parameter = question.leaves.index(derivation.parameters[0])
    what = Derivative("hessian", (parameter,), (parameter,))
    least = np.inf
    for place in (j.place for j in hessian.judgements if j.place.kind == "generic"):
        args, program = question.arguments(place), programs.reference(question, place)
        with np.errstate(all="ignore"):
            (entries,) = differentiate(program, args, what, Floats())
        size = args[parameter].size
        H = np.asarray(entries).reshape(size, size)
        if not np.isfinite(H).all():
            continue
        values, vectors = np.linalg.eigh((H + H.T) / 2)
        least = min(least, float(values[0]))
        if values[0] < -1e-9 * np.abs(values).max():
            v = np.round(vectors[:, 0] * 64 / np.abs(vectors[:, 0]).max()) / 64
            (exact,) = differentiate(program, args, what, Precise(30))
            bend = float(v @ exact.reshape(size, size) @ v)
            if bend < 0:
                told = {question.leaves[i]: np.asarray(x).tolist() for i, x in enumerate(args)}
                w = np.asarray(args[parameter]).ravel().tolist()
                text = f"not convex: v'Hv = {bend:.4g} at {derivation.parameters[0]} = {w} along v = {v.tolist()}"
                return Evidence(
                    "curvature", f"{text} ({place.size_words})", {"at": told, "v": v.tolist(), "value": bend}
                )
    if np.isfinite(least):
        return Evidence("curvature", f"no negative curvature was met (least eigenvalue {least:.3g}); that is no proof")
    return None
