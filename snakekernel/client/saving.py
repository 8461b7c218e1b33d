"""Saving the kernel's objects in files, and restoring them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from .payload import plain
from .requests import Requests


def _reply(content: dict[str, Any], buffers: Sequence[memoryview]) -> dict[str, Any]:
    return plain(content)


class Saving(Requests):
    """What a client offers to keep objects beyond their kernel's life."""

    def checkpoint(
        self,
        name: str | None = None,
        *,
        path: str | os.PathLike[str] | None = None,
        ids: Sequence[str] | None = None,
        allow_secrets: bool = False,
        session_id: str | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Save the objects of a namespace in a signed file of the kernel's host: all of them, or none.

        Args:
            name: of a file in the owner's folder. path: any other file. Neither: that of durable objects.
            ids: those alone, beside what the file holds; None: all, in place of what it holds.
            allow_secrets: write objects that hold a registered secret, too.

        Returns:
            ``path``, ``saved`` (names), ``failed`` (``id``, ``reason``, ``type``, ``error``, ``kept``),
            ``count`` and ``bytes``.

        Raises:
            StorageFailed: the file cannot be written; what it held is unchanged.
        """
        fields = {"name": name, "path": _text(path), "ids": _listed(ids), "allow_secrets": allow_secrets}
        return self._send("checkpoint", fields, _reply, session_id, timeout)

    def restore(
        self,
        name: str | None = None,
        *,
        path: str | os.PathLike[str] | None = None,
        ids: Sequence[str] | None = None,
        overwrite: bool = False,
        session_id: str | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Store the objects of a signed file again; returns ``path``, ``restored`` (names), ``failed``
        (``id``, ``reason``, ``type``, ``error``) and ``bytes``.

        Args:
            name, path: the file, as for ``checkpoint``.
            ids: those alone; None: all of this namespace.
            overwrite: replace stored objects of the same names, which else are listed as failed.

        Raises:
            StorageFailed: the file cannot be read, or is not what its owner wrote; nothing was loaded.
        """
        fields = {"name": name, "path": _text(path), "ids": _listed(ids), "overwrite": overwrite}
        return self._send("restore", fields, _reply, session_id, timeout)

    def list_checkpoint(
        self,
        name: str | None = None,
        *,
        path: str | os.PathLike[str] | None = None,
        timeout: float | None = None,
    ) -> Any:
        """What a file holds, of which nothing is loaded: ``path``, ``saved_at``, ``objects`` (``id``,
        ``session_id``, ``type``, ``module``, ``size``, ``created``, ``expires_at``, ``signed``), ``names``
        of the files in the owner's folder, and ``restored_at_start``."""
        return self._send("list_checkpoint", {"name": name, "path": _text(path)}, _reply, None, timeout)


def _text(path: str | os.PathLike[str] | None) -> str | None:
    return None if path is None else os.fspath(path)


def _listed(ids: Sequence[str] | None) -> list[str] | None:
    return None if ids is None else list(ids)
