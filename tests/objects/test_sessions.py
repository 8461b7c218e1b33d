"""Sessions as a function of (table, now): leases, renewal, tombstones."""

from __future__ import annotations

import threading

import pytest

from snakekernel.objects.sessions import SessionTable
from snakekernel.wire.errors import InvalidRequest, LimitExceeded, NotFound, SessionExpired


@pytest.fixture
def table() -> SessionTable:
    return SessionTable(default_ttl=10.0, max_sessions=3)


def test_use_renews(table: SessionTable) -> None:
    session = table.create("s", now=0.0)
    assert session.expires_at == 10.0
    table.release(table.lease("s", now=9.0, create=False), now=9.5)
    assert session.expires_at == 19.5
    assert table.expire(19.0) == []
    assert [s.id for s in table.expire(19.5)] == ["s"]


def test_a_lease_keeps_it(table: SessionTable) -> None:
    session = table.lease("s", now=0.0, create=True)
    assert table.expire(1_000.0) == []
    assert table.lease("s", now=1_000.0, create=False) is session
    table.release(session, now=1_000.0)
    assert table.expire(2_000.0) == []
    table.release(session, now=2_000.0)
    assert table.next_expiry() is not None
    assert [s.id for s in table.expire(2_010.0)] == ["s"]


def test_no_end(table: SessionTable) -> None:
    forever = SessionTable(default_ttl=None)
    assert forever.create("s", now=0.0).expires_at is None
    assert forever.next_expiry() is None
    assert forever.expire(1e12) == []
    assert forever.create("t", now=0.0, ttl=5.0).expires_at == 5.0


def test_an_expired_one_says_so_until_it_is_created_anew(table: SessionTable) -> None:
    table.create("s", now=0.0)
    for now in (10.0, 11.0):  # due and not yet looked at; then looked at
        for create in (False, True):
            with pytest.raises(SessionExpired):
                table.lease("s", now=now, create=create)
        table.expire(now)
    table.create("s", now=12.0)
    table.release(table.lease("s", now=12.0, create=False), now=12.0)


def test_a_failed_creation_does_not_revive_it(table: SessionTable) -> None:
    table.create("s", now=0.0)
    table.expire(10.0)
    for name in ("a", "b", "c"):
        table.create(name, now=10.0)
    with pytest.raises(LimitExceeded):
        table.create("s", now=10.0)
    table.close("a")
    with pytest.raises(SessionExpired):
        table.lease("s", now=10.0, create=True)


def test_a_closed_one_is_unknown(table: SessionTable) -> None:
    session = table.create("s", now=0.0)
    assert table.close("s") is session
    assert session.closed
    with pytest.raises(NotFound):
        table.close("s")
    with pytest.raises(NotFound):
        table.lease("s", now=0.0, create=False)
    again = table.lease("s", now=0.0, create=True)
    assert again.space != session.space  # what the old one left behind is not the new one's


def test_names_are_taken(table: SessionTable) -> None:
    table.create("s", now=0.0)
    with pytest.raises(InvalidRequest) as caught:
        table.create("s", now=0.0)
    assert caught.value.at == "$.session_id"


def test_when_to_look_next(table: SessionTable) -> None:
    assert table.next_expiry() is None
    table.create("long", now=0.0, ttl=100.0)
    table.create("short", now=0.0, ttl=1.0)
    assert table.next_expiry() == 1.0
    table.expire(1.0)
    assert table.next_expiry() == 100.0


def test_threads_share_one() -> None:
    table = SessionTable()
    barrier = threading.Barrier(8)
    leased = []

    def use() -> None:
        barrier.wait()
        for _ in range(200):
            session = table.lease("s", now=0.0, create=True)
            leased.append(session)
            table.release(session, now=0.0)

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(session) for session in leased}) == 1
    assert leased[0].leases == 0
