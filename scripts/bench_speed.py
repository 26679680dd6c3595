"""How fast are training and forecasts, beside other packages that do the same work?

    pip install neuralforecast transformers
    python scripts/bench_speed.py

All take turns, each in a process of its own; what stands in the table are medians over the rounds,
as ratios to ours. Rounds in which something else kept the machine busy are done again. A package
that lives in another environment is named with its Python, `--python neuralforecast=PATH`. Writes
`speed.csv` and `speed.png` into the folder of results.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("GOMP_SPINCOUNT", "20000")  # see scripts/benchmark.py

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import pandas as pd
import torch
from speed_peers import CASES, PEERS

OURS, THEIRS = "tsformer", ["neuralforecast", "Hugging Face", "GluonTS"]
BUSY = 0.05  # of the machine, by others, from which on a round does not count
TRIES = 3  # of a round, before it counts after all
PRODUCTS = 6  # of which the fastest is the machine's peak


@dataclass(frozen=True)
class Work:
    """A piece of work, and who can do it."""

    title: str
    case: str
    name: str
    peers: list[str]
    steps: int | None = None  # of training

    @property
    def order(self) -> str:
        """What a process is told."""
        steps = {} if self.steps is None else {"steps": self.steps}
        return json.dumps({"case": self.case, "work": self.name, **steps})


WORKS = [
    Work("training step, small setting", "small", "train", THEIRS, 12),
    Work("training step, wide setting", "wide", "train", THEIRS[:2], 5),
    Work(
        "training step, 10,000 short series", "panel", "train", ["neuralforecast", "GluonTS"], 100
    ),
    Work("network over a test part", "small", "network", ["Hugging Face"]),
    Work("rolling forecasts, frame to frame", "small", "roll", ["neuralforecast"]),
    Work("10,000 forecasts, frame to frame", "panel", "forecast", ["neuralforecast", "GluonTS"]),
    Work(
        "100 steps and forecasts, frame to frame",
        "panel",
        "whole",
        ["neuralforecast", "GluonTS"],
        100,
    ),
]


class Machine:
    """What the machine did since the last look, in seconds of all its cores; Linux alone says."""

    def __init__(self) -> None:
        self.before = self._busy()

    def _busy(self) -> float | None:
        try:
            first = Path("/proc/stat").read_text().split("\n", 1)[0]
        except OSError:
            return None
        user, nice, system, _, _, *rest = (int(number) for number in first.split()[1:])
        return (user + nice + system + sum(rest[:3])) / os.sysconf("SC_CLK_TCK")

    def look(self) -> float | None:
        """Return how long the cores were busy."""
        now, before = self._busy(), self.before
        self.before = now
        return None if now is None or before is None else now - before


@dataclass
class Peer:
    """A process that works for us."""

    name: str
    python: str
    process: Any = field(init=False)

    def __post_init__(self) -> None:
        script = Path(__file__).with_name("speed_peers.py")
        self.process = subprocess.Popen(
            [self.python, script, self.name, str(torch.get_num_threads())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.process.stdout.readline()  # it has imported what it needs

    def do(self, work: Work) -> dict[str, float]:
        """Return what a piece of work took; `busy` is the share of others on the machine."""
        machine, began, spent = Machine(), time.perf_counter(), self._spent()
        self.process.stdin.write(work.order + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} failed at: {work.title}")
        wall, used, total = time.perf_counter() - began, self._spent() - spent, machine.look()
        share = 0.0 if total is None else (total - used) / (wall * (os.cpu_count() or 1))
        return json.loads(line) | {"busy": share}

    def _spent(self) -> float:
        """Return the seconds that the process has computed."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.wait()


def measure(work: Work, peers: list[Peer], rounds: int) -> list[dict[str, Any]]:
    """Return a row per package and round; all take turns."""
    rows = []
    for number in range(rounds):
        for attempt in range(TRIES):
            answers = {peer.name: peer.do(work) for peer in peers}
            busy = max(answer["busy"] for answer in answers.values())
            if busy < BUSY:
                break
            print(f"  others kept the machine busy ({busy:.0%}), once more: {attempt + 1}")
        for name, answer in answers.items():
            rows.append({"work": work.title, "package": name, "round": number, **answer})
    return rows


def matmul_peak() -> float:
    """Return the most products and sums a second that matrices of 2048 x 2048 reach here."""
    left, right = torch.randn(2, 2048, 2048)
    best = float("inf")
    for _ in range(PRODUCTS):
        began = time.perf_counter()
        torch.mm(left, right)
        best = min(best, time.perf_counter() - began)
    return 2 * 2048**3 / best


