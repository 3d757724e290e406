"""What goes wrong on the user's side. No traceback from deep inside JAX stands for a user's mistake."""


class InputError(ValueError):
    """The input is malformed: says what came, what is allowed, and what to write instead."""


class DerivationError(InputError):
    """A derivation file breaks a rule of its form: names file, function and cure."""
