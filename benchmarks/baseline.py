"""What the seed's kind of server does with the same work: Django REST views behind one gunicorn worker.

    gunicorn --workers 1 --bind 127.0.0.1:PORT benchmarks.baseline:application

FOLDER holds `index.m3u8`, and `baseline.sqlite3` with the films of the catalogue.
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

from django.core.wsgi import get_wsgi_application  # noqa: E402  # Django wants its settings before this
from django.db import connection, models  # noqa: E402
from django.http import FileResponse, HttpRequest  # noqa: E402
from django.urls import path  # noqa: E402
from rest_framework.generics import ListAPIView  # noqa: E402
from rest_framework.serializers import ModelSerializer  # noqa: E402


class Video(models.Model):
    """A row of the catalogue."""

    created_at = models.DateTimeField(auto_now_add=True)
    title = models.CharField(max_length=255)
    description = models.TextField()
    thumbnail_url = models.CharField(max_length=255)
    category = models.CharField(max_length=100)

    class Meta:
        """No Django application around it."""

        app_label = "baseline"


class VideoSerializer(ModelSerializer):
    """The keys of the API."""

    class Meta:
        """As they are."""

        model = Video
        fields = ("id", "created_at", "title", "description", "thumbnail_url", "category")


class VideoList(ListAPIView):
    """The catalogue."""

    queryset = Video.objects.order_by("-created_at")
    serializer_class = VideoSerializer


def playlist(request: HttpRequest) -> FileResponse:
    """Open and return the file."""
    return FileResponse((FOLDER / "index.m3u8").open("rb"), content_type="application/vnd.apple.mpegurl")


urlpatterns = [path("films/", VideoList.as_view()), path("index.m3u8", playlist)]


def create_videos(count: int) -> None:
    """Make the table with so many films."""
    with connection.schema_editor() as editor:
        editor.create_model(Video)
    Video.objects.bulk_create(
        Video(title=f"Film {number}", description="d" * 200, thumbnail_url="http://x/1.jpg", category="Drama")
        for number in range(count)
    )


if not (FOLDER / "baseline.sqlite3").exists():
    create_videos(int(os.environ.get("FILMS", "50")))
application = get_wsgi_application()
