"""The baseline server: the same endpoints as Django REST framework views, behind one gunicorn worker.

    gunicorn --workers 1 --bind 127.0.0.1:PORT benchmarks.baseline:application

The folder FOLDER contains `index.m3u8`, and `baseline.sqlite3` with the video catalogue.
"""

from __future__ import annotations

import os
from pathlib import Path

import django
from django.conf import settings

FOLDER = Path(os.environ["FOLDER"])

settings.configure(
    SECRET_KEY="x" * 50,
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["rest_framework"],
    REST_FRAMEWORK={
        "UNAUTHENTICATED_USER": None,
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    },
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": FOLDER / "baseline.sqlite3"}},
    USE_TZ=True,
)
django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402  # Django has to be configured first
from django.db import connection, models  # noqa: E402
from django.http import FileResponse, HttpRequest  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework.generics import ListAPIView  # noqa: E402
from rest_framework.serializers import ModelSerializer  # noqa: E402


class Video(models.Model):
    """A video in the catalogue."""

    created_at = models.DateTimeField(auto_now_add=True)
    title = models.CharField(max_length=255)
    description = models.TextField()
    thumbnail_url = models.CharField(max_length=255)
    category = models.CharField(max_length=100)

    class Meta:
        """Options of the model, which belongs to no Django application."""

        app_label = "baseline"


class VideoSerializer(ModelSerializer):
    """Serializes a video with the keys of the API."""

    class Meta:
        """Fields of the serializer."""

        model = Video
        fields = ("id", "created_at", "title", "description", "thumbnail_url", "category")


class VideoList(ListAPIView):
    """The list of all videos."""

    queryset = Video.objects.order_by("-created_at")
    serializer_class = VideoSerializer


def playlist(request: HttpRequest) -> FileResponse:
    """Send the playlist from its file."""
    return FileResponse((FOLDER / "index.m3u8").open("rb"), content_type="application/vnd.apple.mpegurl")


urlpatterns = [path("videos/", VideoList.as_view()), path("index.m3u8", playlist)]


def create_videos(count: int) -> None:
    """Create the table and fill it with `count` videos."""
    with connection.schema_editor() as editor:
        editor.create_model(Video)
    Video.objects.bulk_create(
        Video(title=f"Video {number}", description="d" * 200, thumbnail_url="http://x/1.jpg", category="Drama")
        for number in range(count)
    )


if not (FOLDER / "baseline.sqlite3").exists():
    create_videos(int(os.environ.get("VIDEO_COUNT", "50")))
application = get_wsgi_application()
