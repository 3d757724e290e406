"""Double precision, and no silent conversion: neither of types nor of ranks.

The settings hold for the whole process, so that shared fixtures trace under them too. A test that calls code
which needs JAX's ordinary promotion (optax's adam and lbfgs) is marked `lenient_promotion`; a fixture wider
than one test enters `jax.numpy_dtype_promotion("standard")` itself.

Nearly all of a test's time is the compilation of programs that run once, so LLVM does not optimise them; a test of what
optimised code makes of floating point is marked `optimised`. Workers also do without XLA's newer emitters of fused
loops, which take twice as long to compile. Commands that tests start run as for a user.

Compiled programs are kept for the run, since its workers, and the commands that tests start, compile many of the same;
in a new folder that goes with the run, so that nothing is taken over from another one and nothing is left among the
user's.
"""

import atexit
import functools
import os
import shutil
import signal
import tempfile

# A shell starts a command in the background with Ctrl-C ignored, and what that starts inherits it: the commands that
# tests interrupt would not hear of it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

os.environ.setdefault("NPROC", "1")  # as the workers of `jaxderiv.verify.pool` have it, for the same reason
if "PYTEST_XDIST_WORKER" not in os.environ:  # a worker inherits the folder
    kept = tempfile.mkdtemp(prefix="jaxderiv-tests-")
    atexit.register(shutil.rmtree, kept, ignore_errors=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = kept
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"  # for the reason that jaxderiv.compiled gives

import jax
import pytest

jax.config.update("jax_num_cpu_devices", 2)  # before anything asks for them; for what splits data over devices

_EMITTERS = "xla_cpu_use_fusion_emitters"
if "PYTEST_XDIST_WORKER" not in os.environ:
    try:  # a flag that XLA does not know would end the workers
        jax.jit(lambda: 0, compiler_options={_EMITTERS: False})()
        os.environ["JAXDERIV_TEST_FLAGS"] = f"--{_EMITTERS}=false"
    except jax.errors.JaxRuntimeError:
        pass
elif "JAXDERIV_TEST_FLAGS" in os.environ:
    own = os.environ.get("XLA_FLAGS")
    os.environ["XLA_FLAGS"] = f"{own or ''} {os.environ['JAXDERIV_TEST_FLAGS']}"
    jax.devices()  # XLA has read them
    del os.environ["XLA_FLAGS"]
    if own is not None:
        os.environ["XLA_FLAGS"] = own

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_disable_most_optimizations", True)
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


@pytest.fixture(autouse=True)
def optimisation(request, monkeypatch):
    """None, or the usual one for a test marked `optimised`; programs that were compiled the other way are forgotten."""
    none = request.node.get_closest_marker("optimised") is None
    if not none and "JAXDERIV_TEST_FLAGS" in os.environ:
        monkeypatch.setattr(jax, "jit", functools.partial(jax.jit, compiler_options={_EMITTERS: True}))
    if jax.config.read("jax_disable_most_optimizations") != none:
        jax.config.update("jax_disable_most_optimizations", none)
        jax.clear_caches()
