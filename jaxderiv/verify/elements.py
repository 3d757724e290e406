"""Elements of a field in the domains of a question's arguments: what is constrained is made of free variables."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from jaxderiv.domains import Domain, by_name
from jaxderiv.verify.field import Element, Field
from jaxderiv.verify.interpreter import Interpreter, trace
from jaxderiv.verify.question import Place, Question

_SCALAR_LABELS = by_name["Bit"], by_name["Sign"]
LABELS = (*_SCALAR_LABELS, by_name["OneHot"])


def labels_of(question: Question) -> list[str]:
    """The arguments that are labels: 0 and 1, signs, or classes."""
    return [name for name in question.leaves if isinstance(question.domains.get(name), LABELS)]


def element_at(question: Question, place: Place, field: Field, labels: dict[str, np.ndarray]) -> list:
    """An element of the field for every argument, in its domain by construction."""
    rng = np.random.default_rng(field.random.getrandbits(32))
    out: list = []
    for name, x in zip(question.leaves, question.arguments(place), strict=True):
        domain = question.domains.get(name)
        if not np.issubdtype(np.asarray(x).dtype, np.floating):
            out.append(x)
        elif name in labels:
            out.append(field.constant(labels[name]))
        elif domain is None or type(domain) in (by_name["Real"], by_name["Positive"], *_SCALAR_LABELS):
            out.append(field.variable(np.asarray(x)))
        else:
            if isinstance(domain, by_name["OneHot"]):
                domain = by_name["Simplex"](domain.shape)
            out.append(_constrained(domain, np.shape(x), field, rng))
    return out


def _constrained(domain: Domain, shape: tuple[int, ...], field: Field, rng: np.random.Generator) -> Element:
    free = rng.integers(-128, 129, domain.free_shape(shape)) / 64.0
    (value,) = Interpreter(field)(trace(domain.from_free, free), [field.variable(free)])
    return value


def label_patterns(question: Question, place: Place, names: list[str]) -> Iterator[dict[str, np.ndarray]]:
    """All values of these labels."""
    each = []
    for name in names:
        domain, shape = question.domains[name], np.shape(place.values[name])
        rows = int(np.prod(shape[: len(shape) - domain.axes], dtype=int))
        if isinstance(domain, by_name["OneHot"]):
            single: list = list(np.eye(shape[-1]))
        else:
            single = [
                0.0 if isinstance(domain, by_name["Bit"]) and not isinstance(domain, by_name["Sign"]) else -1.0,
                1.0,
            ]
        each.append(np.reshape(rowwise, shape) for rowwise in itertools.product(single, repeat=rows))
    for values in itertools.product(*each):
        yield dict(zip(names, values, strict=True))
