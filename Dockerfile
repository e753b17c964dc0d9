# Videoflix: one image for the web process and the worker.
FROM python:3.12-slim-bookworm

# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ffmpeg \
 && rm -rf /var/lib/apt/lists/*

ENV PORT=8000 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /app
COPY setup.cfg pyproject.toml requirements.lock README.md ./
COPY videoflix videoflix
COPY handlers handlers
COPY transcode transcode
RUN pip install --constraint requirements.lock . \
 && useradd --create-home --uid 1000 videoflix \
 && mkdir -p /app/media /app/var \
 && chown -R videoflix:videoflix /app/media /app/var

USER 1000:1000
VOLUME ["/app/media", "/app/var"]
EXPOSE 8000

HEALTHCHECK --interval=15s --timeout=5s --start-period=20s \
  CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/healthz', timeout=4)"]

CMD ["videoflix", "web", "--host", "0.0.0.0"]
