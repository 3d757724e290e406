"""Measures of how well predictions fit: computed on the host, with NumPy, on what a model returned."""
