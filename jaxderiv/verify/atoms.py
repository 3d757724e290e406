"""What the variables and literals of a jaxpr hold. (JAX types their abstract values too loosely for a type checker.)"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np


def shape(atom: Any) -> tuple[int, ...]:
    return tuple(atom.aval.shape)


def dtype(atom: Any) -> np.dtype:
    return atom.aval.dtype


def is_float(atom: Any) -> bool:
    held = getattr(atom.aval, "dtype", None)
    return held is not None and bool(jnp.issubdtype(held, jnp.floating))
