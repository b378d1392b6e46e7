"""What a prior of audio is asked for and makes."""
