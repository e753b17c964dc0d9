"""The progress of a request in Tornado's `RequestHandler`."""

from __future__ import annotations

from typing import Any

from tornado.web import RequestHandler, _has_stream_request_body


class ObservedHandler(RequestHandler):
    """A request handler that knows how far it is, and notices when it has ended without a response."""

    @property
    def is_finished(self) -> bool:
        """Whether the response is complete, or has been given up."""
        return self._finished

    @property
    def is_head_sent(self) -> bool:
        """Whether the head of the response has been handed to the connection."""
        return self._headers_written

    @property
    def reason(self) -> str:
        """The reason phrase of the response's status."""
        return self._reason

    def mark_finished(self) -> None:
        """Keep Tornado from sending anything more."""
        self._finished = True

    def handle_exception(self, error: BaseException) -> None:
        """Respond as if `error` had been raised by the handler's method. Call this in its `except` clause."""
        self._handle_request_exception(error)

    def on_unanswered(self) -> None:
        """Called when the handler has ended without a response."""

    async def _execute(self, transforms: list[Any], *args: bytes, **kwargs: bytes) -> None:
        """Called by Tornado for each request."""
        try:
            await super()._execute(transforms, *args, **kwargs)
        finally:
            if not self.is_finished:
                self.on_unanswered()


def streams_body(handler_class: type[RequestHandler]) -> bool:
    """Return whether handlers of this class get the body piece by piece, by `data_received`."""
    return _has_stream_request_body(handler_class)
