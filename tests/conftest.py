"""Double precision, and no silent conversion: neither of types nor of ranks.

The settings hold for the whole process, so that shared fixtures trace under them too. A test that calls code
which needs JAX's ordinary promotion (optax's adam and lbfgs) is marked `lenient_promotion`; a fixture wider
than one test enters `jax.numpy_dtype_promotion("standard")` itself.
"""

import os

os.environ.setdefault("NPROC", "1")  # as the workers of `jaxderiv.verify.pool` have it, for the same reason

import jax
import pytest

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(autouse=True)
def promotion(request):
    """Strict promotion, or the ordinary one for a test marked `lenient_promotion`."""
    lenient = request.node.get_closest_marker("lenient_promotion") is not None
    with (
        jax.numpy_dtype_promotion("standard" if lenient else "strict"),
        jax.numpy_rank_promotion("allow" if lenient else "raise"),
    ):
        yield
