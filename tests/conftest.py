"""What holds for every test: few threads, checked shapes, a working directory left as it was.

And what several tests need: a folder of data sets, and a server that answers as it is told.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

# Read when the libraries are first imported, by subprocesses too; hence before the imports below.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["MPLBACKEND"] = "Agg"
os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(Path(__file__).parents[1] / ".hypothesis")

import hypothesis
import jaxtyping
import numpy as np
import pandas as pd
import pytest
import torch

torch.set_num_threads(1)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis.settings.load_profile("ci")

# Before the first import of tsformer: from here on, every call is checked against its annotations.
jaxtyping.install_import_hook(
    ["tsformer.types", "tsformer.nn", "tsformer.models"], "beartype.beartype"
)


def _data_folders() -> list[Path]:
    """Return the folders of TSFORMER_DATA, absolute: tests change the working directory."""
    named = os.environ.get("TSFORMER_DATA", "").split(os.pathsep)
    return [Path(folder).resolve() for folder in named if folder]


_DATA_FOLDERS = _data_folders()
if _DATA_FOLDERS:
    os.environ["TSFORMER_DATA"] = os.pathsep.join(map(str, _DATA_FOLDERS))


@pytest.fixture(autouse=True)
def working_directory(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Yield an empty working directory; the test fails when it leaves something there."""
    folder = tmp_path_factory.mktemp("working_directory")
    monkeypatch.chdir(folder)
    yield folder
    left = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    assert not left, f"the test left files in the working directory: {left}"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the first existing folder that TSFORMER_DATA names; without one, skip."""
    for folder in _DATA_FOLDERS:
        if folder.is_dir():
            return folder
    pytest.skip(f"TSFORMER_DATA names no existing folder of data sets: {_DATA_FOLDERS}")


class Server(ThreadingHTTPServer):
    """Answers on 127.0.0.1, and what was asked.

    Args:
        script: answers, each used once and the last for ever. An answer is an object for JSON, a
            text, a tuple of status, body and headers, None to hang up, or a function that makes one
            of these from the payload.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, *script: Any) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script = list(script)
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.payloads: list[dict[str, Any]] = []
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()
        self.closing = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def answer(self, path: str, headers: dict[str, str], payload: dict[str, Any]) -> Any:
        with self.lock:
            self.paths.append(path)
            self.headers.append(headers)
            self.payloads.append(payload)
            entry = self.script.pop(0) if len(self.script) > 1 else self.script[0]
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            return entry(payload) if callable(entry) else entry
        finally:
            with self.lock:
                self.at_once -= 1

    def close(self) -> None:
        self.closing.set()
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65_536  # head and body in one packet: the second would wait for 40 ms
    server: Server

    def do_POST(self) -> None:
        payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        entry = self.server.answer(self.path, dict(self.headers), payload)
        if entry is None:
            self.close_connection = True
            return
        status, body, headers = entry if isinstance(entry, tuple) else (200, entry, {})
        text = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(text)), **headers}.items():
            self.send_header(name, value)
            self.close_connection |= name == "Content-Length" and value != str(len(text))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


Serve = Callable[..., Server]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return a function that starts a server with a script; see `Server`."""
    servers: list[Server] = []

    def start(*script: Any) -> Server:
        servers.append(Server(*script))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


ENDPOINT = "http://localhost:8080/v1"  # as our pages call a server


def completions(payload: dict[str, Any]) -> dict[str, Any]:
    """Return the last values that were shown, again."""
    values = payload["prompt"].split(":")[-1].strip().rstrip(",").split(", ")[-12:]
    text = "".join(f" {value}," for value in values)
    choices = [{"text": text, "index": k} for k in range(payload.get("n", 1))]
    return {"model": payload["model"], "choices": choices}


@pytest.fixture
def run_snippet(
    serve: Serve, working_directory: Path
) -> Iterator[Callable[[str, dict[str, Any], str], None]]:
    """Yield a function that runs a block of code from a page, with the names of those before it.

    The server that the code names answers, and what the code writes is removed in the end.
    """

    def run(code: str, names: dict[str, Any], page: str) -> None:
        if ENDPOINT in code:
            code = code.replace(ENDPOINT, serve(completions).url)
        exec(compile(code, page, "exec"), names)

    yield run
    for left in working_directory.iterdir():
        shutil.rmtree(left) if left.is_dir() else left.unlink()


@pytest.fixture(scope="session")
def make_frame() -> Callable[..., Any]:
    """Return a function that makes a long frame of random walks; the same call, the same frame."""

    def make(
        ids: Sequence[Any] = ("b", "a"), length: int = 40, freq: str = "D", zone: str | None = None
    ) -> pd.DataFrame:
        values = np.random.default_rng(0).normal(size=(len(ids), length)).cumsum(axis=1)
        times = pd.date_range("2024-01-01", periods=length, freq=freq, tz=zone)
        return pd.DataFrame(
            {
                "unique_id": np.repeat(list(ids), length),
                "ds": np.concatenate([times] * len(ids)) if zone is None else [*times] * len(ids),
                "y": values.reshape(-1),
            }
        )

    return make
