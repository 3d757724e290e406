"""``python -m jaxderiv`` is ``jaxderiv``."""

import sys

from jaxderiv.cli import main

if __name__ == "__main__":
    sys.exit(main())
