"""The command `tsformer`: what the package does, from the shell."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal


def tokenize(
    file: str,
    tokenizer: str = "nanogpt",
    settings: str | None = None,
    scaler: Literal["quantile", "minmax", "standard", "arcsinh", "identity"] | None = None,
    price: float | None = None,
    output: Path | None = None,
) -> None:
    """Show what a tokenizer makes of series: text, tokens, and what they cost.

    Args:
        file: CSV or Parquet, one row per series and time; - reads CSV from the standard input.
        tokenizer: folder, tokenizer.json or GGUF file of a language model, or nanogpt.
        settings: how values are written: llmtime-gpt3, llmtime-llama, plain-digits,
            pattern-machine or binned; the model's own way for nanogpt, else llmtime-gpt3.
        scaler: fitted to each series; quantile, or the model's own for nanogpt.
        price: of a million tokens, for a column of costs.
        output: folder for tokens.jsonl (per series: text, ids, where values begin and end) and
            cost.csv.
    """
    frame = _read(file)  # before the imports, which take longer than a wrong name should
    from tsformer.llm.tokens import tokenize_series

    panel = tokenize_series(frame, tokenizer, settings, scaler=scaler, price=price)
    print(panel.cost.to_string(index=False))
    if output is None:
        first = panel.series[0]
        print(f"\n{first.name}: {first.text[:200]}{'…' if len(first.text) > 200 else ''}")
        return
    output.mkdir(parents=True, exist_ok=True)
    lines = [
        json.dumps(
            {
                "unique_id": series.name,
                "text": series.text,
                "ids": series.ids,
                "begins": series.begins.tolist(),
                "ends": series.ends.tolist(),
                "scaler": series.scaler.to_json(),
            },
            ensure_ascii=False,
        )
        for series in panel.series
    ]
    _write(output / "tokens.jsonl", "\n".join(lines) + "\n")
    _write(output / "cost.csv", panel.cost.to_csv(index=False))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 1 after an error, of which one line is said."""
    from jsonargparse import CLI

    try:
        CLI({"tokenize": tokenize}, args=arguments, prog="tsformer")
    except (ImportError, OSError, TypeError, ValueError) as error:
        print(f"tsformer: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


def _read(file: str) -> object:
    """Return a file as a frame."""
    import pandas as pd

    if file == "-":
        return pd.read_csv(sys.stdin)
    reader = pd.read_parquet if file.endswith((".parquet", ".pq")) else pd.read_csv
    return reader(file)


def _write(path: Path, text: str) -> None:
    """Write the whole file or nothing."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, path)


if __name__ == "__main__":
    sys.exit(main())
