"""Recordings: files to waveforms to `tf.data`, and back."""
