"""Quantizers with one table of codes, whose tokens are row indices."""
