"""Watching a kernel: its variables, and what changes in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .payload import field, whole
from .requests import Requests


class Inspecting(Requests):
    """What a client offers to those who look on. All of it answers while the kernel is busy."""

    def list_variables(
        self,
        prefix: str = "",
        *,
        search: str | None = None,
        offset: int = 0,
        limit: int = 1_000,
        modules: bool = False,
        details: bool = False,
        timeout: float | None = None,
    ) -> Any:
        """Names of the notebook's variables, or with ``details`` the whole reply.

        Args:
            prefix, search: only names that begin so, and that contain it in upper or lower case.
            modules: also those that are modules.
        """
        fields = {"prefix": prefix, "search": search, "offset": offset, "limit": limit, "modules": modules}
        finish = whole if details else field("variables")
        return self._send("list_variables", fields, finish, None, timeout)

    def watch(
        self,
        stored: Sequence[tuple[str | None, str]] = (),
        *,
        variables: Sequence[str] | None = None,
        lease: float = 30.0,
        timeout: float | None = None,
    ) -> Any:
        """Have changes in place told on iopub by ``snake_changed``; returns the reply.

        Args:
            stored: pairs of a session's id, or None, and a name.
            variables: names of variables to look into; None: none are watched; []: their coming and going.
            lease: seconds for which this holds unless it is renewed; 0 ends it.
        """
        fields = {"stored": [list(pair) for pair in stored], "lease": lease}
        if variables is not None:
            fields["variables"] = list(variables)
        return self._send("watch", fields, whole, None, timeout)
