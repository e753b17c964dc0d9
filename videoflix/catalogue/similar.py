"""Similar videos: those of the same category, and those that share characteristic words.

Only the texts of videos are compared, because nothing else is known about their content. A video that has nothing in
common with any other has no similar videos: the list is never padded.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping

from videoflix.catalogue.search import SearchIndex, extract_words
from videoflix.models import ListedVideo

_SAME_CATEGORY_SCORE = 3.0
_FIELD_WEIGHTS = {"title": 3.0, "description": 1.0}

# A characteristic word has at least this many letters, and at most every tenth video contains it (though two videos may
# always share it), but never more than this many.
_MIN_WORD_LENGTH = 4
_RARITY_DIVISOR = 10
_MAX_VIDEOS_PER_WORD = 100
# Longer words of English and German that say nothing about the content of a video.
_STOP_WORDS = frozenset(
    extract_words(
        """
    about after again against all along also although always among and another are around away back because become
    becomes been before begin begins behind being between both can come comes could does down during each even ever
    every film films find finds first for from gets goes has have having her here him his how into its just know last
    life like long made make makes many more most movie movies much must never new off only onto other others over own
    part same several she should since some soon still story such take takes than that the their them then there these
    they this those three through together toward towards two under until upon very want wants was well were what when
    where which while who whom whose will with within without world would year years young your
    aber alle allem allen alles als andere anderen auch auf aus bald bei beim bereits beiden dabei damit dann darf
    dass dein deine dem den denn der des dessen dich die dies diese diesem diesen dieser dieses doch dort durch eine
    einem einen einer eines einmal erst etwas euch für ganz gegen geht gibt hatte haben hier hinter ihm ihn ihr ihre
    ihrem ihren ihrer immer ins ist jede jedem jeden jeder jedes jedoch jetzt kann kein keine keinen können macht man
    mehr mein meine mich mit muss nach neben nicht nichts noch nun nur oder ohne schon sehr sein seine seinem seinen
    seiner seit selbst sich sie sind soll sondern über und uns unter viel viele vom von vor während war waren was weil
    welche wenn werden wie wieder wird wollen wurde wurden zum zur zusammen zwei zwischen
    """
    )
)


def find_similar(
    video: ListedVideo, same_category_ids: Collection[int], video_count: int, index: SearchIndex
) -> Mapping[int, float]:
    """Return a similarity score for each video that has something in common with this one, by id.

    `video_count` is the size of the catalogue.
    """
    scores: defaultdict[int, float] = defaultdict(float, dict.fromkeys(same_category_ids, _SAME_CATEGORY_SCORE))
    for word in extract_words(f"{video.title} {video.description}"):
        if len(word) >= _MIN_WORD_LENGTH and word not in _STOP_WORDS:
            _score_shared_word(word, video_count, index, scores)
    scores.pop(video.id, None)
    return scores


def _score_shared_word(word: str, video_count: int, index: SearchIndex, scores: defaultdict[int, float]) -> None:
    weights: dict[int, float] = {}
    for field in ("description", "title"):
        weights.update(dict.fromkeys(index.find_in_field(field, word), _FIELD_WEIGHTS[field]))
    if len(weights) <= max(2, min(video_count // _RARITY_DIVISOR, _MAX_VIDEOS_PER_WORD)):
        for video_id, weight in weights.items():
            scores[video_id] += weight * (1 + math.log(video_count / len(weights)))
