"""Three small files, sent to anybody; what the page may do is decided by the API that it calls."""

from __future__ import annotations

from importlib import resources

from handlers.base import ApiHandler

_TYPES = {"html": "text/html; charset=utf-8", "css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}
_FILES = {
    name: resources.files(__package__).joinpath(name).read_bytes() for name in ("page.html", "page.css", "page.js")
}
# Nothing but these files runs, whatever a title may hold (Content Security Policy, level 3).
_POLICY = (
    "default-src 'self'; img-src 'self' data:; media-src 'self' blob:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


class PageHandler(ApiHandler):
    """GET /, /page.css and /page.js."""

    public = True

    def get(self) -> None:
        """The page itself has no name."""
        name = self.request.path[1:] or "page.html"
        self.set_header("Content-Type", _TYPES[name.rpartition(".")[2]])
        self.set_header("Content-Security-Policy", _POLICY)
        self.set_header("Cache-Control", "no-cache")
        self.finish(_FILES[name])
