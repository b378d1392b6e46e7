"""Shards and batches of tokens."""
