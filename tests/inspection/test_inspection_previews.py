"""Pictures of objects: what has one, how large it is, and that making it changes nothing."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakekernel.inspection.previews import Preview, has_preview, png, preview_of
from snakekernel.wire.errors import LimitExceeded, Unresolvable

Image: Any = pytest.importorskip("PIL.Image")


@pytest.fixture(scope="module")
def pyplot() -> Iterator[Any]:
    """Matplotlib's pyplot on a back end without a window."""
    matplotlib: Any = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


def drawn(obj: Any, width: int = 300, height: int = 200, seconds: float = 20.0) -> Preview:
    """The picture, which fits and is the file that it says it is."""
    preview = preview_of(obj, width, height, seconds)
    assert preview is not None
    assert has_preview(obj)
    if preview.mime != "image/svg+xml":
        with Image.open(io.BytesIO(preview.data)) as image:
            image.load()
            assert image.size == (preview.width, preview.height)
            assert image.get_format_mimetype() == preview.mime
    return preview


class TestFigures:
    def test_it_fits(self, pyplot: Any) -> None:
        figure, _ = pyplot.subplots(figsize=(6, 4), dpi=100)
        assert (drawn(figure).width, drawn(figure).height) == (300, 200)
        assert drawn(figure).scaled
        large = drawn(figure, 4_000, 4_000)
        assert (large.width, large.height, large.scaled) == (1_800, 1_200, False)

    def test_nothing_changes(self, pyplot: Any) -> None:
        figure, axes = pyplot.subplots(dpi=77)
        axes.plot([1, 2, 3])
        canvas, numbers, size = figure.canvas, pyplot.get_fignums(), tuple(figure.get_size_inches())
        current = pyplot.gcf()
        assert drawn(figure).data == drawn(axes).data
        assert figure.canvas is canvas
        assert figure.dpi == 77
        assert tuple(figure.get_size_inches()) == size
        assert pyplot.get_fignums() == numbers
        assert pyplot.gcf() is current

    def test_one_that_cannot_be_copied(self, pyplot: Any) -> None:
        figure, axes = pyplot.subplots(figsize=(6, 4), dpi=100)
        axes.xaxis.set_major_formatter(lambda value, at: f"{value}!")
        canvas = figure.canvas
        assert (drawn(figure).width, drawn(figure).height) == (300, 200)
        assert figure.canvas is canvas
        assert figure.dpi == 100

    def test_one_too_large_that_cannot_be_copied(self, pyplot: Any) -> None:
        figure, axes = pyplot.subplots(figsize=(100, 100), dpi=100)
        axes.xaxis.set_major_formatter(lambda value, at: "")
        with pytest.raises(Unresolvable, match="too large"):
            drawn(figure)

    def test_an_artist_that_fails(self, pyplot: Any) -> None:
        figure, axes = pyplot.subplots()
        axes.set_title("$\\nonsense{$")
        with pytest.raises(Unresolvable, match="could not be drawn"):
            drawn(figure)


class TestImages:
    @pytest.mark.parametrize(
        "mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB", "I", "I;16", "F"]
    )
    def test_every_mode(self, mode: str) -> None:
        small = drawn(Image.new(mode, (30, 20)))
        assert (small.width, small.height, small.scaled) == (30, 20, False)
        large = drawn(Image.new(mode, (900, 200)))
        assert (large.width, large.height, large.scaled) == (300, 67, True)

    def test_the_image_stays(self) -> None:
        image = Image.new("RGB", (900, 900), "red")
        drawn(image)
        assert image.size == (900, 900)

    def test_deep_numbers_are_stretched(self) -> None:
        image = Image.new("I;16", (2, 1))
        image.putdata([1_000, 3_000])
        with Image.open(io.BytesIO(drawn(image).data)) as shown:
            assert [shown.getpixel((x, 0)) for x in (0, 1)] == [0, 255]

    def test_an_empty_one(self) -> None:
        assert preview_of(Image.new("RGB", (0, 0)), 10, 10, 5) is None


