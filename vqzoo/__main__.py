"""`python -m vqzoo`."""

import sys

from vqzoo.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
