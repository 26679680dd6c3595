"""`tsformer tokenize`: series as text and tokens."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from tsformer.cli.command import FOLDER, UsageError
from tsformer.cli.outputs import check_folder
from tsformer.cli.series import SeriesCommand
from tsformer.files import write_text

if TYPE_CHECKING:
    import pandas as pd

    from tsformer.llm.tokens import TokenizedPanel


@dataclass(frozen=True, kw_only=True)
class Tokenize(SeriesCommand):
    """Show what a tokenizer makes of series: text, tokens, and what they cost.

    Args:
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

    tokenizer: str = "nanogpt"
    settings: str | None = None
    scaler: Literal["quantile", "minmax", "standard", "arcsinh", "identity"] | None = None
    price: float | None = None
    output: Path | None = field(default=None, metadata=FOLDER)

    def run(self) -> int:
        """Print what it costs, and the first text; or write all."""
        if self.target_col is not None and len(self.target_col) > 1:
            raise UsageError("--target_col must be one column, as a text has one value per time")
        if self.output is not None:
            check_folder(self.output, "output")
        frame = self.frame  # first: the imports take longer than a wrong name should
        if self.columns or self.freq is not None:
            frame = self._usual_columns(frame)
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

    def _usual_columns(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the series with the columns that need not be named."""
        import numpy as np
        import pandas as pd

        from tsformer.data.frame import Schema, read_panel

        panel, layout = read_panel(frame, Schema(**self.columns, freq=self.freq))
        numbers = range(len(panel))
        columns = {
            "unique_id": np.repeat(panel.ids, panel.lengths),
            "ds": np.concatenate([panel.times(number) for number in numbers]),
            "y": np.concatenate([panel.series(number)[0] for number in numbers]),
        }
        if layout.id_col is None:
            del columns["unique_id"]
        return pd.DataFrame(columns)


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
