"""Looking at what a kernel holds: objects, tables, variables, and what changes in place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .message import Channel
from .payload import Target, field, inspected, pictured, whole
from .requests import Requests


class Inspecting(Requests):
    """What a client offers to those who look on."""

    def inspect(
        self,
        target: Target,
        *,
        offset: int = 0,
        limit: int = 50,
        budget: float | None = None,
        run_code: bool | None = None,
        channel: Channel = "shell",
        session_id: str | None = None,
        timeout: float | None = None,
    ) -> Any:
        """What an object is, as a dictionary; on ``channel="control"`` also while the kernel is busy, and
        then without running any code of the object unless ``run_code`` asks for it."""
        fields = {"target": target, "offset": offset, "limit": limit, "budget": budget, "run_code": run_code}
        return self._send("inspect", fields, inspected, session_id, timeout, channel=channel)

    def preview(
        self,
        target: Target,
        *,
        width: int = 800,
        height: int = 600,
        budget: float | None = None,
        channel: Channel = "shell",
        session_id: str | None = None,
        timeout: float | None = None,
    ) -> Any:
        """The picture of a figure, an image or an array, at most so many pixels wide and high, as a
        ``Picture``; None where the object has none. ``channel="control"`` answers while a cell runs."""
        fields = {"target": target, "width": width, "height": height, "budget": budget}
        return self._send("preview", fields, pictured, session_id, timeout, channel=channel)

    def table(
        self,
        target: Target,
        *,
        rows: tuple[int, int] | None = None,
        columns: tuple[int, int] | None = None,
        sort: Sequence[Mapping[str, Any]] | None = None,
        filter: Sequence[Mapping[str, Any]] | None = None,
        search: str | None = None,
        format: str = "json",
        budget: float | None = None,
        fresh: bool | None = None,
        session_id: str | None = None,
        timeout: float | None = None,
    ) -> Any:
        """A page of a table-like object: the reply with ``index`` and ``data`` decoded.

        ``data`` is a list of columns, or with ``format="arrow"`` an Arrow table.

        Args:
            rows, columns: half-open ranges of positions, of rows within what ``filter`` and ``search`` find.
            sort: ``{"column": position, "descending": bool}``, the first counting most.
            filter: ``{"column": position, "op": "ge", "value": 3}``, all of which must hold.
            search: a text that some cell of a row must hold.
            budget: seconds for reading, sorting and filtering, 5 if not given.
            fresh: sort and filter anew even where the object looks unchanged.
        """
        fields = {
            "target": target,
            "rows": rows and list(rows),
            "columns": columns and list(columns),
            "sort": sort and list(sort),
            "filter": filter,
            "search": search,
            "format": format,
            "budget": budget,
            "fresh": fresh,
        }
        return self._send("table", fields, self._page, session_id, timeout)

    def summarize(
        self,
        target: Target,
        *,
        columns: tuple[int, int] | None = None,
        filter: Sequence[Mapping[str, Any]] | None = None,
        search: str | None = None,
        bins: int | None = None,
        top: int | None = None,
        budget: float | None = None,
        session_id: str | None = None,
        timeout: float | None = None,
    ) -> Any:
        """What is in each column of a table-like object: the reply, whose ``summaries`` has one a column.

        Args:
            columns, filter, search: as for ``table``; the first 50 columns if not given.
            bins: of a histogram, 20 if not given. top: how many of the most frequent cells, 10 if not given.
            budget: seconds, 2 if not given; large tables are sampled to keep it.
        """
        fields = {
            "target": target,
            "columns": columns and list(columns),
            "filter": filter,
            "search": search,
            "bins": bins,
            "top": top,
            "budget": budget,
        }
        return self._send("summarize", fields, self._summaries, session_id, timeout)

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
        """Names of the notebook's variables, or with ``details`` the whole reply; a busy kernel answers, too.

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
