"""Tokenizers of images. One page per paper."""
