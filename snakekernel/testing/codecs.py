"""Conformance kit for codecs: subclass ``CodecTests`` in your test suite, or use its two functions alone.

Rules: what a codec must keep is tested the way it travels: through JSON bytes and read-only copies of the
buffers. The kit uses only the public API of ``snakekernel.values``, so a codec that passes here works in any
kernel or client that has it installed.

Example::

    class TestPoint(CodecTests):
        tag = "shapely.Point"
        imports = "shapely"

        def samples(self):
            return [Point(0, 0), Point(1.5, float("inf"))]

        def malformed(self):
            return [None, [1], ["a", "b"]]
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime, time
from decimal import Decimal
from typing import Any, ClassVar

import pytest

from snakekernel.values import Decoder, Encoder, NotLossless, Registry, registry
from snakekernel.wire.errors import InvalidRequest, SnakeError

#: Stand-ins for whatever a stranger may send in place of a payload or of one of its fields.
_JUNK: tuple[Any, ...] = (
    None,
    True,
    -1,
    10**9,
    0.5,
    "",
    "x",
    "\x00",
    [],
    [None],
    {},
    {"x": 1},
    {"$nothing": 1},
)


def round_trip(obj: Any, *, using: Registry = registry) -> Any:
    """``obj`` encoded, sent as JSON bytes and read-only buffers, and decoded; every buffer is used once."""
    encoder = Encoder(registry=using)
    data = encoder.encode(obj)
    received = json.loads(json.dumps(data, allow_nan=False, ensure_ascii=False).encode())
    decoder = Decoder([memoryview(bytes(view)) for view in encoder.buffers], registry=using)
    result = decoder.decode(received)
    assert decoder.used == set(range(len(encoder.buffers))), "a buffer was sent but not used"
    return result


def same(one: Any, other: Any) -> bool:
    """Equal with the same types all through containers; NaN is NaN, and 0.0 is not -0.0."""
    if type(one) is not type(other):
        return False
    if type(one) in (list, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if type(one) is dict:
        return len(one) == len(other) and all(
            same(a, b) and same(x, y) for (a, x), (b, y) in zip(one.items(), other.items(), strict=True)
        )
    if type(one) in (set, frozenset):
        return len(one) == len(other) and all(any(same(a, b) for b in other) for a in one)
    if type(one) is float:
        return (math.isnan(one) and math.isnan(other)) or (
            one == other and math.copysign(1, one) == math.copysign(1, other)
        )
    if type(one) is complex:
        return same(one.real, other.real) and same(one.imag, other.imag)
    if type(one) is Decimal:
        return bool(one.as_tuple() == other.as_tuple())
    if type(one) in (datetime, time):
        return (
            same(
                (one.replace(tzinfo=None), one.fold, repr(one.tzinfo)),
                (other.replace(tzinfo=None), other.fold, repr(other.tzinfo)),
            )
            if one.tzinfo
            else bool(one == other and one.fold == other.fold)
        )
    return bool(one == other)


class CodecTests:
    """Mix-in: name it ``Test...``, give ``tag`` and ``samples``, and pytest does the rest.

    Attributes:
        tag: the codec's tag, without ``$``.
        imports: the package that must stay unimported until the codec is needed; None to skip that test.
        registry: the codec table to test with.
    """

    tag: ClassVar[str]
    imports: ClassVar[str | None] = None
    registry: ClassVar[Registry] = registry

    def samples(self) -> Iterable[Any]:
        """Objects that must come back as they were; include the odd ones (empty, huge, NaN)."""
        raise NotImplementedError

    def malformed(self) -> Iterable[Any]:
        """Payloads that must be refused, beyond those that the kit makes up itself."""
        return ()

    def refused(self) -> Iterable[Any]:
        """Objects of the codec's types that have no lossless form."""
        return ()

    def equal(self, one: Any, other: Any) -> bool:
        """Whether two objects are the same value; override for types whose ``==`` does not say."""
        return same(one, other)

    def test_samples_come_back_as_they_were(self) -> None:
        for sample in self.samples():
            back = round_trip(sample, using=self.registry)
            assert type(back) is type(sample)
            assert self.equal(sample, back), f"{sample!r} came back as {back!r}"

    def test_samples_come_back_inside_containers(self) -> None:
        for sample in self.samples():
            back = round_trip({"a": [sample, (sample,)]}, using=self.registry)
            assert self.equal(sample, back["a"][0])
            assert self.equal(sample, back["a"][1][0])

    def test_samples_travel_under_the_tag(self) -> None:
        for sample in self.samples():
            assert list(Encoder(registry=self.registry).encode(sample)) == [f"${self.tag}"]

    def test_malformed_payloads_are_invalid_requests(self) -> None:
        for payload in self.malformed():
            with pytest.raises(InvalidRequest) as caught:
                Decoder(registry=self.registry).decode([{f"${self.tag}": payload}])
            assert (caught.value.at or "").startswith("$[0]"), f"no path in the error for {payload!r}"

    def test_damaged_payloads_raise_no_other_errors(self) -> None:
        for sample in self.samples():
            encoder = Encoder(registry=self.registry)
            payload = encoder.encode(sample)[f"${self.tag}"]
            for damaged in _damage(payload):
                decoder = Decoder(
                    [memoryview(bytes(view)) for view in encoder.buffers], registry=self.registry
                )
                at: str | None = "$[0]"
                try:
                    decoder.decode([{f"${self.tag}": damaged}])
                except SnakeError as exc:
                    at = exc.at
                assert (at or "").startswith("$[0]"), f"no path in the error for {damaged!r}"

    def test_what_has_no_lossless_form_is_refused(self) -> None:
        for obj in self.refused():
            with pytest.raises(NotLossless) as caught:
                Encoder(registry=self.registry).encode([obj])
            assert caught.value.path.startswith("[0]")
            assert caught.value.reason

    def test_nothing_is_imported_before_it_is_needed(self) -> None:
        if self.imports is None:
            pytest.skip("imports is not set")
        code = (
            f"import sys; sys.path[:] = {sys.path!r}\n"
            "from snakekernel.values import Decoder, Encoder\n"
            "Decoder().decode(Encoder().encode({'a': [1, (2.5, None)]}))\n"
            f"sys.exit({self.imports!r} in sys.modules)"
        )
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def _damage(payload: Any) -> Iterator[Any]:
    """The payload replaced by junk, or with one of its parts replaced, dropped or added."""
    yield from _JUNK
    if type(payload) is dict:
        yield {**payload, "unknown field": 1}
        for key, value in payload.items():
            yield {name: part for name, part in payload.items() if name != key}
            for part in _damage(value) if type(value) in (dict, list) else _JUNK:
                yield {**payload, key: part}
    elif type(payload) is list:
        for index, value in enumerate(payload):
            yield payload[:index] + payload[index + 1 :]
            for part in _damage(value) if type(value) in (dict, list) else _JUNK:
                yield [*payload[:index], part, *payload[index + 1 :]]
