"""A file of objects and what it holds, for the tests of durable objects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from snakekernel.durable.database import Database
from snakekernel.durable.pickles import pickled, unpickled
from snakekernel.objects.secrets import Secrets

KEY = bytes(range(32))


def write(path: Path, objects: dict[tuple[str, str], Any], *, key: bytes = KEY) -> None:
    """Put objects into a file in one transaction; those named so with None go."""
    with Database(path, key, create=True) as database, database.writing() as writing:
        for (session, name), obj in objects.items():
            if obj is None:
                writing.delete(session, name)
            else:
                facts = {"type": type(obj).__name__, "module": type(obj).__module__}
                writing.put(session, name, pickled(obj, None), **facts, created=1.0, expires_at=None)


def read(path: Path, *, key: bytes = KEY) -> dict[tuple[str, str], Any]:
    """All objects of a file. Raises StorageFailed, NotFound."""
    with Database(path, key) as database, database.reading() as reading:
        return {(row.session, row.name): unpickled(*reading.parts(row), Secrets()) for row in reading.rows}
