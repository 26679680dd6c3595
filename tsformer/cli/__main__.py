"""`python -m tsformer.cli` is the command `tsformer`."""

import sys

from tsformer.cli import main

if __name__ == "__main__":
    sys.exit(main())
