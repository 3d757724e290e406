"""The evidence: from a claim to a verdict. One kind of evidence per module."""
