"""Quantizers made of other quantizers."""
