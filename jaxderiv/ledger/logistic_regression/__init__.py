"""Part 6: logistic regression and classification."""
