"""Metrics of text."""
