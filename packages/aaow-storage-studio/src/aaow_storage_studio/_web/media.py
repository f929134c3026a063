"""Images, sounds and files in messages, in words: pages load nothing from outside, and nothing that was not typed."""

from collections.abc import Iterator
from typing import Any

_KINDS = ("image", "audio", "document", "file", "video", "media")
_TYPES = ("mediatype", "mimetype", "format")
_PLACES = ("url", "imageurl", "fileuri", "uri", "filename", "fileid")
_CONTENTS = ("data", "filedata", "bytes")
_DEPTH = 3
_SHOWN = 200
_KILO = 1000


def described_media(kind: str | None, item: dict[str, Any]) -> str | None:
    """Return what an image, a sound or a file in a message is, such as `image, image/png, 34 kB`; None if it is none.

    Args:
        kind: the `type` of the part, None if it has none.
        item: the part.
    """
    known = next((name for name in _KINDS if name in (kind or "")), None)
    if known is None and not any(key in item for key in ("inlineData", "inline_data", "fileData", "file_data")):
        return None
    texts: dict[str, str] = {}
    for name, text in _texts(item, _DEPTH):
        texts.setdefault(name, text)
    place = next((texts[name] for name in _PLACES if name in texts), "")
    content = next((texts[name] for name in _CONTENTS if name in texts), "")
    media_type = next((texts[name] for name in _TYPES if name in texts), "")
    if place.startswith("data:"):
        head, _, content = place.partition(",")
        media_type, place = media_type or head.removeprefix("data:").partition(";")[0], ""
    parts = [known or "file", media_type[:_SHOWN], place[:_SHOWN], _size(content) if content else ""]
    return ", ".join(part for part in parts if part)


def _texts(item: dict[str, Any], depth: int) -> Iterator[tuple[str, str]]:
    """Yield the texts in an object and in those inside of it, by the letters of their names."""
    for name, value in item.items():
        if isinstance(value, str):
            yield "".join(filter(str.isalnum, name)).lower(), value
        elif isinstance(value, dict) and depth:
            yield from _texts(value, depth - 1)


def _size(content: str) -> str:
    """Return how large what base64 says is."""
    size = len(content) * 3 // 4
    return (
        f"{size} bytes"
        if size < _KILO
        else f"{size / _KILO:.0f} kB"
        if size < _KILO**2
        else f"{size / _KILO**2:.1f} MB"
    )
