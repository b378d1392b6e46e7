"""Audio data: files to waveforms to `tf.data`, and back."""
