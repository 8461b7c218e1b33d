"""Sharing results with other kernels: what one published is an argument for any client of another."""

from __future__ import annotations

from typing import Any

from ..values import Published
from .payload import Target, field, published
from .requests import Requests


class Publishing(Requests):
    """What a client offers for sharing results between kernels."""

    def publish(
        self,
        id: str | None = None,
        *,
        target: Target | None = None,
        session_id: str | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Publish a stored object's value for other kernels of the kernel's host; returns a ``Published``.

        It is an argument for any client of those: there it is the object, its arrays views of the same
        memory. It is a snapshot, kept until it is unpublished or its session or kernel ends.

        Args:
            id: a stored object's name. target: instead of it a path below ``stored`` or ``user``, or a proxy.

        Raises:
            Unserializable: the object has no lossless form. LimitExceeded: too much is published already.
        """
        return self._send("publish", {"id": id, "target": target}, published, session_id, timeout)

    def unpublish(
        self,
        id: Published | str | None = None,
        *,
        session_id: str | None = None,
        timeout: float | None = None,
    ) -> Any:
        """End a publication, named by itself or its id, or with None all of this session's; returns how many.

        Whoever opened it keeps it. Answers while the kernel is busy.
        """
        name = id.id if isinstance(id, Published) else id
        return self._send("unpublish", {"id": name}, field("count"), session_id, timeout, channel="control")
