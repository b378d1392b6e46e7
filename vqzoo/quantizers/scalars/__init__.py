"""Quantizers without a table, which round each channel separately."""
