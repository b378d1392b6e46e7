"""Generation of an autoregressive prior, step by step."""
