"""`tsformer datasets`: what data sets there are, and their series as a file."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from typing import ClassVar

from tsformer.cli.command import FILE, Command, argument
from tsformer.cli.tables import check_output, write_table


@dataclass(frozen=True, kw_only=True)
class Datasets(Command):
    """List the data sets, describe one, or write it to a file.

    Args:
        name: of one data set; all are listed where not given.
        output: file to write, .csv or .parquet, or - for CSV on the standard output: the series of
            one data set, or the list.

    Examples:
        tsformer datasets
        tsformer datasets air_passengers
        tsformer datasets air_passengers --output - | tsformer predict -
    """

    group: ClassVar[str] = "what to show"

    name: str | None = argument("NAME", None)
    output: str | None = field(default=None, metadata=FILE)

    def run(self) -> int:
        """Print what is known, or write series."""
        check_output(self.output)
        from tsformer.data import list_datasets, load_dataset

        if self.name is not None:
            _check_name(self.name, list_datasets()["name"].tolist())
        if self.output is not None:
            write_table(load_dataset(self.name) if self.name else list_datasets(), self.output)
            return 0
        print(_described(self.name) if self.name else _listed())
        return 0


def _check_name(name: str, known: list[str]) -> None:
    """Raise a ValueError for a data set that does not exist, with those that may be meant."""
    if name in known:
        return
    close = [word for word in known if name.lower() in word] if len(name) > 1 else []
    close = (close or difflib.get_close_matches(name, known))[:3]
    hint = f"did you mean {' or '.join(map(repr, close))}? " if close else ""
    raise ValueError(f"there is no data set {name!r}; {hint}`tsformer datasets` lists them")


def _listed() -> str:
    from tsformer.data import list_datasets

    known = list_datasets()
    at_hand = known["available"].map({True: "yes", False: "no"})
    table = known[["name", "freq", "n_series"]].assign(**{"at hand": at_hand})
    table = table.assign(title=known["title"], licence=known["licence"])
    rows = [list(map(str, row)) for row in (table.columns, *table.to_numpy())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _described(name: str) -> str:
    """Return what the registry knows of a data set, a line each."""
    from tsformer.data import dataset_info, list_datasets

    info, known = dataset_info(name), list_datasets().set_index("name")
    shown = {
        "name": info.name,
        "title": info.title,
        "frequency": info.freq or "no dates",
        "season": f"{info.season_length} steps",
        "horizon": f"{info.horizon} steps",
        "series": info.n_series,
        "at hand": "yes" if known.loc[name, "available"] else "no",
        "licence": info.licence,
        "source": info.source,
        "origin": info.origin,
        "about": info.description,
    }
    return "\n".join(f"{key + ':':<11}{value}" for key, value in shown.items() if value != "")
