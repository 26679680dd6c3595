"""`tsformer tokenize`: series as text and tokens."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from tsformer.cli.command import Command, argument
from tsformer.cli.tables import read_table
from tsformer.files import write_text

if TYPE_CHECKING:
    from tsformer.llm.tokens import TokenizedPanel


@dataclass(frozen=True, kw_only=True)
class Tokenize(Command):
    """Show what a tokenizer makes of series: text, tokens, and what they cost.

    Args:
        file: CSV or Parquet, one row per series and time; - reads CSV from the standard input.
        tokenizer: folder, tokenizer.json or GGUF file of a language model, or nanogpt.
        settings: how values are written: llmtime-gpt3, llmtime-llama, plain-digits,
            pattern-machine or binned; the model's own way for nanogpt, else llmtime-gpt3.
        scaler: fitted to each series: quantile, minmax, standard, arcsinh or identity; quantile, or
            the model's own for nanogpt, where not given.
        price: of a million tokens, for a column of costs.
        output: folder for tokens.jsonl (per series: text, ids, where values begin and end) and
            cost.csv.

    Examples:
        tsformer tokenize demand.csv
        tsformer tokenize demand.csv --tokenizer model.gguf --price 0.5 --output tokens
    """

    group: ClassVar[str] = "how to tokenize"

    file: str = argument("FILE")
    tokenizer: str = "nanogpt"
    settings: str | None = None
    scaler: Literal["quantile", "minmax", "standard", "arcsinh", "identity"] | None = None
    price: float | None = None
    output: Path | None = None

    def run(self) -> int:
        """Print what it costs, and the first text; or write all."""
        frame = read_table(self.file)  # first: the imports take longer than a wrong name should
        from tsformer.llm.tokens import tokenize_series

        panel = tokenize_series(
            frame, self.tokenizer, self.settings, scaler=self.scaler, price=self.price
        )
        print(panel.cost.to_string(index=False))
        if self.output is None:
            first = panel.series[0]
            print(f"\n{first.name}: {first.text[:200]}{'…' if len(first.text) > 200 else ''}")
        else:
            _write(panel, self.output)
        return 0


def _write(panel: TokenizedPanel, folder: Path) -> None:
    """Write all that is needed to read the values back."""
    folder.mkdir(parents=True, exist_ok=True)
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
    write_text(folder / "tokens.jsonl", "\n".join(lines) + "\n")
    write_text(folder / "cost.csv", panel.cost.to_csv(index=False))
