"""What a prior of text is asked for and makes."""
