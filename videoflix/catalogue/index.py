"""The index of all playable videos in memory, from which every list, page, search and order is served.

Nothing here waits or queries a database; `index_sync` keeps the index up to date.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise

from cachetools import LRUCache

from videoflix.catalogue.search import SearchIndex, extract_words, fold
from videoflix.catalogue.similar import find_similar
from videoflix.catalogue.video_item import video_item
from videoflix.models import ListedVideo

ORDERINGS: Mapping[str, Callable[[ListedVideo], tuple[object, ...]]] = {
    "created_at": lambda video: (video.created_at, video.id),
    "title": lambda video: (_natural_sort_key(video.title), video.id),
    "duration": lambda video: (video.duration, video.id),
}

_NEWEST_FIRST = "-created_at"
_MAX_CACHED_QUERIES = 64  # results, kept until something changes
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Query:
    """Filters and order of a list.

    `ordering` is a key of ORDERINGS, with `-` before it for descending; "" means by relevance for a search, and newest
    first otherwise.
    """

    search: str = ""
    category: str = ""
    ordering: str = ""


@dataclass(frozen=True, slots=True)
class Category:
    """A category in the spelling that most of its videos use, and its number of videos."""

    name: str
    count: int


@dataclass(frozen=True, slots=True)
class Row:
    """A video as JSON for lists, split where the base URL of this server is inserted."""

    prefix: bytes
    suffix: bytes

    def with_fields(self, **fields: object) -> Row:
        """Return the row with additional keys at the end."""
        return Row(self.prefix, self.suffix.removesuffix(b"}") + b"," + _encode_json(fields).removeprefix(b"{"))


class VideoIndex:
    """All playable videos by id. `version` changes with every change."""

    def __init__(self) -> None:
        self.version = 0
        self._videos: dict[int, ListedVideo] = {}
        self._rows: dict[int, Row] = {}
        self._search_index = SearchIndex()
        self._categories: defaultdict[str, set[int]] = defaultdict(set)  # ids by folded name
        self._category_list: list[Category] | None = None
        self._sort_keys: dict[str, dict[int, tuple[object, ...]]] = {ordering: {} for ordering in ORDERINGS}
        self._ranks: dict[str, dict[int, int]] = {}
        self._query_cache: LRUCache[Query, tuple[int, ...]] = LRUCache(_MAX_CACHED_QUERIES)

    def put(self, video: ListedVideo) -> None:
        """Add or update a video."""
        previous = self._videos.get(video.id)
        if previous == video:
            return
        if previous is not None:
            self._unindex(previous)
        self._videos[video.id] = video
        self._rows[video.id] = _encode_row(video)
        self._search_index.add(video)
        self._categories[fold(video.category)].add(video.id)
        for ordering, key in ORDERINGS.items():
            self._update_sort_key(ordering, video.id, key(video))
        self._invalidate()

    def discard(self, video_id: int) -> None:
        """Remove a video if it is in the index."""
        video = self._videos.pop(video_id, None)
        if video is not None:
            del self._rows[video_id]
            self._unindex(video)
            for keys in self._sort_keys.values():
                del keys[video_id]
            self._invalidate()

    def get(self, video_id: int) -> ListedVideo | None:
        """Return a video, or None if it is not playable or does not exist."""
        return self._videos.get(video_id)

    def ids(self) -> Collection[int]:
        """Return the ids of all videos, in no particular order."""
        return self._videos.keys()

    def select_ids(self, query: Query) -> Sequence[int]:
        """Return the ids of the matching videos, in order."""
        video_ids = self._query_cache.get(query)
        if video_ids is None:
            video_ids = self._query_cache[query] = tuple(self._run_query(query))
        return video_ids

    def get_rows(self, ids: Iterable[int]) -> list[Row]:
        """Return the rows of these videos in the order of the ids, without those that are not in the index."""
        return [row for video_id in ids if (row := self._rows.get(video_id)) is not None]

    def rows_newest_first(self) -> list[Row]:
        """Return all rows, newest first."""
        return self.get_rows(self._get_ranks(_NEWEST_FIRST))

    def list_categories(self) -> list[Category]:
        """Return all categories by name. Videos without a category are in none."""
        if self._category_list is None:
            self._category_list = [
                Category(Counter(self._videos[video].category for video in members).most_common(1)[0][0], len(members))
                for name, members in sorted(self._categories.items())
                if name and members
            ]
        return self._category_list

    def find_similar(self, video: ListedVideo) -> list[int]:
        """Return the ids of similar videos, the most similar first, then newest first.

        For the score see `videoflix.catalogue.similar`.
        """
        scores = find_similar(video, self._ids_in_category(video.category), len(self._videos), self._search_index)
        ranks = self._get_ranks(_NEWEST_FIRST)
        return sorted(scores, key=lambda video_id: (-scores[video_id], ranks[video_id]))

    def _run_query(self, query: Query) -> Iterable[int]:
        matching_ids: Set[int] = self._videos.keys()
        weights: Mapping[int, int] = {}
        if query.search:
            weights = self._search_index.find(extract_words(query.search))
            matching_ids = weights.keys()
        if query.category:
            matching_ids = self._ids_in_category(query.category) & matching_ids
        sorted_ids = self._sort_ids(matching_ids, query.ordering or _NEWEST_FIRST)
        if weights and not query.ordering:
            sorted_ids.sort(key=weights.__getitem__, reverse=True)  # stable: equal weights stay newest first
        return sorted_ids

    def _ids_in_category(self, name: str) -> Set[int]:
        return self._categories.get(fold(name), frozenset()) if name else frozenset()

    def _sort_ids(self, video_ids: Set[int], ordering: str) -> list[int]:
        ranks = self._get_ranks(ordering)
        if len(video_ids) * 4 < len(ranks):
            return sorted(video_ids, key=ranks.__getitem__)
        return [video_id for video_id in ranks if video_id in video_ids]  # faster for a large part of the index

    def _get_ranks(self, ordering: str) -> Mapping[int, int]:
        """Return the position of each video in this order, computed on first use. It may contain deleted videos."""
        if ordering not in self._ranks:
            key = self._sort_keys[ordering.removeprefix("-")].__getitem__
            sorted_ids = sorted(self._videos, key=key, reverse=ordering.startswith("-"))
            self._ranks[ordering] = {video_id: rank for rank, video_id in enumerate(sorted_ids)}
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
    """Return the rows as a JSON array with the base URL of this server (`https://host`) inserted."""
    if not rows:
        return b"[]"
    separators = (previous.suffix + b"," + row.prefix for previous, row in pairwise(rows))
    return _escape_json(base_url).join([b"[" + rows[0].prefix, *separators, rows[-1].suffix + b"]"])


def _encode_row(video: ListedVideo) -> Row:
    """Encode a video once for every base URL. Only a key is followed by `":"`, so that no text can look like one."""
    head, key, tail = _encode_json(video_item(video, base_url="")).partition(b'"thumbnail_url":"')
    return Row(head + key, tail)


def _encode_json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _escape_json(text: str) -> bytes:
    return _encode_json(text)[1:-1]


def _natural_sort_key(title: str) -> str:
    """Return a key that sorts `Part 2` before `Part 10` and ignores case and accents."""
    return _DIGITS.sub(lambda match: match[0].zfill(10), fold(title))
