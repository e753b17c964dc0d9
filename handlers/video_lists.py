"""The base of all endpoints that respond with a list of videos."""

from __future__ import annotations

from collections.abc import Sequence

from handlers.base import ApiHandler
from videoflix.catalogue.index import Row
from videoflix.catalogue.index_sync import EncodedList, encode_list


class VideoArrayHandler(ApiHandler):
    """Responds with a JSON array of `VideoItem`. The items are cached in encoded form."""

    _etag: str | None = None

    async def respond_with_videos(self, video_ids: Sequence[int]) -> None:
        """Respond with those of the videos that are playable, in this order."""
        await self.respond_with_rows((await self.services.index_sync.get_index()).get_rows(video_ids))

    async def respond_with_rows(self, rows: Sequence[Row]) -> None:
        """Respond with these encoded videos."""
        self.respond_with_encoded(await encode_list(rows, self.public_url()))

    def respond_with_encoded(self, encoded: EncodedList) -> None:
        """Respond with a list that is encoded already, with its ETag."""
        self._etag = encoded.etag
        self.set_header("Content-Type", "application/json")
        self.finish(encoded.body)

    def compute_etag(self) -> str | None:
        """Return the ETag of the encoded list, or else Tornado's. Called by Tornado."""
        return self._etag or super().compute_etag()
