"""What is measured of text."""
