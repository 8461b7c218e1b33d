"""Headers from a template are what a JSON library would have written, and lead replies to their requests."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snakekernel.wire.frame import BadFrame, Headers

TIMES = st.floats(0, 4e9, allow_nan=False)


@given(now=TIMES, name=st.text())
def test_a_header_is_json_with_a_date(now: float, name: str) -> None:
    name = name.encode("utf-8", "ignore").decode()
    headers = Headers("0af3", name)
    number, packed = headers.next("snake_call_request", now)
    header = json.loads(packed)
    date = datetime.fromisoformat(header.pop("date"))
    assert date.tzinfo == UTC
    assert abs(date.timestamp() - now) < 1e-5
    assert header == {
        "msg_id": f"0af3_{number}",
        "msg_type": "snake_call_request",
        "username": name,
        "session": "0af3",
        "version": "5.4",
    }


@given(times=st.lists(TIMES, min_size=2, max_size=20))
def test_every_message_has_a_number_of_its_own_that_a_reply_leads_back_to(times: list[float]) -> None:
    headers = Headers("0af3", "someone")
    made = [headers.next("x", now) for now in times]
    assert len({number for number, _ in made}) == len(times)
    for number, packed in made:
        assert headers.number(packed) == number
        anew = json.loads(packed)
        assert headers.number(json.dumps(anew).encode()) == number
        assert headers.number(json.dumps(dict(reversed(anew.items()))).encode()) == number


@pytest.mark.parametrize("msg_id", ["0af4_1", "0af3", "0af3_", "0af3_x", "_1", "0af3_1_2", "0af3_²", ""])
def test_a_header_of_somebody_else_leads_nowhere(msg_id: str) -> None:
    parent = {"msg_id": msg_id, "msg_type": "x"}
    for packed in (json.dumps(parent), json.dumps(parent, separators=(",", ":"))):
        assert Headers("0af3", "someone").number(packed.encode()) is None


@pytest.mark.parametrize("parent", [b"", b"{}", b"[]", b"\xff", b'{"msg_id": 1, "msg_type": "x"}'])
def test_what_is_no_header_is_a_bad_frame(parent: bytes) -> None:
    with pytest.raises(BadFrame):
        Headers("0af3", "someone").number(parent)


@given(parent=st.binary())
def test_any_bytes_give_a_number_or_none_or_a_bad_frame(parent: bytes) -> None:
    headers = Headers("0af3", "someone")
    for packed in (parent, b'{"msg_id":"0af3_' + parent):
        try:
            found = headers.number(packed)
        except BadFrame:
            continue
        assert found is None or isinstance(found, int)
