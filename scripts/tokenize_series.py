"""Show what a tokenizer makes of the series in a file: the command `tsformer tokenize`.

python scripts/tokenize_series.py demand.csv --tokenizer model.gguf --output tokens
"""

from __future__ import annotations

import sys

from tsformer.cli import main

if __name__ == "__main__":
    sys.exit(main(["tokenize", *sys.argv[1:]]))
