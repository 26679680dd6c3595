"""Answers of servers on disk, so that no request is paid for twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tsformer.files import write_text


@dataclass(frozen=True)
class ResponseCache:
    """A folder with one JSON file per request.

    A file holds the payload and the answer. Its name is the SHA-256 of the request, the address
    included, which itself is written nowhere: its query may hold a secret.

    Args:
        folder: made when the first answer is stored.
    """

    folder: Path

    def path(self, request: Mapping[str, Any]) -> Path:
        """Return where the answer of a request is, or would be."""
        return self.folder / f"{hashlib.sha256(_canonical(request).encode()).hexdigest()}.json"

    def get(self, request: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the answer of a request; None where there is none, or its file is damaged."""
        try:
            kept = json.loads(self.path(request).read_text(encoding="utf-8"))
            same = _canonical(kept["payload"]) == _canonical(request["payload"])
            answer = kept["answer"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        return answer if same and isinstance(answer, dict) else None

    def put(self, request: Mapping[str, Any], answer: Mapping[str, Any]) -> None:
        """Store an answer; a reader sees all of it or nothing.

        Args:
            request: with at least the `payload`.
            answer: as parsed.
        """
        stored = json.dumps({"payload": request["payload"], "answer": answer})
        write_text(self.path(request), stored)


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
