"""Part 5: linear regression."""
