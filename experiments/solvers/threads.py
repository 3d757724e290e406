"""How many threads BLAS has."""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager

from threadpoolctl import ThreadpoolController


@functools.cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


def one_blas_thread() -> AbstractContextManager:
    """For code in which calls of BLAS, or of LAPACK by XLA, alternate with JAX's own programs.

    BLAS's threads wait busily for their next call, and take cores from JAX: two or three times as long, measured.
    """
    return _controller().limit(limits=1, user_api="blas")
