"""Text data: files to pieces to `tf.data`, and word vectors."""
