"""The picture that shows an object, where it has one: figures, images, arrays that look like images.

Rules
- A picture is never larger than asked, nor than ``_MOST`` pixels; what was made smaller says ``scaled``.
- Figures are drawn from a copy, by matplotlib's Agg renderer: pyplot's state, the figure's canvas, size and
  resolution stay as they are. One that cannot be copied is drawn as it is, without its canvas.
- All that may run user code (``_repr_png_``, a subclass of a library's class) runs within the time given.
- Nothing here imports numpy, matplotlib or PIL: an object of theirs has them loaded.
- SVG is handed out as it came; it may hold scripts, so that a page must show it through ``<img>`` only.
"""

from __future__ import annotations

import base64
import importlib
import io
import pickle
import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from snakekernel.inspection import facts, genuine, timed
from snakekernel.wire.errors import LimitExceeded, Unresolvable

#: Greatest width and height of a picture, and pixels of one drawn as it is.
_MOST: Final = 4_096
_MOST_PIXELS: Final = 16_000_000

#: Bytes of a picture that an object made itself.
_MOST_BYTES: Final = 16 << 20

#: A figure is not drawn larger than this many times its own resolution.
_SHARPEST: Final = 3.0

#: Of an array as an image: kinds of numbers, and the least pixels each way.
_NUMBERS: Final = frozenset({"bool", "uint8", "uint16", "float16", "float32", "float64"})
_LEAST: Final = 2

_PNG: Final = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Preview:
    """A picture.

    Attributes:
        mime: ``image/png``, ``image/jpeg`` or ``image/svg+xml``.
        data: its bytes.
        width, height: in pixels; None where an SVG does not say.
        scaled: whether it has fewer pixels than the object.
    """

    mime: str
    data: bytes
    width: int | None
    height: int | None
    scaled: bool = False


def preview_of(obj: Any, width: int, height: int, seconds: float) -> Preview | None:
    """The picture of an object within ``width`` x ``height`` pixels; None where it has none.

    Raises:
        Unresolvable: it could not be drawn, or not within ``seconds``; the message says why.
        LimitExceeded: the object's own picture is larger than 16 MiB.
    """
    width, height = min(width, _MOST), min(height, _MOST)
    draw = _drawer(obj)
    if draw is None:
        return None
    outcome = timed.attempt(lambda: draw(obj, width, height), seconds)
    if outcome.ok:
        found = outcome.value
        if found is not None and len(found.data) > _MOST_BYTES:
            raise LimitExceeded(f"The picture has {len(found.data)} bytes; {_MOST_BYTES} are shown at most.")
        return found
    if outcome.timed_out:
        raise Unresolvable(f"The picture was not ready after {seconds:g} s; ask with a larger budget.")
    raise Unresolvable(f"The picture could not be drawn: {outcome.error}", fault="target")


_Draw = Callable[[Any, int, int], Preview | None]


def has_preview(obj: Any) -> bool:
    """Whether there may be a picture of the object; runs no user code."""
    return _drawer(obj) is not None


def _drawer(obj: Any) -> _Draw | None:
    for module, name, draw in _LIBRARIES:
        if genuine.library_kind(obj, module, name) is not None:
            return draw
    if facts.data_kind(obj) == "numpy.ndarray":
        return _array if _is_image(obj) else None
    if genuine.is_kind(obj, type):
        return None
    return next((draw for name, draw in _OWN if genuine.class_attribute(type(obj), name) is not None), None)


# -- matplotlib ------------------------------------------------------------------------------------


def _axes(obj: Any, width: int, height: int) -> Preview | None:
    return _figure(obj.get_figure(root=True) if hasattr(obj, "_parent_figure") else obj.figure, width, height)


