"""Regression: losses of a real-valued target."""
