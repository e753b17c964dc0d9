"""A minimal web page. Its files are public: what a user may do with it is decided by the API that it calls."""

from __future__ import annotations

from importlib import resources

from handlers.base import ApiHandler
from videoflix.errors import NotFound

_CONTENT_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}
_FILES = {
    file.name: (_CONTENT_TYPES[suffix], file.read_bytes())
    for file in resources.files(__package__).iterdir()
    if (suffix := file.name.rpartition(".")[2]) in _CONTENT_TYPES
}
# Only these files run as scripts, whatever a title contains (Content Security Policy, Level 3).
_CONTENT_SECURITY_POLICY = (
    "default-src 'self'; img-src 'self' data:; media-src 'self' blob:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


class WebUiHandler(ApiHandler):
    """GET / and GET /page/<name>: the page and the files that it loads."""

    metrics_label = "page"
    is_public = True

    def get(self, name: str = "page.html") -> None:
        """Send a file, by default the page itself. Raises NotFound."""
        if name not in _FILES:
            raise NotFound
        content_type, body = _FILES[name]
        self.set_header("Content-Type", f"{content_type}; charset=utf-8")
        self.set_header("Content-Security-Policy", _CONTENT_SECURITY_POLICY)
        self.set_header("Cache-Control", "no-cache")
        self.finish(body)
