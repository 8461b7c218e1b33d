"""Messages as bytes: splitting, signing, headers, buffers, JSON."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jupyter_client.session import Session

from snakekernel.wire.errors import BY_CODE, InvalidRequest, LimitExceeded, SnakeError
from snakekernel.wire.frame import (
    BadFrame,
    Signer,
    bind_buffers,
    check_buffers,
    flat,
    pack_json,
    unpack_any_header,
    unpack_header,
    unpack_object,
)
from snakekernel.wire.names import is_ours, op_of, reply_type, request_type

parts = st.lists(st.binary(), min_size=4, max_size=4)

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


class TestSigner:
    @given(st.binary(min_size=1), parts)
    def test_as_jupyter_signs(self, key: bytes, signed: list[bytes]) -> None:
        signer = Signer(key)
        assert signer.sign(signed) == Session(key=key).sign(signed)
        assert signer.check(signer.sign(signed), signed)
        assert signer.sign(signed) == signer.sign(signed)

    @given(st.binary(min_size=1), parts, st.integers(0, 3))
    def test_any_change_shows(self, key: bytes, signed: list[bytes], which: int) -> None:
        signature = Signer(key).sign(signed)
        changed = [part + b"x" if index == which else part for index, part in enumerate(signed)]
        assert not Signer(key).check(signature, changed)
        assert not Signer(key + b"x").check(signature, signed)
        assert not Signer(key).check(b"", signed)

    def test_without_a_key(self) -> None:
        assert Signer(b"").sign([b"a"]) == b""
        assert Signer(b"").check(b"anything", [b"a"])


class TestHeader:
    def test_what_is_read(self) -> None:
        header = unpack_header(b'{"msg_id": "m", "msg_type": "t", "more": [1]}')
        assert (header.msg_id, header.msg_type) == ("m", "t")

    def test_a_kernel_reads_all_of_it(self) -> None:
        header = {"msg_id": "m", "msg_type": "t", "subshell_id": "s", "more": [1]}
        assert unpack_any_header(pack_json(header)) == header

    @pytest.mark.parametrize(
        "part",
        [b"", b"{}", b"[]", b'{"msg_id": 5, "msg_type": "t"}', b'{"msg_id": "m"}', b"\xff", b"[" * 100_000],
    )  # fmt: skip
    def test_bad(self, part: bytes) -> None:
        with pytest.raises(BadFrame):
            unpack_any_header(part)
        with pytest.raises(BadFrame):
            unpack_header(part)

    @given(st.binary())
    def test_anything(self, part: bytes) -> None:
        try:
            unpack_header(part)
        except BadFrame:
            pass


class TestJson:
    @given(plain)
    def test_plain_data_survives(self, data: Any) -> None:
        packed = pack_json({"data": data})
        assert json.loads(packed) == {"data": data}

    def test_lone_surrogates_come_in_letters(self) -> None:
        """JSON in UTF-8 cannot carry them; values that hold them have a form of their own."""
        assert json.loads(pack_json({"\ud800": ["a\udfff"]})) == {"\\ud800": ["a\\udfff"]}

    @pytest.mark.parametrize(
        ("part", "error"),
        [
            (b"", InvalidRequest),
            (b"[]", InvalidRequest),
            (b"null", InvalidRequest),
            (b"{} {}", InvalidRequest),
            (b"\xff", InvalidRequest),
            (b'{"a": NaN}', InvalidRequest),
            (b'{"a":' * 100_000, LimitExceeded),
            (b"[" * 100_000, LimitExceeded),
        ],
    )
    def test_what_is_no_object(self, part: bytes, error: type[SnakeError]) -> None:
        with pytest.raises(error) as caught:
            unpack_object(part)
        assert caught.value.at == "$"
        assert caught.value.fault == "caller"


class TestBuffers:
    @given(st.lists(st.binary(), max_size=4))
    def test_bound_buffers_are_accepted(self, buffers: list[bytes]) -> None:
        check_buffers(bind_buffers(buffers), buffers, required=True)

    @given(st.lists(st.binary(min_size=1), min_size=1, max_size=4), st.data())
    def test_any_change_shows(self, buffers: list[bytes], data: st.DataObject) -> None:
        bound = bind_buffers(buffers)
        which = data.draw(st.integers(0, len(buffers) - 1))
        flipped = bytes([buffers[which][0] ^ 1]) + buffers[which][1:]
        for other in (
            [*buffers, b""],
            buffers[:-1],
            [*buffers[:which], flipped, *buffers[which + 1 :]],
            [*buffers[:which], buffers[which] + b"x", *buffers[which + 1 :]],
        ):
            with pytest.raises(InvalidRequest) as caught:
                check_buffers(bound, other, required=False)
            assert (caught.value.at or "").startswith("$metadata.snake_buffers")

    @given(
        st.none()
        | st.integers()
        | st.text()
        | st.lists(st.none() | st.dictionaries(st.text(), st.integers()))
    )
    def test_bad_metadata(self, bound: Any) -> None:
        try:
            check_buffers({"snake_buffers": bound}, [b"abc"], required=False)
        except InvalidRequest:
            return
        assert bound is None

    def test_unbound(self) -> None:
        check_buffers({}, [b"abc"], required=False)
        check_buffers({}, [], required=True)
        with pytest.raises(InvalidRequest):
            check_buffers({}, [b"abc"], required=True)

    def test_shapes_do_not_matter(self) -> None:
        numpy = pytest.importorskip("numpy")
        array = numpy.arange(6.0).reshape(2, 3)
        view = flat(memoryview(array))
        assert (view.ndim, view.format, view.nbytes) == (1, "B", 48)
        bound = bind_buffers([memoryview(array)])["snake_buffers"]
        assert bound == [{"length": 48, "sha256": hashlib.sha256(array.tobytes()).hexdigest()}]
        check_buffers({"snake_buffers": bound}, [array.tobytes()], required=True)


class TestNames:
    @given(st.text())
    def test_any_type_of_ours_can_be_answered(self, text: str) -> None:
        msg_type = f"snake_{text}"
        assert is_ours(msg_type)
        assert is_ours(reply_type(op_of(msg_type)))

    def test_both_ways(self) -> None:
        for op in ("call", "list_stored", "configure_lm"):
            assert op_of(request_type(op)) == op
        assert not is_ours("execute_request")


def test_every_error_has_its_own_code() -> None:
    def tree(cls: type[SnakeError]) -> set[type[SnakeError]]:
        return {cls}.union(*(tree(sub) for sub in cls.__subclasses__() if "wire" in sub.__module__), {cls})

    assert set(BY_CODE.values()) == tree(SnakeError) - {SnakeError}
    assert len(BY_CODE) == 15
    for code, cls in BY_CODE.items():
        error = cls("what to do", at="$.here")
        assert (error.code, error.fault) == (code, cls.default_fault)
        assert str(error) == "what to do (at $.here)"
