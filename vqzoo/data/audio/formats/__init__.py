"""What each format says of a recording before it is decoded: where it ends, and whether its lengths are true."""
