"""What priors learn from: rows of tokens, from files, shards or tables."""
