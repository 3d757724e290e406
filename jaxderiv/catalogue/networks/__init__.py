"""Neural networks: backpropagation, derived step by step."""
