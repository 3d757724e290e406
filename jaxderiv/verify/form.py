"""The form of a formula's result: the pytree, shapes and dtypes that JAX's own derivative has. Nothing is broadcast."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import jax
import numpy as np


def structure_problem(result: Any, want: Any, narrow: Collection[np.dtype] = ()) -> str | None:
    """How a result differs in structure, shape or dtype from what it ought to be; None if it does not.

    Args:
        narrow: dtypes that are right as well: those of the example, which is evaluated in float64.
    """
    got_tree: Any = jax.tree.structure(result)
    if got_tree != jax.tree.structure(want):
        return f"the result is {_shape_words(result)}; it should be {_shape_words(want)}"
    for path_and_leaf, target in zip(
        jax.tree_util.tree_flatten_with_path(result)[0], jax.tree.leaves(want), strict=True
    ):
        path, leaf = path_and_leaf
        where = f" at {jax.tree_util.keystr(path)}" if path else ""
        array = leaf if hasattr(leaf, "shape") else np.asarray(leaf)
        if array.shape != target.shape:
            return f"the result{where} has shape {array.shape}; it should have shape {target.shape}"
        if array.dtype != target.dtype and array.dtype not in narrow:
            return f"the result{where} has dtype {array.dtype}; it should have the parameter's, {target.dtype}"
    return None


def _shape_words(tree: Any) -> str:
    if isinstance(tree, dict):
        return "{" + ", ".join(f"{k}: {_shape_words(v)}" for k, v in tree.items()) + "}"
    if isinstance(tree, list | tuple):
        inside = ", ".join(_shape_words(x) for x in tree)
        return f"a {type(tree).__name__} of ({inside})"
    if hasattr(tree, "shape"):
        return f"an array of shape {tuple(tree.shape)}"
    return "None" if tree is None else f"a {type(tree).__name__}"


def same_numbers(got: list, true: list[np.ndarray]) -> str:
    """Whether only the layout is wrong."""
    try:
        flat = [np.concatenate([np.ravel(np.asarray(x, float)) for x in side]) for side in (got, true)]
    except (TypeError, ValueError):
        return ""
    if flat[0].shape == flat[1].shape and np.allclose(flat[0], flat[1], rtol=1e-6, atol=1e-12):
        return "; its numbers are right"
    if len(got) == len(true) == 1 and np.ndim(got[0]) == 2 and np.shape(got[0])[::-1] == true[0].shape:  # noqa: SIM102
        if np.allclose(np.asarray(got[0]).T, true[0], rtol=1e-6, atol=1e-12):
            return "; it is transposed: its numbers are right in the other layout"
    return ""