class TestArrays:
    @pytest.mark.parametrize(
        ("array", "mode"),
        [
            (np.arange(60, dtype="uint8").reshape(6, 10), "L"),
            (np.zeros((6, 10, 1), "uint8"), "L"),
            (np.zeros((6, 10, 3), "uint8"), "RGB"),
            (np.zeros((6, 10, 4), "float32"), "RGBA"),
            (np.eye(6, dtype=bool), "L"),
            (np.full((6, 10), np.nan), "L"),
            (np.array([[np.inf, 1.0], [0.0, -np.inf]]), "L"),
            (np.zeros((6, 10), "uint16"), "L"),
        ],
        ids=lambda v: f"{v.dtype}{v.shape}" if isinstance(v, np.ndarray) else v,
    )
    def test_what_looks_like_an_image(self, array: Any, mode: str) -> None:
        preview = drawn(array)
        assert (preview.height, preview.width) == array.shape[:2]
        with Image.open(io.BytesIO(preview.data)) as image:
            assert image.mode == mode

    def test_bytes_are_shown_as_they_are(self) -> None:
        array = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype="uint8")
        with Image.open(io.BytesIO(drawn(array).data)) as image:
            assert (np.asarray(image) == array).all()

    def test_a_large_one_is_thinned_out(self) -> None:
        array = np.zeros((4_000, 6_000, 3), "uint8")
        preview = drawn(array)
        assert (preview.width, preview.height, preview.scaled) == (300, 200, True)

    @pytest.mark.parametrize(
        "array",
        [
            np.zeros(5, "uint8"),
            np.zeros((5, 5), "int64"),
            np.zeros((5, 5, 2), "uint8"),
            np.zeros((1, 5), "uint8"),
            np.zeros((0, 5), "uint8"),
            np.zeros((5, 5, 5, 3)),
            np.empty((5, 5), object),
            np.zeros((5, 5), [("x", "uint8")]),
        ],
        ids=lambda v: f"{v.dtype}{v.shape}",
    )
    def test_what_does_not(self, array: Any) -> None:
        assert preview_of(array, 100, 100, 5) is None
        assert not has_preview(array)

    def test_a_subclass_runs_nothing(self) -> None:
        class Hooked(np.ndarray):  # type: ignore[type-arg]
            def __getitem__(self, key: Any) -> Any:
                raise AssertionError("asked")

            def __array_finalize__(self, obj: Any) -> None:
                if type(obj) is Hooked:
                    raise AssertionError("asked")

        drawn(np.zeros((6, 10), "uint8").view(Hooked))


SVG = '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="20" height="10.4"><script/></svg>'


def own(method: str, made: Any) -> Any:
    """An object whose display method gives ``made()``."""
    return type("Own", (), {method: lambda self: made()})()


class TestWhatDrawsItself:
    def test_png(self) -> None:
        data = png(b"\0\xff", 2, 1, 1)
        preview = drawn(own("_repr_png_", lambda: data))
        assert (preview.data, preview.width, preview.height) == (data, 2, 1)
        assert drawn(own("_repr_png_", lambda: (data, {"width": 5}))).data == data

    def test_jpeg(self) -> None:
        into = io.BytesIO()
        Image.new("RGB", (20, 10)).save(into, "JPEG")
        preview = drawn(own("_repr_jpeg_", into.getvalue))
        assert (preview.mime, preview.width, preview.height) == ("image/jpeg", 20, 10)

    def test_svg(self) -> None:
        preview = drawn(own("_repr_svg_", lambda: SVG))
        assert preview == Preview("image/svg+xml", SVG.encode(), 20, 10)
        assert drawn(own("_repr_svg_", lambda: "<svg/>")).width is None

    @pytest.mark.parametrize("method", ["_repr_png_", "_repr_jpeg_", "_repr_svg_"])
    @pytest.mark.parametrize("made", [None, b"", b"nonsense", 5, (), b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
    def test_what_is_none(self, method: str, made: Any) -> None:
        assert preview_of(own(method, lambda: made), 10, 10, 5) is None

    def test_one_that_raises(self) -> None:
        def fail() -> None:
            raise SystemExit("out")

        with pytest.raises(Unresolvable, match="SystemExit: out"):
            preview_of(own("_repr_png_", fail), 10, 10, 5)

    def test_one_that_never_ends(self) -> None:
        def run_on() -> None:
            while True:
                pass

        with pytest.raises(Unresolvable, match=r"not ready after 0\.05 s"):
            preview_of(own("_repr_png_", run_on), 10, 10, 0.05)

    def test_one_too_large(self) -> None:
        made = png(b"\0", 1, 1, 1) + bytes(17 << 20)
        with pytest.raises(LimitExceeded):
            preview_of(own("_repr_png_", lambda: made), 10, 10, 5)

    def test_a_class_has_no_picture_of_its_own(self) -> None:
        assert preview_of(type(own("_repr_png_", lambda: b"")), 10, 10, 5) is None

    @pytest.mark.parametrize("obj", [None, 5, "text", [1], {"a": 1}, object()])
    def test_most_have_none(self, obj: Any) -> None:
        assert preview_of(obj, 10, 10, 5) is None


@given(width=st.integers(1, 40), height=st.integers(1, 40), depth=st.sampled_from([1, 3, 4]), data=st.data())
def test_png_files_are_what_was_put_in(width: int, height: int, depth: int, data: st.DataObject) -> None:
    size = width * height * depth
    pixels = data.draw(st.binary(min_size=size, max_size=size))
    made = png(pixels, width, height, depth)
    assert struct.unpack(">II", made[16:24]) == (width, height)
    with Image.open(io.BytesIO(made)) as image:
        assert image.tobytes() == pixels
