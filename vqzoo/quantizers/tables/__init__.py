"""One table of codes, from which a token chooses a row."""
