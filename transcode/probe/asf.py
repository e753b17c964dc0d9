"""Just enough of the Advanced Systems Format (ASF specification) for what ffprobe does not tell."""

from __future__ import annotations

# GUIDs of the header, of the object that holds the size of the file behind 40 bytes (3.2), and of those for content
# encryption and its extension (3.14 and 3.15).
_HEADER_GUID = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_FILE_PROPERTIES_GUID = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ENCRYPTION_GUIDS = (
    bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e"),
    bytes.fromhex("14e68a292226174cb935dae07ee9289c"),
)


def is_asf(header: bytes) -> bool:
    """By the first bytes of a file."""
    return header.startswith(_HEADER_GUID)


def is_encrypted(header: bytes) -> bool:
    """Whether the header of an ASF tells of encryption."""
    return any(guid in header for guid in _ENCRYPTION_GUIDS)


def declared_size(header: bytes) -> int:
    """Bytes of the whole file, as the header of an ASF says; 0 where it says nothing."""
    properties = header.find(_FILE_PROPERTIES_GUID)
    return int.from_bytes(header[properties + 40 : properties + 48], "little") if properties > 0 else 0
