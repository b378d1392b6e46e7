"""What is measured of audio."""
