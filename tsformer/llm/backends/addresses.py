"""Addresses of servers, and what of them may be said."""

from __future__ import annotations

from urllib.parse import urlsplit


def split_url(url: str) -> tuple[str, str]:
    """Return the base of a server, below which its endpoints are, and the query with its mark.

    A URL without a path gets `/v1`, and one of an endpoint is cut before it.

    Raises:
        ValueError: for another kind of address, and for one that holds a password; it is not said.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError("url must begin with http:// or https:// and name a server")
    if "@" in parts.netloc:
        raise ValueError(
            f"url holds a user or a password before {parts.hostname}; set the key's environment "
            "variable instead"
        )
    path = parts.path.rstrip("/").removesuffix("/chat/completions").removesuffix("/completions")
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc}{path or '/v1'}", query
