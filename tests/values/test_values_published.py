"""The codec of publications: what it keeps, and what it refuses with its path."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterator
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakekernel import Published
from snakekernel.memory.peers import SUPPORTED, create
from snakekernel.memory.publications import HOST, Publications, host
from snakekernel.memory.segments import equal
from snakekernel.values import Decoder, Encoder
from snakekernel.values.published import opened
from snakekernel.wire.errors import InvalidRequest, LimitExceeded, NotFound, SnakeError
from snakekernel.wire.frame import pack_json

needs_segments = pytest.mark.skipif(not SUPPORTED, reason="segments need Linux")
AT = "$['$published']"


@pytest.fixture
def publications() -> Iterator[Publications]:
    """Publications of this process, ended after the test."""
    kept = Publications()
    yield kept
    kept.clear("me")


def published(publications: Publications, obj: Any, key: str = "x", *, inline: bool = True) -> Published:
    """What a kernel's reply has of an object."""
    encoder = Encoder()
    data = encoder.encode(obj)
    text, buffers = pack_json(data), encoder.buffers
    fields: dict[str, Any] = {"value": data}
    if not inline:
        text, buffers, fields = b"", [*buffers, memoryview(text)], {}
    kept = publications.add("me", key, text, buffers)
    return Published(
        id=kept.id,
        kernel="k",
        host=host(),
        type=type(obj).__name__,
        segments=kept.segments,
        buffers=kept.parts,
        **fields,
    )


def forged(publication: Published, **changes: Any) -> dict[str, Any]:
    """Its data with other fields; those named ``segment_…`` are of its first segment."""
    data = publication.to_json()["$published"]
    for name, value in changes.items():
        if name.startswith("segment_"):
            data["segments"][0][name.removeprefix("segment_")] = value
        else:
            data[name] = value
    return {"$published": data}


def decoded(data: Any) -> Any:
    """As a kernel reads an argument."""
    return Decoder(resolve_published=opened).decode(data)


OBJECTS: list[Any] = [
    None,
    [1, 2.5, "é", {"a": [True]}],
    {1: b"", 2: b"x" * 100, "y": (numpy.arange(5), numpy.ones((2, 0)), bytearray(b"abc"))},
    numpy.arange(400_000).reshape(2, -1),
]


@needs_segments
@pytest.mark.parametrize("inline", [True, False])
@pytest.mark.parametrize("obj", OBJECTS, ids=["none", "plain", "small", "big"])
def test_what_is_published_is_read_elsewhere(publications: Publications, obj: Any, inline: bool) -> None:
    publication = published(publications, obj, inline=inline)
    for back in (publication, Published.from_json(json.loads(json.dumps(publication.to_json())))):
        numpy.testing.assert_equal(back.get(), obj)
        numpy.testing.assert_equal(decoded([{"x": back.to_json()}])[0]["x"], obj)
        assert Encoder().encode([back]) == [publication.to_json()]
    assert pickle.loads(pickle.dumps(publication)) == publication
    assert hash(publication) == hash(pickle.loads(pickle.dumps(publication)))
    assert len(repr(publication)) < 60


def test_without_a_resolver_it_stays_what_it_is() -> None:
    publication = Published(id="0" * 32, kernel="k", host="1" * 32, type="int", value=5)
    assert Decoder().decode([publication.to_json()]) == [publication]
    assert (repr(publication), publication.get()) == ("<published int, 0 bytes, 00000000>", 5)


@needs_segments
def test_small_buffers_share_a_segment_and_big_ones_have_their_own(publications: Publications) -> None:
    value = [b"a", b"", b"bc", b"x" * (1 << 20)]
    publication = published(publications, value)
    assert len(publication.segments) == 2
    assert [part and part[2] for part in publication.buffers] == [1, None, 2, 1 << 20]
    assert all(part is None or part[1] % 64 == 0 for part in publication.buffers)


@needs_segments
def test_the_same_bytes_again_are_the_same_publication(publications: Publications) -> None:
    array = numpy.arange(1_000_000)
    first = published(publications, array)
    assert published(publications, array) == first
    assert published(publications, array, "y") != first
    array[500_000] = 0
    assert published(publications, array).id != first.id
    assert published(publications, array.astype("f4")).id != first.id
    assert first.get()[500_000] == 500_000
    assert len(publications) == 4


@needs_segments
def test_what_ended_cannot_be_opened_and_what_is_open_stays(publications: Publications) -> None:
    publication = published(publications, numpy.arange(1_000_000))
    before = len(os.listdir("/proc/self/fd"))
    mine = publication.get()
    assert [publications.remove(publication.id) for _ in range(2)] == [True, False]
    with pytest.raises(NotFound, match="unpublished") as caught:
        publication.get()
    assert caught.value.at == "$.segments[0]"
    assert mine.sum() == 499_999_500_000
    del mine
    assert len(os.listdir("/proc/self/fd")) < before


@needs_segments
def test_what_came_in_shared_memory_is_published_without_a_copy(publications: Publications) -> None:
    first = published(publications, numpy.arange(1_000_000))
    mine = first.get()
    second = published(publications, mine, "again")
    assert second.segments[0].name == first.segments[0].name
    # Each for as long as it is published itself, whoever has the memory.
    publications.remove(second.id)
    with pytest.raises(NotFound):
        second.get()
    mine[0] = 5
    third = published(publications, mine, "third")
    assert third.segments[0].name != first.segments[0].name
    assert (third.get()[0], first.get()[0]) == (5, 0)


@needs_segments
def test_there_are_only_so_many_and_so_large_ones() -> None:
    few = Publications(most=2, most_bytes=1000)
    for key in "ab":
        published(few, b"x" * 448, key)
    with pytest.raises(LimitExceeded, match="2 publications"):
        published(few, b"x", "c")
    assert few.remove(published(few, b"x" * 448, "a").id)
    with pytest.raises(LimitExceeded, match="1000"):
        published(few, b"x" * 553, "c")
    assert (few.clear("me"), len(few), few.nbytes) == (1, 0, 0)


