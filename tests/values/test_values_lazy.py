"""Codecs load when they are needed, third-party ones by entry point; a broken one says so by name."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from snakekernel.testing.codecs import CodecTests, round_trip
from snakekernel.values import Codec, Decoder, Encoder, NotLossless, Registry
from snakekernel.wire.errors import InvalidRequest, Unsupported

GEOMETRY = '''
"""A package like one that somebody else would publish."""


class Point:
    def __init__(self, x, y):
        self.x, self.y = x, y

    def __eq__(self, other):
        return type(other) is Point and (self.x, self.y) == (other.x, other.y)


class Cloud:
    def __init__(self, data, parts=()):
        self.data, self.parts = data, parts

    def __eq__(self, other):
        return type(other) is Cloud and (self.data, self.parts) == (other.data, other.parts)
'''

CODECS = """
from geometry_for_tests import Cloud, Point
from snakekernel.values import Codec, NotLossless
from snakekernel.wire.errors import InvalidRequest


def encode_point(point, encoder):
    if type(point.x) is not float:
        raise NotLossless("its coordinates are not floats")
    return [encoder.encode(point.x), encoder.encode(point.y)]


def decode_point(payload, decoder):
    parts = decoder.expect(payload, list)
    if len(parts) != 2:
        raise InvalidRequest("expected [x, y]", at=decoder.at())
    x, y = (decoder.child(part, index) for index, part in enumerate(parts))
    for index, number in enumerate((x, y)):
        if type(number) is not float:
            raise InvalidRequest("expected a number", at=decoder.at(index))
    return Point(x, y)


def encode_cloud(cloud, encoder):
    return {"buffer": encoder.buffer(cloud.data), "parts": encoder.encode(cloud.parts)}


def decode_cloud(payload, decoder):
    decoder.fields(payload, {"buffer": int, "parts": object})
    data = bytes(decoder.buffer(payload["buffer"], "buffer"))
    return Cloud(data, decoder.child(payload["parts"], "parts"))


