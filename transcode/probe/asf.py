"""The parts of the Advanced Systems Format (ASF specification) that ffprobe does not report."""

from __future__ import annotations

# GUIDs of the header object, of the file properties object, which holds the file size at offset 40 (3.2), and of the
# objects for content encryption and its extension (3.14 and 3.15).
_HEADER_GUID = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_FILE_PROPERTIES_GUID = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_FILE_SIZE_OFFSET, _FILE_SIZE_BYTES = 40, 8
_ENCRYPTION_GUIDS = (
    bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e"),
    bytes.fromhex("14e68a292226174cb935dae07ee9289c"),
)


def is_asf(header: bytes) -> bool:
    """Return whether a file that begins with these bytes is an ASF."""
    return header.startswith(_HEADER_GUID)


def is_encrypted(header: bytes) -> bool:
    """Return whether the header of an ASF declares encryption."""
    return any(guid in header for guid in _ENCRYPTION_GUIDS)


def declared_size(header: bytes) -> int:
    """Return the size of the whole file in bytes as the header of an ASF declares it, or 0 if it does not."""
    properties = header.find(_FILE_PROPERTIES_GUID)
    start = properties + _FILE_SIZE_OFFSET
    return int.from_bytes(header[start : start + _FILE_SIZE_BYTES], "little") if properties > 0 else 0