def test_on_another_host_it_is_told_who_moves_it(
    publications: Publications, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = published(publications, [1, 2])
    data = forged(published(publications, b"x"), host="f" * 32) if SUPPORTED else None
    if data is not None:
        with pytest.raises(NotFound, match=r"another host.*pool") as caught:
            decoded([data])
        assert caught.value.at == "$[0]['$published'].host"
    # What lies in no segment is read anywhere.
    assert decoded(forged(here, host="f" * 32)) == [1, 2]
    before = host()
    monkeypatch.setenv(HOST, "elsewhere")
    assert host() != before


# -- malformed and forged ----------------------------------------------------------------------------------


@needs_segments
@pytest.mark.parametrize(
    ("changes", "at"),
    [
        ({"id": "../x"}, ".id"),
        ({"host": 5}, ".host"),
        ({"more": 1}, ""),
        ({"segments": {}}, ".segments"),
        ({"segments": []}, ".buffers[0]"),
        ({"segment_pid": 0}, ".segments[0].pid"),
        ({"segment_pid": 2**31}, ".segments[0].pid"),
        ({"segment_descriptor": -1}, ".segments[0].descriptor"),
        ({"segment_name": "../../etc/passwd"}, ".segments[0].name"),
        ({"segment_length": 0}, ".segments[0].length"),
        ({"segment_length": 2**50}, ".segments[0]"),
        ({"segment_offset": 2**62}, ".segments[0]"),
        ({"segment_more": 1}, ".segments[0]"),
        ({"buffers": [[0, 0, 2**40]]}, ".buffers[0]"),
        ({"buffers": [[0, 2**40, 1]]}, ".buffers[0]"),
        ({"buffers": [[1, 0, 1]]}, ".buffers[0]"),
        ({"buffers": [[-1, 0, 1]]}, ".buffers[0][0]"),
        ({"buffers": [[0, 0]]}, ".buffers[0]"),
        ({"buffers": []}, ".value['$bytes']"),
        ({"buffers": [None]}, ""),
        ({"value": {"$bytes": 1}}, ".value['$bytes']"),
        ({"value": {"$ndarray": {}}}, ".value['$ndarray']"),
        ({"value": {"$callback": "f"}}, ".value['$callback']"),
    ],
)
def test_a_malformed_payload_is_refused_with_its_path(
    publications: Publications, changes: dict[str, Any], at: str
) -> None:
    data = forged(published(publications, b"x" * 100), **changes)
    if changes == {"buffers": [None]}:
        # An empty buffer is a value, too.
        assert decoded(data) == b""
        return
    with pytest.raises(SnakeError) as caught:
        decoded(data)
    assert caught.value.at == AT + at, caught.value
    assert caught.value.code in ("invalid_request", "unsupported")
    assert caught.value.fault == "caller"


@needs_segments
@pytest.mark.parametrize("text", [b"{", b"[" * 5_000, b"\xff", b'{"$bytes": 0}', b'{"$nothing": 1}'])
def test_long_values_are_read_with_the_same_care(publications: Publications, text: bytes) -> None:
    kept = publications.add("me", "x", b"", [memoryview(text)])
    data = Published(
        id=kept.id, kernel="k", host=host(), type="x", segments=kept.segments, buffers=kept.parts
    )
    with pytest.raises(SnakeError) as caught:
        decoded(data.to_json())
    assert caught.value.code in ("invalid_request", "limit")
    assert str(caught.value.at).startswith(AT)


@needs_segments
@pytest.mark.parametrize("seal", [False, True])
def test_a_file_that_may_still_change_is_refused(publications: Publications, seal: bool) -> None:
    publication = published(publications, b"x" * 100)
    descriptor, name = create()
    try:
        os.ftruncate(descriptor, 4096)
        if seal:
            import fcntl

            fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        data = forged(publication, segment_descriptor=descriptor, segment_name=name)
        with pytest.raises(InvalidRequest, match="not sealed"):
            decoded(data)
    finally:
        os.close(descriptor)


_numbers = st.integers(-(2**65), 2**65) | st.integers(-2, 200)
_segments = st.fixed_dictionaries(
    {"pid": _numbers, "descriptor": _numbers, "offset": _numbers, "length": _numbers},
    optional={"name": st.text("0123456789abcdef", min_size=32, max_size=32) | st.text()},
)
_payloads = st.fixed_dictionaries(
    {"id": st.just("0" * 32), "kernel": st.text(max_size=3), "type": st.text(max_size=3)},
    optional={
        "host": st.just(host()) | st.text("0123456789abcdef", min_size=32, max_size=32) | st.none(),
        "value": st.recursive(
            st.none() | _numbers | st.text(max_size=3),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["$bytes", "$ndarray", "$published"]), inner, max_size=1)
            ),
            max_leaves=5,
        ),
        "segments": st.lists(_segments, max_size=3),
        "buffers": st.lists(st.none() | st.lists(_numbers, max_size=4), max_size=3),
    },
)


@given(_payloads)
def test_whatever_comes_ends_in_a_value_or_an_error_with_a_path(payload: Any) -> None:
    at = "$[0]"
    try:
        decoded([{"$published": payload}])
    except SnakeError as error:
        at = str(error.at)
    assert at.startswith("$[0]")


@given(st.binary(), st.binary())
def test_equal_is_what_python_says(one: bytes, other: bytes) -> None:
    assert equal(memoryview(one), memoryview(other)) is (one == other)
    assert equal(memoryview(one), memoryview(bytes(bytearray(one))))
