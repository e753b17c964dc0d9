"""What the site has promised, and what it did not keep."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field

from benchmarks.soak.films import Kind


@dataclass
class Promise:
    """A film whose upload was answered 201, or whose import ended well. `gone`: None when nobody knows."""

    id: int
    kind: Kind
    title: str
    gone: bool | None = False
    description: str | None = ""


@dataclass
class Record:
    """All actors write here."""

    films: dict[int, Promise] = field(default_factory=dict)
    perhaps: dict[str, Kind] = field(default_factory=dict)  # films of these titles may have come in: no answer came
    imported: dict[str, Kind] = field(default_factory=dict)  # by their titles
    counts: Counter[str] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)
    story: list[str] = field(default_factory=list)
    begun: float = field(default_factory=time.monotonic)

    def tell(self, what: str) -> None:
        """Something happened, or was made to."""
        self.story.append(f"{time.monotonic() - self.begun:7.2f} {what}")

    def count(self, what: str) -> None:
        """One more of them."""
        self.counts[what] += 1

    def complain(self, what: str) -> None:
        """Something is not as it should be."""
        self.tell(f"COMPLAINT {what}")
        self.complaints.append(what)

    def require(self, is_so: object, what: str) -> None:
        """Complain unless it is so."""
        if not is_so:
            self.complain(what)

    def there(self) -> list[Promise]:
        """Films that nobody has deleted, oldest first."""
        return [film for film in self.films.values() if film.gone is False]
