"""The playable videos in memory: every list, page, search and order is taken from here.

Nothing here waits or reads a database; `listing` keeps it right.
"""

from __future__ import annotations

import json
import re
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise

from videoflix.catalogue.search import SearchIndex
from videoflix.catalogue.similar import similar
from videoflix.catalogue.words import folded, words
from videoflix.models import ListedVideo, isoformat

ORDERINGS: Mapping[str, Callable[[ListedVideo], tuple[object, ...]]] = {
    "created_at": lambda video: (video.created_at, video.id),
    "title": lambda video: (_natural(video.title), video.id),
    "duration": lambda video: (video.duration, video.id),
}

_NEWEST_FIRST = "-created_at"
_REMEMBERED = 64  # answers to different queries, kept until something changes
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Query:
    """What narrows and orders a list. `ordering`: a key of ORDERINGS, after `-` the other way round; "" is by rank
    for a search and newest first otherwise."""

    search: str = ""
    category: str = ""
    ordering: str = ""


@dataclass(frozen=True, slots=True)
class Category:
    """A category as most of its videos spell it, and how many it has."""

    name: str
    count: int


@dataclass(frozen=True, slots=True)
class Row:
    """A video as lists show it: ready-made JSON, cut where the address of this server belongs."""

    before: bytes
    after: bytes

    def with_more(self, **more: object) -> Row:
        """The same with further keys at its end."""
        return Row(self.before, self.after.removesuffix(b"}") + b"," + _json(more).removeprefix(b"{"))


class Shelf:
    """Videos by id. `version` differs whenever anything is different."""

    def __init__(self) -> None:
        self.version = 0
        self._videos: dict[int, ListedVideo] = {}
        self._rows: dict[int, Row] = {}
        self._index = SearchIndex()
        self._categories: defaultdict[str, set[int]] = defaultdict(set)  # by their folded name
        self._named: list[Category] | None = None
        self._keys: dict[str, dict[int, tuple[object, ...]]] = {ordering: {} for ordering in ORDERINGS}
        self._places: dict[str, dict[int, int]] = {}
        self._answers: OrderedDict[Query, tuple[int, ...]] = OrderedDict()

    def put(self, video: ListedVideo) -> None:
        """Take it in, or take in what is different now."""
        known = self._videos.get(video.id)
        if known == video:
            return
        if known is not None:
            self._unindex(known)
        self._videos[video.id] = video
        self._rows[video.id] = _row(video)
        self._index.add(video)
        self._categories[folded(video.category)].add(video.id)
        for ordering, key in ORDERINGS.items():
            self._sort_anew_if_other(ordering, video.id, key(video))
        self._changed()

    def discard(self, video_id: int) -> None:
        """Safe to repeat."""
        video = self._videos.pop(video_id, None)
        if video is not None:
            del self._rows[video_id]
            self._unindex(video)
            for keys in self._keys.values():
                del keys[video_id]
            self._changed()

    def get(self, video_id: int) -> ListedVideo | None:
        """None for what is not playable."""
        return self._videos.get(video_id)

    def ids(self) -> Collection[int]:
        """In no order."""
        return self._videos.keys()

    def choose(self, query: Query) -> Sequence[int]:
        """Ids in order."""
        known = self._answers.get(query)
        if known is None:
            known = self._answers[query] = tuple(self._answer(query))
            if len(self._answers) > _REMEMBERED:
                self._answers.popitem(last=False)
        self._answers.move_to_end(query)
        return known

    def rows(self, ids: Iterable[int]) -> list[Row]:
        """Ready-made, in the order of the ids; those that are not here are left out."""
        return [row for video_id in ids if (row := self._rows.get(video_id)) is not None]

    def newest_first(self) -> list[Row]:
        """Every row."""
        return self.rows(self._place(_NEWEST_FIRST))

    def categories(self) -> list[Category]:
        """By name, spelled as most of their videos spell it; videos without a category are in none."""
        if self._named is None:
            self._named = [
                Category(Counter(self._videos[video].category for video in members).most_common(1)[0][0], len(members))
                for name, members in sorted(self._categories.items())
                if name and members
            ]
        return self._named

    def similar(self, video: ListedVideo) -> list[int]:
        """See `videoflix.catalogue.similar`; equal ones newest first."""
        likeness = similar(video, self._in_category(video.category), len(self._videos), self._index)
        place = self._place(_NEWEST_FIRST)
        return sorted(likeness, key=lambda video_id: (-likeness[video_id], place[video_id]))

    def _answer(self, query: Query) -> Iterable[int]:
        found: Set[int] = self._videos.keys()
        weights: Mapping[int, int] = {}
        if query.search:
            weights = self._index.find(words(query.search))
            found = weights.keys()
        if query.category:
            found = self._in_category(query.category) & found
        ordered = self._in_order(found, query.ordering or _NEWEST_FIRST)
        if weights and not query.ordering:
            ordered.sort(key=weights.__getitem__, reverse=True)  # those of one weight stay newest first
        return ordered

    def _in_category(self, name: str) -> Set[int]:
        return self._categories.get(folded(name), frozenset()) if name else frozenset()

    def _in_order(self, found: Set[int], ordering: str) -> list[int]:
        place = self._place(ordering)
        if len(found) * 4 < len(place):
            return sorted(found, key=place.__getitem__)
        return [video_id for video_id in place if video_id in found]  # the quicker way to sort most of them

    def _place(self, ordering: str) -> Mapping[int, int]:
        """Where each video stands in this order, and perhaps some that are gone; made when it is first asked for."""
        if ordering not in self._places:
            key = self._keys[ordering.removeprefix("-")].__getitem__
            ordered = sorted(self._videos, key=key, reverse=ordering.startswith("-"))
            self._places[ordering] = {video_id: place for place, video_id in enumerate(ordered)}
        return self._places[ordering]

    def _sort_anew_if_other(self, ordering: str, video_id: int, key: tuple[object, ...]) -> None:
        if self._keys[ordering].get(video_id) != key:
            self._keys[ordering][video_id] = key
            self._places.pop(ordering, None)
            self._places.pop(f"-{ordering}", None)

    def _unindex(self, video: ListedVideo) -> None:
        self._index.remove(video)
        self._categories[folded(video.category)].discard(video.id)

    def _changed(self) -> None:
        self.version += 1
        self._answers.clear()
        self._named = None


def array(rows: Sequence[Row], server: str) -> bytes:
    """The rows as a JSON array, with the address of this server (`https://host`) in its places."""
    if not rows:
        return b"[]"
    between = (last.after + b"," + row.before for last, row in pairwise(rows))
    return _in_json(server).join([b"[" + rows[0].before, *between, rows[-1].after + b"]"])


def _row(video: ListedVideo) -> Row:
    before = {
        "id": video.id,
        "created_at": isoformat(video.created_at),
        "title": video.title,
        "description": video.description,
        "thumbnail_url": "",
    }
    after = {"category": video.category}
    return Row(
        _json(before).removesuffix(b'"}'),
        f'/media/thumbnails/{video.id}.jpg",'.encode() + _json(after).removeprefix(b"{"),
    )


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _in_json(text: str) -> bytes:
    return _json(text)[1:-1]


def _natural(title: str) -> str:
    """As people sort: `Part 2` comes before `Part 10`, and case and accents do not count."""
    return _DIGITS.sub(lambda number: number[0].zfill(10), folded(title))
