"""Metrics of audio."""