def share_of_peak(peer: Peer, rounds: int) -> float:
    """Return what training the wide network, without dropout, reaches of that, a median."""
    work = Work("", "wide", "train_without_dropout", [], 5)
    shares = []
    for _ in range(rounds):
        peak = matmul_peak()
        rate = CASES["wide"].flops / peer.do(work)["seconds"]
        shares.append(rate / max(peak, matmul_peak()))
    return statistics.median(shares)


def summarise(results: pd.DataFrame) -> pd.DataFrame:
    """Return medians by work and package: seconds, ratio to ours, memory in MB."""
    medians = results.groupby(["work", "package"], sort=False).median(numeric_only=True)
    ours = results[results["package"] == OURS].set_index(["work", "round"])["seconds"]
    keys = pd.MultiIndex.from_frame(results[["work", "round"]])
    paired = results.assign(ratio=results["seconds"].to_numpy() / ours.loc[keys].to_numpy())
    ratio = paired.groupby(["work", "package"], sort=False)["ratio"].median()
    table = pd.DataFrame({"seconds": medians["seconds"], "times_ours": ratio})
    first = results[results["round"] == 0]  # in a fresh process
    table["peak_mb"] = first.set_index(["work", "package"])["peak"] / 2**20
    table["imports_mb"] = medians["imported"] / 2**20
    return table.reset_index()


def draw(table: pd.DataFrame, path: Path) -> None:
    """Draw how many times as long each package takes."""
    works = list(dict.fromkeys(table["work"]))
    colours = dict(zip([OURS, *THEIRS], ["#0072b2", "#e69f00", "#009e73", "#cc79a7"], strict=True))
    figure, axes = plt.subplots(figsize=(7.5, 0.9 + 0.75 * len(works)), layout="constrained")
    for place, work in enumerate(works):
        rows = table[table["work"] == work]
        height = 0.8 / len(rows)
        for number, row in enumerate(rows.itertuples()):
            y = place + height * (number - (len(rows) - 1) / 2)
            axes.barh(y, row.times_ours, height * 0.9, color=colours[row.package])
            label = f"{row.times_ours:.1f}" if row.package != OURS else f"{row.seconds:.3g} s"
            axes.text(row.times_ours * 1.03, y, label, va="center", fontsize=8)
    axes.set(
        xscale="log",
        xlabel="time, as a multiple of tsformer's (log scale)",
        yticks=range(len(works)),
    )
    axes.set_yticklabels(works)
    axes.set_xlim(0.9, table["times_ours"].max() * 1.6)
    axes.xaxis.set_major_formatter(matplotlib.ticker.ScalarFormatter())
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    handles = [plt.Rectangle((0, 0), 1, 1, color=colours[name]) for name in colours]
    figure.legend(handles, colours, loc="outside upper center", ncols=4, frameon=False)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Measure, print a table, write it and draw it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", default=[], help="work whose title contains one")
    parser.add_argument("--output", type=Path, default=Path("results"))
    parser.add_argument(
        "--python", nargs="+", default=[], metavar="NAME=PATH", help="interpreters of packages"
    )
    given = parser.parse_args()
    pythons = dict(pair.split("=", 1) for pair in given.python)
    if unknown := [name for name in pythons if name not in PEERS]:
        parser.error(f"--python {unknown[0]}= is unknown; there are {', '.join(PEERS)}")
    chosen = [work for work in WORKS if not given.only or any(o in work.title for o in given.only)]

    rows: list[dict[str, Any]] = []
    for work in chosen:
        print(work.title, flush=True)
        peers = [Peer(name, pythons.get(name, sys.executable)) for name in (OURS, *work.peers)]
        rows += measure(work, peers, given.rounds)
        for peer in peers:
            peer.close()
    results = pd.DataFrame(rows)
    table = summarise(results)
    given.output.mkdir(parents=True, exist_ok=True)
    results.to_csv(given.output / "speed_rounds.csv", index=False)
    table.to_csv(given.output / "speed.csv", index=False)
    draw(table, given.output / "speed.png")
    print(f"\n{torch.get_num_threads()} threads, medians of {given.rounds} rounds")
    print(table.to_string(index=False, float_format="{:.3g}".format))
    if any(work.case == "wide" for work in chosen):
        peer = Peer(OURS, pythons.get(OURS, sys.executable))
        share = share_of_peak(peer, given.rounds)
        peer.close()
        print(f"\nwide setting without dropout: {share:.0%} of the machine's peak of products")


if __name__ == "__main__":
    main()
