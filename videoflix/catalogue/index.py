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

from videoflix.catalogue.search import SearchIndex, extract_words, fold
from videoflix.catalogue.similar import find_similar
from videoflix.models import ListedVideo, isoformat

ORDERINGS: Mapping[str, Callable[[ListedVideo], tuple[object, ...]]] = {
    "created_at": lambda video: (video.created_at, video.id),
    "title": lambda video: (_natural_sort_key(video.title), video.id),
    "duration": lambda video: (video.duration, video.id),
}

_NEWEST_FIRST = "-created_at"
_MAX_CACHED_QUERIES = 64  # answers to different queries, kept until something changes
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

    prefix: bytes
    suffix: bytes

    def with_fields(self, **fields: object) -> Row:
        """The same with further keys at its end."""
        return Row(self.prefix, self.suffix.removesuffix(b"}") + b"," + _encode_json(fields).removeprefix(b"{"))


class VideoIndex:
    """Videos by id. `version` differs whenever anything is different."""

    def __init__(self) -> None:
        self.version = 0
        self._videos: dict[int, ListedVideo] = {}
        self._rows: dict[int, Row] = {}
        self._search_index = SearchIndex()
        self._categories: defaultdict[str, set[int]] = defaultdict(set)  # by their folded name
        self._category_list: list[Category] | None = None
        self._sort_keys: dict[str, dict[int, tuple[object, ...]]] = {ordering: {} for ordering in ORDERINGS}
        self._ranks: dict[str, dict[int, int]] = {}
        self._query_cache: OrderedDict[Query, tuple[int, ...]] = OrderedDict()

    def put(self, video: ListedVideo) -> None:
        """Take it in, or take in what is different now."""
        known = self._videos.get(video.id)
        if known == video:
            return
        if known is not None:
            self._unindex(known)
        self._videos[video.id] = video
        self._rows[video.id] = _encode_row(video)
        self._search_index.add(video)
        self._categories[fold(video.category)].add(video.id)
        for ordering, key in ORDERINGS.items():
            self._update_sort_key(ordering, video.id, key(video))
        self._invalidate()

    def discard(self, video_id: int) -> None:
        """Safe to repeat."""
        video = self._videos.pop(video_id, None)
        if video is not None:
            del self._rows[video_id]
            self._unindex(video)
            for keys in self._sort_keys.values():
                del keys[video_id]
            self._invalidate()

    def get(self, video_id: int) -> ListedVideo | None:
        """None for what is not playable."""
        return self._videos.get(video_id)

    def ids(self) -> Collection[int]:
        """In no order."""
        return self._videos.keys()

    def select_ids(self, query: Query) -> Sequence[int]:
        """Ids in order."""
        known = self._query_cache.get(query)
        if known is None:
            known = self._query_cache[query] = tuple(self._run_query(query))
            if len(self._query_cache) > _MAX_CACHED_QUERIES:
                self._query_cache.popitem(last=False)
        self._query_cache.move_to_end(query)
        return known

    def get_rows(self, ids: Iterable[int]) -> list[Row]:
        """Ready-made, in the order of the ids; those that are not here are left out."""
        return [row for video_id in ids if (row := self._rows.get(video_id)) is not None]

    def rows_newest_first(self) -> list[Row]:
        """Every row."""
        return self.get_rows(self._get_ranks(_NEWEST_FIRST))

    def list_categories(self) -> list[Category]:
        """By name, spelled as most of their videos spell it; videos without a category are in none."""
        if self._category_list is None:
            self._category_list = [
                Category(Counter(self._videos[video].category for video in members).most_common(1)[0][0], len(members))
                for name, members in sorted(self._categories.items())
                if name and members
            ]
        return self._category_list

    def find_similar(self, video: ListedVideo) -> list[int]:
        """See `videoflix.catalogue.similar`; equal ones newest first."""
        likeness = find_similar(video, self._ids_in_category(video.category), len(self._videos), self._search_index)
        place = self._get_ranks(_NEWEST_FIRST)
        return sorted(likeness, key=lambda video_id: (-likeness[video_id], place[video_id]))

    def _run_query(self, query: Query) -> Iterable[int]:
        found: Set[int] = self._videos.keys()
        weights: Mapping[int, int] = {}
        if query.search:
            weights = self._search_index.find(extract_words(query.search))
            found = weights.keys()
        if query.category:
            found = self._ids_in_category(query.category) & found
        ordered = self._sort_ids(found, query.ordering or _NEWEST_FIRST)
        if weights and not query.ordering:
            ordered.sort(key=weights.__getitem__, reverse=True)  # those of one weight stay newest first
        return ordered

    def _ids_in_category(self, name: str) -> Set[int]:
        return self._categories.get(fold(name), frozenset()) if name else frozenset()

    def _sort_ids(self, video_ids: Set[int], ordering: str) -> list[int]:
        place = self._get_ranks(ordering)
        if len(video_ids) * 4 < len(place):
            return sorted(video_ids, key=place.__getitem__)
        return [video_id for video_id in place if video_id in video_ids]  # the quicker way to sort most of them

    def _get_ranks(self, ordering: str) -> Mapping[int, int]:
        """Where each video stands in this order, and perhaps some that are gone; made when it is first asked for."""
        if ordering not in self._ranks:
            key = self._sort_keys[ordering.removeprefix("-")].__getitem__
            ordered = sorted(self._videos, key=key, reverse=ordering.startswith("-"))
            self._ranks[ordering] = {video_id: place for place, video_id in enumerate(ordered)}
        return self._ranks[ordering]

    def _update_sort_key(self, ordering: str, video_id: int, key: tuple[object, ...]) -> None:
        if self._sort_keys[ordering].get(video_id) != key:
            self._sort_keys[ordering][video_id] = key
            self._ranks.pop(ordering, None)
            self._ranks.pop(f"-{ordering}", None)

    def _unindex(self, video: ListedVideo) -> None:
        self._search_index.remove(video)
        self._categories[fold(video.category)].discard(video.id)

    def _invalidate(self) -> None:
        self.version += 1
        self._query_cache.clear()
        self._category_list = None


def encode_array(rows: Sequence[Row], base_url: str) -> bytes:
    """The rows as a JSON array, with the address of this server (`https://host`) in its places."""
    if not rows:
        return b"[]"
    between = (last.suffix + b"," + row.prefix for last, row in pairwise(rows))
    return _escape_json(base_url).join([b"[" + rows[0].prefix, *between, rows[-1].suffix + b"]"])


def _encode_row(video: ListedVideo) -> Row:
    before = {
        "id": video.id,
        "created_at": isoformat(video.created_at),
        "title": video.title,
        "description": video.description,
        "thumbnail_url": "",
    }
    after = {"category": video.category}
    return Row(
        _encode_json(before).removesuffix(b'"}'),
        f'/media/thumbnails/{video.id}.jpg",'.encode() + _encode_json(after).removeprefix(b"{"),
    )


def _encode_json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _escape_json(text: str) -> bytes:
    return _encode_json(text)[1:-1]


def _natural_sort_key(title: str) -> str:
    """As people sort: `Part 2` comes before `Part 10`, and case and accents do not count."""
    return _DIGITS.sub(lambda number: number[0].zfill(10), fold(title))
