"""A multipart form (RFC 7578) whose file is written to disk as it arrives, so that memory use stays constant."""

from __future__ import annotations

import ctypes
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from videoflix.errors import BadRequest, FieldErrors

_MAX_TEXT_BYTES = 64 * 1024  # of all text fields together, with their names
_WRITE_BACK_BYTES = 8 * 1024**2  # of the file between two requests to write back

_SYNC_FILE_RANGE_WRITE = 2
_sync_file_range = getattr(ctypes.CDLL(None), "sync_file_range", None)

# The parser logs every state transition at DEBUG level.
logging.getLogger("python_multipart.multipart").setLevel(logging.WARNING)


def begin_write_back(descriptor: int, start: int, length: int) -> None:
    """Have the kernel begin to write these bytes of a file to disk, without waiting (sync_file_range(2), Linux)."""
    if _sync_file_range is not None:
        _sync_file_range(descriptor, ctypes.c_int64(start), ctypes.c_int64(length), _SYNC_FILE_RANGE_WRITE)


class MultipartForm:
    """A form that is parsed piece by piece: `fields` holds its text fields, and its file is written to `file_path`."""

    def __init__(
        self,
        content_type: str,
        file_field: str,
        file_path: Path,
        validate_fields: Callable[[MultipartForm], object],
        on_file_opened: Callable[[BinaryIO], object] = lambda _: None,
    ) -> None:
        """Raises BadRequest if the body is not a multipart form.

        `validate_fields` is called when the file part begins, with the text fields that preceded it, and
        `on_file_opened` with the new file: whatever they raise, `feed` raises.
        """
        self._parser = self._create_parser(content_type)
        self._file_field = file_field
        self._file_path = file_path
        self._validate_fields = validate_fields
        self._on_file_opened = on_file_opened
        self._file: BinaryIO | None = None
        self._text_fields: dict[str, bytearray] = {}
        self._text_bytes = 0
        self._sink: bytearray | BinaryIO | None = None
        self._headers: dict[bytes, bytes] = {}
        self._lock = threading.Lock()  # a client may disconnect while a thread writes
        self._is_closed = False
        self._current_header_name, self._current_header_value = b"", b""
        self.file_name = ""
        self.file_size: int | None = None
        self.received_bytes = 0  # of the body so far
        self.is_complete = False
        self._unsynced_bytes = 0

    @property
    def fields(self) -> dict[str, str]:
        """The text fields received so far."""
        return {name: bytes(value).decode(errors="replace") for name, value in self._text_fields.items()}

    def _create_parser(self, content_type: str) -> MultipartParser:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        try:
            if kind != b"multipart/form-data" or not boundary:
                raise FormParserError
            return MultipartParser(
                boundary,
                {
                    "on_part_begin": self._on_part_begin,
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_part_data,
                    "on_part_end": self._on_part_end,
                    "on_end": self._on_end,
                },
            )
        except FormParserError:
            raise BadRequest("Send the video as multipart/form-data.") from None

    def feed(self, chunk: bytes) -> None:
        """Parse the next piece of the body. Raises BadRequest, FieldErrors, and OSError if the disk is full."""
        with self._lock:
            if self._is_closed:
                return
            self.received_bytes += len(chunk)
            try:
                self._parser.write(chunk)
            except FormParserError:
                raise BadRequest("The form could not be read: it is not valid multipart/form-data.") from None

    def close(self) -> None:
        """Close the file and ignore any further piece. Idempotent."""
        with self._lock:
            self._is_closed = True
            if self._file is not None:
                self._file.close()

    def _on_part_begin(self) -> None:
        self._headers, self._current_header_name, self._current_header_value = {}, b"", b""

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._current_header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._current_header_value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._current_header_name.lower()] = self._current_header_value
        self._current_header_name, self._current_header_value = b"", b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"name", b"").decode(errors="replace")
        if b"filename" not in options:
            self._check_text_size(len(name))
            self._sink = self._text_fields[name] = bytearray()  # the last field of a name counts
        elif name == self._file_field:
            self._open_file(options[b"filename"].decode(errors="replace"))
        else:  # browsers send this for an empty file field; `_on_part_data` refuses one that is not empty
            self._sink = None

    def _open_file(self, file_name: str) -> None:
        if self._file is not None:
            raise FieldErrors({self._file_field: ["Send one file at a time."]})
        self.file_name, self.file_size = file_name, 0
        self._validate_fields(self)
        self._file = self._sink = self._file_path.open("wb")
        self._on_file_opened(self._file)

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None and self._sink is self._file:
            self._file.write(memoryview(data)[start:end])
            self._sync_periodically(end - start)
            self.file_size = (self.file_size or 0) + end - start
        elif isinstance(self._sink, bytearray):
            self._check_text_size(end - start)
            self._sink += data[start:end]
        else:
            raise FieldErrors({self._file_field: ["Send the video in this field, and no other file."]})

    def _check_text_size(self, size: int) -> None:
        self._text_bytes += size
        if self._text_bytes > _MAX_TEXT_BYTES:
            raise BadRequest("The text fields of the form are too long.")

    def _sync_periodically(self, written_bytes: int) -> None:
        """Begin to write to disk during the upload, because the first viewer waits for whatever is left at its end.

        Nothing waits for the disk here: `UploadStorage.sync_to_disk` does, at the end.
        """
        assert self._file is not None
        self._unsynced_bytes += written_bytes
        if self._unsynced_bytes >= _WRITE_BACK_BYTES:
            self._file.flush()
            begin_write_back(
                self._file.fileno(), (self.file_size or 0) + written_bytes - self._unsynced_bytes, self._unsynced_bytes
            )
            self._unsynced_bytes = 0

    def _on_part_end(self) -> None:
        self._sink = None

    def _on_end(self) -> None:
        self.is_complete = True
