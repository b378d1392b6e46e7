"""Tokens: shards and batches of them."""
