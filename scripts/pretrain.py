"""Pre-train TSFormer on synthetic series: the command `tsformer pretrain`.

python scripts/pretrain.py configs/pretrain_small.yaml --output results/pretrain_small
"""

from __future__ import annotations

import sys

from tsformer.cli import main

if __name__ == "__main__":
    sys.exit(main(["pretrain", *sys.argv[1:]]))