CODECS = [
    Codec("geometry_for_tests.Point", (Point,), encode_point, decode_point),
    Codec("geometry_for_tests.Cloud", (Cloud,), encode_cloud, decode_cloud),
]
"""


def install(site: Path, name: str, entry_points: str, **modules: str) -> None:
    """What pip leaves behind for a pure package: its modules, and its metadata in a .dist-info."""
    for module, source in modules.items():
        (site / f"{module}.py").write_text(source)
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[snakekernel.codecs]\n{entry_points}\n")


@pytest.fixture(scope="module")
def geometry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    site = tmp_path_factory.mktemp("site")
    install(
        site,
        "geometry_for_tests",
        "geometry_for_tests = geometry_codecs_for_tests:CODECS",
        geometry_for_tests=GEOMETRY,
        geometry_codecs_for_tests=CODECS,
    )
    sys.path.insert(0, str(site))
    yield
    sys.path.remove(str(site))
    for module in ("geometry_for_tests", "geometry_codecs_for_tests"):
        sys.modules.pop(module, None)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def python(code: str, *paths: str) -> str:
    """Run code in a fresh interpreter with this one's path; what it printed."""
    prelude = f"import sys; sys.path[:] = {[*paths, *sys.path]!r}\n"
    done = subprocess.run([sys.executable, "-c", prelude + code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


HEAVY = "sorted({'numpy', 'pandas', 'pyarrow', 'geometry_for_tests'} & sys.modules.keys())"


def test_plain_data_imports_no_library() -> None:
    code = f"""
from snakekernel.values import Decoder, Encoder
encoder = Encoder()
data = encoder.encode({{"a": [1, 2.5, (None, b"x")], 2: {{1}}}})
Decoder(encoder.buffers).decode(data)
print({HEAVY})
"""
    assert python(code) == "[]"


def test_an_unknown_tag_imports_no_library() -> None:
    code = f"""
from snakekernel.values import Decoder
try:
    Decoder().decode({{"$os.system": "true"}})
except Exception as exc:
    print(type(exc).__name__, {HEAVY})
"""
    assert python(code) == "InvalidRequest []"


def test_a_tag_loads_what_it_needs() -> None:
    code = f"""
from snakekernel.values import Decoder
Decoder().decode({{"$npscalar": {{"dtype": "<f4", "value": 1.5}}}})
print({HEAVY})
"""
    assert python(code) == "['numpy']"


def test_without_pyarrow_a_frame_is_refused_with_a_hint() -> None:
    code = """
sys.modules["pyarrow"] = None
import pandas as pd
from snakekernel.values import Decoder, Encoder, NotLossless
for value in (pd.DataFrame({"a": [1]}), pd.Series([1]), pd.Index([1]), pd.MultiIndex.from_tuples([(1, 2)])):
    try:
        Encoder().encode(value)
    except NotLossless as exc:
        assert "snakekernel[arrow]" in exc.reason, exc
    else:
        raise AssertionError(value)
try:
    Decoder([memoryview(b"")]).decode([{"$arrow": {"buffer": 0, "as": "pandas.DataFrame"}}])
except Exception as exc:
    print(exc.code, exc.at, "snakekernel[arrow]" in exc.message)
stamp = pd.Timestamp("2020")
assert Decoder().decode(Encoder().encode(stamp)) == stamp
"""
    assert python(code) == "unsupported $[0]['$arrow'] True"


def test_without_numpy_an_array_is_unsupported_with_a_hint() -> None:
    code = """
sys.modules["numpy"] = None
from snakekernel.values import Decoder
try:
    Decoder([memoryview(b"")]).decode([{"$ndarray": {"buffer": 0, "dtype": "<f8", "shape": [0]}}])
except Exception as exc:
    print(exc.code, exc.at, "numpy" in exc.message)
"""
    assert python(code) == "unsupported $[0] True"


@pytest.mark.usefixtures("geometry")
def test_a_third_party_codec_loads_when_its_object_is_met() -> None:
    code = """
from snakekernel.values import Encoder
encoder = Encoder()
assert "geometry_codecs_for_tests" not in sys.modules
from geometry_for_tests import Point
assert "geometry_codecs_for_tests" not in sys.modules
print(encoder.encode(Point(1.0, float("nan"))), "geometry_codecs_for_tests" in sys.modules)
"""
    assert python(code) == "{'$geometry_for_tests.Point': [1.0, {'$float': 'nan'}]} True"


@pytest.mark.usefixtures("geometry")
def test_a_third_party_codec_loads_when_its_tag_is_met() -> None:
    code = """
from snakekernel.values import Decoder
point = Decoder().decode({"$geometry_for_tests.Point": [1.0, 2.0]})
print(type(point).__module__, point.x, point.y)
"""
    assert python(code) == "geometry_for_tests 1.0 2.0"


@pytest.mark.usefixtures("geometry")
class TestThirdPartyPoint(CodecTests):
    tag = "geometry_for_tests.Point"
    imports = "geometry_for_tests"
    registry = Registry()

    def samples(self) -> Any:
        from geometry_for_tests import Point  # type: ignore[import-not-found]

        return [Point(0.0, 1.5), Point(float("inf"), -0.0)]

    def malformed(self) -> Any:
        return [None, [1.0], ["a", 1.0], [1.0, {"$float": "no"}]]

    def refused(self) -> Any:
        from geometry_for_tests import Point

        return [Point("a", 1.0)]


@pytest.mark.usefixtures("geometry")
class TestThirdPartyCloud(CodecTests):
    tag = "geometry_for_tests.Cloud"
    imports = "geometry_codecs_for_tests"
    registry = Registry()

    def samples(self) -> Any:
        from geometry_for_tests import Cloud, Point

        return [Cloud(b""), Cloud(b"abc", (Cloud(b"d", (Point(1.0, 2.0),)), {1: "x"}))]

    def refused(self) -> Any:
        from geometry_for_tests import Cloud

        cloud = Cloud(b"lost")
        cloud.parts = (cloud,)
        return [cloud, Cloud(b"lost", (object(),)), Cloud("no bytes")]


class TestBuiltInArray(CodecTests):
    """The kit holds for a built-in codec as well: they are of the same kind."""

    tag = "ndarray"
    imports = "numpy"

    def samples(self) -> Any:
        return [np.arange(6).reshape(2, 3), np.zeros(2, [("a", "<i4"), ("b", "U2", (2,))]), np.array("x")]

    def malformed(self) -> Any:
        return [5, {"buffer": 0, "dtype": "O", "shape": []}]

    def refused(self) -> Any:
        return [np.array([None])]

    def equal(self, one: Any, other: Any) -> bool:
        return bool(one.dtype == other.dtype and np.array_equal(one, other))


BROKEN = [
    ("import_for_tests = no_such_module_for_tests:CODECS", "ModuleNotFoundError"),
    ("attribute_for_tests = broken_for_tests:NOTHING", "AttributeError"),
    ("raises_for_tests = raising_for_tests:CODECS", "RuntimeError: no licence"),
    ("exits_for_tests = exiting_for_tests:CODECS", "SystemExit"),
    ("kind_for_tests = broken_for_tests:NOT_A_CODEC", "must be a Codec"),
    ("kinds_for_tests = broken_for_tests:NOT_CODECS", "must be a Codec"),
    ("other_for_tests = broken_for_tests:OTHER_TAG", "must be 'other_for_tests' or begin with"),
    ("thief_for_tests = broken_for_tests:THIEF", "already served"),
]
BROKEN_MODULE = """
from snakekernel.values import Codec
NOT_A_CODEC = 5
NOT_CODECS = [5]
OTHER_TAG = Codec("uuid.x", (), None, None)
THIEF = Codec("thief_for_tests", (dict,), None, None)
"""


@pytest.mark.parametrize(("entry_point", "reason"), BROKEN, ids=[reason for _, reason in BROKEN])
def test_a_broken_entry_point_is_named(site: Path, entry_point: str, reason: str) -> None:
    name = entry_point.partition(" ")[0]
    install(
        site,
        "broken-package",
        entry_point,
        broken_for_tests=BROKEN_MODULE,
        raising_for_tests="raise RuntimeError('no licence')",
        exiting_for_tests="import sys; sys.exit(3)",
    )
    registry = Registry()
    kind = type("Thing", (), {"__module__": f"{name}.sub"})
    # Twice: a failure is remembered, not forgotten.
    for _ in range(2):
        with pytest.raises(Unsupported) as on_decode:
            Decoder(registry=registry).decode([{f"${name}.Thing": 1}])
        with pytest.raises(NotLossless) as on_encode:
            Encoder(registry=registry).encode([kind()])
        assert (on_decode.value.at, on_decode.value.fault) == ("$[0]", "kernel")
        assert on_encode.value.path == "[0]"
        for message in (on_decode.value.message, on_encode.value.reason):
            assert repr(name) in message
            assert "broken-package" in message
            assert reason in message
    # Everything else goes on.
    assert round_trip({"a": (1,)}, using=registry) == {"a": (1,)}


def test_two_packages_may_serve_one_root(site: Path) -> None:
    install(site, "first", "shared_for_tests = first_for_tests:CODEC", first_for_tests=one_codec("A"))
    install(site, "second", "shared_for_tests = second_for_tests:CODEC", second_for_tests=one_codec("B"))
    decoder = Decoder(registry=Registry())
    assert decoder.decode([{"$shared_for_tests.A": 0}, {"$shared_for_tests.B": 0}]) == ["A", "B"]


def one_codec(name: str) -> str:
    return f"""
from snakekernel.values import Codec
CODEC = Codec("shared_for_tests.{name}", (), lambda obj, encoder: 0, lambda payload, decoder: {name!r})
"""


def test_a_codecs_own_failures_are_explained() -> None:
    class Thing:
        pass

    def fail(*args: object) -> object:
        raise ZeroDivisionError("oops")

    registry = Registry()
    registry.register(Codec("mine", (Thing,), fail, fail))
    with pytest.raises(NotLossless, match=r"the codec \$mine failed: ZeroDivisionError: oops"):
        Encoder(registry=registry).encode([Thing()])
    with pytest.raises(InvalidRequest, match=r"malformed \$mine: ZeroDivisionError: oops") as caught:
        Decoder(registry=registry).decode([{"$mine": 1}])
    assert caught.value.at == "$[0]['$mine']"


def test_a_predicate_that_fails_is_explained() -> None:
    def fail(kind: type) -> bool:
        raise ZeroDivisionError("oops")

    registry = Registry()
    registry.register(Codec("mine", (), lambda obj, encoder: 0, lambda payload, decoder: 0, matches=fail))
    with pytest.raises(NotLossless, match=r"the predicate of the codec \$mine failed: ZeroDivisionError"):
        Encoder(registry=registry).encode([object()])
    assert round_trip([1, (2,)], using=registry) == [1, (2,)]


def test_threads_may_meet_a_package_at_once() -> None:
    code = """
import threading
from snakekernel.values import Encoder, Registry
import numpy, pandas
fresh = Registry()
barrier = threading.Barrier(8)
results = []
def meet():
    barrier.wait()
    for value in (numpy.zeros(2), pandas.Timestamp(0), numpy.float32(1)):
        results.append(next(iter(Encoder(registry=fresh).encode(value))))
threads = [threading.Thread(target=meet) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(results), sorted(set(results)))
"""
    assert python(code) == "24 ['$ndarray', '$npscalar', '$pandas']"


def test_a_codec_may_fall_back_after_a_failed_child() -> None:
    class Thing:
        def __init__(self, *parts: object) -> None:
            self.parts = parts

    def encode(thing: Thing, encoder: Encoder) -> object:
        try:
            return encoder.encode([b"lost", *thing.parts])
        except NotLossless:
            return encoder.encode([b"kept"])

    def decode(payload: Any, decoder: Decoder) -> object:
        try:
            return decoder.child([[[payload, {"$nothing": 1}]]])
        except InvalidRequest:
            return decoder.child(payload)

    registry = Registry()
    registry.register(Codec("mine", (Thing,), encode, decode))
    encoder = Encoder(registry=registry)
    data = encoder.encode([[Thing(object())], b"last"])
    assert [bytes(view) for view in encoder.buffers] == [b"kept", b"last"]
    assert Decoder(registry=registry).decode([{"$mine": [1]}] * 300) == [[1]] * 300
    assert data == [[{"$mine": [{"$bytes": 0}]}], {"$bytes": 1}]


@pytest.mark.parametrize("tag", ["", "$x", "a b", "a..b", "é", ".a"])
def test_tags_are_plain_names(tag: str) -> None:
    with pytest.raises(ValueError, match="codec tag"):
        Codec(tag, (), str, str)  # type: ignore[arg-type]


def test_a_tag_belongs_to_one_codec() -> None:
    registry = Registry()
    codec = Codec("mine", (), lambda obj, encoder: None, lambda payload, decoder: None)
    registry.register(codec)
    registry.register(codec)
    with pytest.raises(ValueError, match="taken"):
        registry.register(Codec("mine", (), lambda obj, encoder: None, lambda payload, decoder: None))


def test_every_public_name_is_exported_once() -> None:
    import snakekernel.values as values

    assert sorted(set(values.__all__)) == sorted(values.__all__)
    assert all(hasattr(values, name) for name in values.__all__)
