"""Part 4: convex optimisation."""
