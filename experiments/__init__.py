"""Experiments: one script makes one claim visible. `python -m experiments` lists them."""

import sys
from pathlib import Path

from experiments import interrupts

# Only where an experiment is the program (sys.argv[0] is "-m" while Python still looks for its module). So
# early, because Ctrl-C shall be answered while JAX is imported, too.
_program = Path(sys.argv[0]).resolve()
if sys.argv[0] == "-m" or (_program.suffix == ".py" and _program.parent == Path(__file__).resolve().parent):
    interrupts.answer()
