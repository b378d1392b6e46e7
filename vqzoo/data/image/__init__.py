"""Image data: files to arrays to `tf.data`, and back."""
