"""What is measured of images."""