def _figure(figure: Any, width: int, height: int) -> Preview | None:
    if figure is None:
        return None
    agg = importlib.import_module("matplotlib.backends.backend_agg")
    across, down = (float(inches) for inches in figure.get_size_inches())
    if across <= 0 or down <= 0:
        return None
    own = float(figure.dpi)
    try:
        copy = _copy_of(figure)
    except Exception:  # a formatter or a callback that is a lambda cannot be copied
        if across * down * own * own > _MOST_PIXELS:
            raise ValueError("it is too large, and cannot be copied to be drawn smaller") from None
        renderer = agg.RendererAgg(max(int(across * own), 1), max(int(down * own), 1), own)
        stale = figure.stale
        figure.draw(renderer)
        figure.stale = stale
        return _of_pixels(renderer.buffer_rgba(), width, height)
    dpi = min(width / across, height / down, own * _SHARPEST)
    copy.set_dpi(dpi)
    canvas = agg.FigureCanvasAgg(copy)
    canvas.draw()
    return _of_pixels(canvas.buffer_rgba(), width, height, scaled=dpi < own)


def _of_pixels(buffer: Any, width: int, height: int, *, scaled: bool = False) -> Preview:
    pixels = genuine.library("numpy")["asarray"](buffer)
    by = _reduction(pixels.shape[1], pixels.shape[0], width, height)
    pixels = pixels[::by, ::by]
    down, across = pixels.shape[:2]
    depth = 1 if pixels.ndim == 2 else int(pixels.shape[2])
    return Preview("image/png", png(pixels.tobytes(), across, down, depth), across, down, scaled or by > 1)


def _reduction(across: int, down: int, width: int, height: int) -> int:
    """By what whole number a picture is made smaller, so that it fits."""
    return max(-(-across // width), -(-down // height), 1)


class _Copier(pickle.Pickler):
    """Copies a figure, not what pyplot knows of it: unpickling would open it there."""

    def reducer_override(self, obj: Any) -> Any:
        if genuine.library_kind(obj, "matplotlib.figure", "Figure") is None:
            return NotImplemented
        function, arguments, state, *rest = obj.__reduce_ex__(4)
        state = {name: value for name, value in state.items() if name != "_restore_to_pylab"}
        return function, arguments, state, *rest


def _copy_of(figure: Any) -> Any:
    into = io.BytesIO()
    _Copier(into, protocol=5).dump(figure)
    return pickle.loads(into.getvalue())


# -- images and arrays -----------------------------------------------------------------------------


def _pil(image: Any, width: int, height: int) -> Preview | None:
    across, down = image.size
    if across < 1 or down < 1:
        return None
    by = _reduction(across, down, width, height)
    if image.mode not in ("1", "L", "LA", "RGB", "RGBA"):
        image = _in_colours(image)
    if by > 1:
        image = image.reduce(by) if image.mode != "1" else image.convert("L").reduce(by)
    into = io.BytesIO()
    image.save(into, "PNG")
    across, down = image.size
    return Preview("image/png", into.getvalue(), across, down, by > 1)


def _in_colours(image: Any) -> Any:
    """An image of any mode as grey, RGB or RGBA; numbers of more than eight bits are stretched to eight."""
    if image.mode[:1] in ("I", "F"):
        image = image.convert("F")
        low, high = image.getextrema()
        by = 255 / (high - low) if high > low else 0.0
        return image.point(lambda value: value * by - low * by).convert("L")
    has_alpha = "A" in image.mode or "a" in image.mode or "transparency" in image.info
    return image.convert("RGBA" if has_alpha else "RGB")


def _is_image(array: Any) -> bool:
    known = facts.facts_of(array)
    shape = known.shape or []
    if known.dtype not in _NUMBERS or not 2 <= len(shape) <= 3 or min(shape[:2]) < _LEAST:
        return False
    return len(shape) == 2 or shape[2] in (1, 3, 4)


def _array(array: Any, width: int, height: int) -> Preview:
    numpy = genuine.library("numpy")
    plain = numpy["ndarray"].view(array, numpy["ndarray"])
    by = _reduction(plain.shape[1], plain.shape[0], width, height)
    shown = plain[::by, ::by]
    if shown.ndim == 3 and shown.shape[2] == 1:
        shown = shown[:, :, 0]
    return _of_pixels(_as_bytes(shown, numpy), width, height, scaled=by > 1)


def _as_bytes(pixels: Any, numpy: Any) -> Any:
    """Grey values are stretched from their least to their greatest; colours are 0 to 1, as everywhere."""
    if pixels.dtype == numpy["uint8"]:
        return pixels
    if pixels.dtype == numpy["bool_"]:
        return pixels.astype("uint8") * 255
    numbers = numpy["nan_to_num"](pixels.astype("float64"), nan=0.0, posinf=0.0, neginf=0.0)
    if pixels.dtype == numpy["uint16"]:
        numbers = numbers / 65_535
    elif pixels.ndim == 2:
        finite = pixels[numpy["isfinite"](pixels)].astype("float64")
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
        numbers = (numbers - low) / (high - low) if high > low else numbers * 0
    return (numpy["clip"](numbers, 0, 1) * 255).round().astype("uint8")


_COLOUR_TYPE: Final = {1: 0, 3: 2, 4: 6}


def png(pixels: bytes, width: int, height: int, depth: int) -> bytes:
    """A PNG file of rows of pixels, ``depth`` bytes each: 1 is grey, 3 RGB, 4 RGBA."""
    row = width * depth
    rows = b"".join(b"\0" + pixels[at : at + row] for at in range(0, row * height, row))
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPE[depth], 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 6)), (b"IEND", b""))
    return _PNG + b"".join(_chunk(name, data) for name, data in parts)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


