"""The cores of a CPU: as devices of JAX, and for products by threads that sleep when they are done."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import TypeVar

import jax
import numpy as np
from threadpoolctl import ThreadpoolController

T = TypeVar("T")
_WORTH = 2**22  # multiplications, from which on a product is shared
_MOST = 8  # threads
_SCALED = 2**18  # entries of rows that are scaled at once, at least


@functools.cache
def cores_as_devices() -> None:
    """Let JAX take each core for a device, so that `jaxderiv.kernels` can share rows among them.

    Programs that do not ask for that run on the first one with all cores, as ever. Their number is left as it is where
    ``jax_num_cpu_devices`` or XLA's flag for it is set, or JAX has begun to compute.
    """
    flagged = "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", "")
    if jax.config.jax_num_cpu_devices < 0 and not flagged:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        with contextlib.suppress(RuntimeError):
            jax.config.update("jax_num_cpu_devices", cores)


@functools.cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def one_blas_thread() -> AbstractContextManager:
    """For code in which calls of BLAS, or of LAPACK by XLA, alternate with JAX's own programs.

    BLAS's threads wait busily for their next call, and take cores from JAX: two or three times as long, measured.
    """
    return _controller().limit(limits=1, user_api="blas")


def product(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """A @ B, each thread some columns of B, for use with `one_blas_thread`."""
    parts = min(threads(), B.shape[1])
    if parts < 2 or len(A) * B.size < _WORTH:
        return A @ B
    found = np.empty((len(A), B.shape[1]))
    ends = np.linspace(0, B.shape[1], parts + 1).astype(int)
    at_once(functools.partial(np.matmul, A, B[:, a:b], out=found[:, a:b]) for a, b in itertools.pairwise(ends))
    return found


def gram(X: np.ndarray, weights: np.ndarray | None = None, ours: bool = True) -> np.ndarray:
    """X'X, or X' diag(weights) X. BLAS computes half of it, as it is symmetric.

    Args:
        ours: whether our threads share the rows, as in `summed_over_rows`.
    """
    d = X.shape[1]

    def of(rows: slice) -> np.ndarray:
        if weights is None:
            return X[rows].T @ X[rows]
        found, step = np.zeros((d, d)), max(_SCALED // d, d)
        for i in range(rows.start, rows.stop, step):
            some = slice(i, min(i + step, rows.stop))
            scaled = X[some] * np.sqrt(weights[some])[:, None]
            found += scaled.T @ scaled
        return found

    return summed_over_rows(of, len(X), d * X.size if ours else 0)


def summed_over_rows(of: Callable[[slice], np.ndarray], n: int, work: int) -> np.ndarray:
    """The sum of what a function makes of parts of the rows, one for each thread, for use with `one_blas_thread`.

    For tall X products are up to 1.6 times as fast as by BLAS's threads, but not while these wait for a next call.

    Args:
        work: multiplications in all; few are not shared.
    """
    ends = np.linspace(0, n, (threads() if work >= _WORTH else 1) + 1).astype(int).tolist()
    return sum(at_once(functools.partial(of, slice(*pair)) for pair in itertools.pairwise(ends)))


def threads() -> int:
    return min(os.cpu_count() or 1, _MOST)


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads())


def at_once(tasks: Iterable[Callable[[], T]]) -> list[T]:
    """The first on this thread, each of the others on one of its own."""
    first, *others = tasks
    begun = [_pool().submit(task) for task in others]
    return [first(), *(task.result() for task in begun)]
