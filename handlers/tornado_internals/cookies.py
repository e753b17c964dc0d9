"""The cookie attribute `Partitioned` (CHIPS), which `http.cookies` knows from Python 3.14 on."""

from __future__ import annotations

from http.cookies import Morsel

from tornado.web import RequestHandler


def register_partitioned() -> None:
    """Have `http.cookies` accept and write the attribute. Idempotent."""
    Morsel._reserved.setdefault("partitioned", "Partitioned")  # type: ignore[attr-defined]
    Morsel._flags.add("partitioned")  # type: ignore[attr-defined]


def set_partitioned(handler: RequestHandler, name: str) -> None:
    """Add the attribute to a cookie that `handler.set_cookie` has set: Tornado's arguments do not include it."""
    handler._new_cookie[name]["partitioned"] = True
