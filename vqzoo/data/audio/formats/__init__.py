"""Audio formats: the end of a recording, and a check of its declared lengths, before decoding."""
