"""jaxderiv: a derivation is a program, and every line of it is checked against the line before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["DerivationError", "InputError", "attach", "check"]

if TYPE_CHECKING:
    from jaxderiv.attachment import attach
    from jaxderiv.errors import DerivationError, InputError
    from jaxderiv.report import check


def __getattr__(name: str):
    # Listing the catalogue must not import JAX, which takes a second.
    if name == "check":
        from jaxderiv.report import check

        return check
    if name == "attach":
        from jaxderiv.attachment import attach

        return attach
    if name in ("InputError", "DerivationError"):
        from jaxderiv import errors

        return getattr(errors, name)
    raise AttributeError(f"module 'jaxderiv' has no attribute {name!r}")
