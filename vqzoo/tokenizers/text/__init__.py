"""Tokenizers of text. One page per paper."""
