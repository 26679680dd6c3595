"""Run a benchmark suite: the command `tsformer benchmark`.

python scripts/benchmark.py configs/quick.yaml
"""

from __future__ import annotations

import sys

from tsformer.cli import main

if __name__ == "__main__":
    sys.exit(main(["benchmark", *sys.argv[1:]]))
