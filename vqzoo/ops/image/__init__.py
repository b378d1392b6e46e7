"""Numbers of images."""