# -- what objects draw themselves ------------------------------------------------------------------


def _own_png(obj: Any, width: int, height: int) -> Preview | None:
    data = _made_by(obj, "_repr_png_")
    if data is None or not data.startswith(_PNG) or len(data) < 24:
        return None
    return Preview("image/png", data, *struct.unpack(">II", data[16:24]))


def _own_jpeg(obj: Any, width: int, height: int) -> Preview | None:
    data = _made_by(obj, "_repr_jpeg_")
    size = None if data is None else _jpeg_size(data)
    return None if data is None or size is None else Preview("image/jpeg", data, *size)


def _own_svg(obj: Any, width: int, height: int) -> Preview | None:
    data = _made_by(obj, "_repr_svg_")
    if data is None or b"<svg" not in data:
        return None
    said = {name: round(float(number)) for name, number in _sizes_in(data)}
    return Preview("image/svg+xml", data, said.get(b"width"), said.get(b"height"))


def _sizes_in(svg: bytes) -> list[tuple[bytes, bytes]]:
    at = svg.find(b"<svg")
    tag = svg[at : svg.find(b">", at) + 1][:4_096]
    found = re.findall(rb"\s(width|height)\s*=\s*[\"']\s*(\d{1,6}(?:\.\d{1,6})?)(?:px|pt)?\s*[\"']", tag)
    return [(name, number) for name, number in found]


def _made_by(obj: Any, method: str) -> bytes | None:
    """What a display method gives, as bytes: it may be text, base64 text, or a pair with metadata."""
    made = getattr(obj, method)()
    if type(made) is tuple and made:
        made = made[0]
    if type(made) is str:
        return made.encode() if method == "_repr_svg_" else base64.b64decode(made)
    return made if type(made) is bytes else None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Width and height from the first frame header of a JPEG file; None where it is none."""
    if not data.startswith(b"\xff\xd8"):
        return None
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            return int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big")
        at += 2 + length
    return None


_LIBRARIES: Final[tuple[tuple[str, str, _Draw], ...]] = (
    ("matplotlib.figure", "Figure", _figure),
    ("matplotlib.axes", "Axes", _axes),
    ("PIL.Image", "Image", _pil),
)

_OWN: Final[tuple[tuple[str, _Draw], ...]] = (
    ("_repr_png_", _own_png),
    ("_repr_jpeg_", _own_jpeg),
    ("_repr_svg_", _own_svg),
)
