"""Tokenizers of audio. One page per paper."""
