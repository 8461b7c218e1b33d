"""Any operation by its name, with plain JSON as its content: for tools that pass on what somebody wrote."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

from ..commands.reading import to_request
from ..plugins.load import CommandTable
from ..wire.errors import UnknownOperation
from .hearing import OnOutput, OnProgress, Outputs, outputs_of
from .keeper import LEASE
from .payload import check_plain, field, whole
from .routing import Routing


class Exchanging(Routing):
    """Operations by name, for both clients."""

    def execute(
        self,
        command: str,
        args: Mapping[str, Any] | None = None,
        *,
        session_id: str | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Any operation by name with plain JSON arguments; returns the content of the reply."""
        content = self._plain_content(args, session_id)
        return self._submit(command, content, (), whole, channel="shell", timeout=timeout)

    def exchange(
        self,
        command: str,
        args: Mapping[str, Any] | None = None,
        *,
        buffers: Sequence[memoryview] = (),
        session_id: str | None = None,
        timeout: float | None = None,
        on_output: OnOutput | None = None,
        on_progress: OnProgress | None = None,
    ) -> Any:
        """As ``execute``, with buffers both ways; returns the reply's content and its buffers.

        ``on_output`` and ``on_progress`` are those of ``call``.
        """
        content = self._plain_content(args, session_id)
        if on_output is None and on_progress is None:
            return self._submit(command, content, buffers, _as_it_came, channel="shell", timeout=timeout)
        outputs = Outputs(on_output, on_progress)
        return self._listened(command, content, buffers, _as_it_came, outputs, timeout)

    def exchange_items(
        self,
        args: Mapping[str, Any],
        *,
        credit: int = 64,
        session_id: str | None = None,
        timeout: float | None = None,
        on_output: OnOutput | None = None,
        on_progress: OnProgress | None = None,
    ) -> Any:
        """As ``stream``, with the plain JSON content of a ``call``: each item as it came, and its buffers."""
        owner = copy(self._in_session(session_id))
        owner._result = _item_as_it_came  # type: ignore[method-assign]
        content = self._plain_content({**args, "stream": {"credit": credit}, "lease": LEASE}, session_id)
        return owner._streamed(content, (), credit, timeout, outputs_of(on_output, on_progress))

    def _plain_content(self, args: Mapping[str, Any] | None, session_id: str | None) -> bytes:
        check_plain(args or {}, "$")
        return self._packed(dict(args or {}), session_id or self._session_id)

    @abstractmethod
    def _streamed(
        self,
        content: bytes,
        buffers: Sequence[memoryview],
        credit: int,
        timeout: float | None,
        outputs: Outputs | None,
    ) -> Any:
        """Send the request of a stream; returns the stream."""

    def supported_commands(self, *, timeout: float | None = None) -> Any:
        """The operations that the kernel serves."""
        return self._send("ping", {}, field("operations"), None, timeout)

    def validate_command(self, command: str, args: Mapping[str, Any] | None = None) -> None:
        """Check a request before it is sent. Raises UnknownOperation or InvalidRequest; sends nothing."""
        found = CommandTable().get(command)
        if found is None:
            raise UnknownOperation(f"There is no operation {command!r} here.", at="$")
        to_request(dict(args or {}), found.request)


def _as_it_came(
    content: dict[str, Any], buffers: Sequence[memoryview]
) -> tuple[dict[str, Any], Sequence[memoryview]]:
    return content, buffers


def _item_as_it_came(raw: Any, buffers: Sequence[memoryview], path: Any) -> tuple[Any, Sequence[memoryview]]:
    return raw, buffers
