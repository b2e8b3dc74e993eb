"""Pictures as PNG files, with numpy and the standard library alone.

Pixel art packs well without PNG's row filters, so none are written and none are read: the reader
is for the files of this writer.
"""

import struct
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {3: 2, 4: 6}  # channels -> PNG's number for red, green, blue (and opacity)


def write_png(path: str | Path, picture: UInt8[np.ndarray, "h w c"]) -> None:
    """Writes a picture of 3 channels (red, green, blue) or 4 (and opacity).

    Raises:
        ValueError: for another number of channels, or no pixels.
    """
    height, width, channels = picture.shape
    if channels not in _COLOUR_TYPES or not picture.size:
        raise ValueError(
            f"a picture of shape {picture.shape} cannot be written; it must have pixels, and 3 or "
            f"4 channels"
        )
    rows = np.zeros((height, 1 + width * channels), np.uint8)  # each led by its filter: 0, none
    rows[:, 1:] = picture.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    parts = (b"IHDR", header), (b"IDAT", zlib.compress(rows.tobytes())), (b"IEND", b"")
    Path(path).write_bytes(_SIGNATURE + b"".join(_chunk(*part) for part in parts))


def read_png(path: str | Path) -> UInt8[np.ndarray, "h w c"]:
    """Reads a picture that `write_png` wrote.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is no picture, or one of another writer.
    """
    data = Path(path).read_bytes()
    try:
        return _decoded(data)
    except (ValueError, KeyError, struct.error, zlib.error):
        raise ValueError(f"{path} is damaged, or not a PNG file as gridmem writes them") from None


def _decoded(data: bytes) -> UInt8[np.ndarray, "h w c"]:
    if not data.startswith(_SIGNATURE):
        raise ValueError("no PNG file")
    found, position = {}, len(_SIGNATURE)
    while b"IEND" not in found:
        (length,) = struct.unpack_from(">I", data, position)
        name, content = data[position + 4 : position + 8], data[position + 8 :][:length]
        if data[position : position + 12 + length] != _chunk(name, content):
            raise ValueError("a checksum is wrong")
        found[name] = content
        position += 12 + length
    width, height, *kind = struct.unpack(">IIBBBBB", found[b"IHDR"])
    channels = {number: count for count, number in _COLOUR_TYPES.items()}[kind[1]]
    rows = np.frombuffer(zlib.decompress(found[b"IDAT"]), np.uint8).reshape(height, -1)
    if kind != [8, _COLOUR_TYPES[channels], 0, 0, 0] or rows[:, 0].any():
        raise ValueError("depth, interlacing or filters of another writer")
    return rows[:, 1:].reshape(height, width, channels).copy()


def _chunk(name: bytes, content: bytes) -> bytes:
    body = name + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))
