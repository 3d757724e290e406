"""Classification: losses of a label."""
