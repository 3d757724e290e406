"""Fast forms of the catalogue's formulas: each is a claim against the readable one, and is verified like any other."""
