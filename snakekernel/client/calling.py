"""The fields of a ``call``, for both ways to send one: ``call``, which waits, and ``submit``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .keeper import LEASE
from .payload import Target


def lease_of(returns: str | None) -> float | None:
    """Seconds for which what a result leaves in the kernel is held; None where it leaves nothing."""
    return LEASE if returns == "ref" or returns == "proxy" else None


def call_fields(
    target: Target,
    args: Sequence[Any],
    kwargs: Mapping[str, Any] | None,
    store_as: str | None,
    returns: str,
    string_refs: bool,
    call_id: str | None,
    concurrent: bool = False,
    deadline: float | None = None,
) -> dict[str, Any]:
    """The request of these options: one at its default is not sent, for a small call feels every field."""
    fields: dict[str, Any] = {"target": target}
    if not isinstance(args, list | tuple):
        args = list(args)
    if args:
        fields["args"] = args
    if kwargs:
        fields["kwargs"] = kwargs
    if store_as is not None:
        fields["store_as"] = store_as
    if returns != "auto":
        fields["returns"] = returns
        lease = lease_of(returns)
        if lease is not None:
            fields["lease"] = lease
    if string_refs:
        fields["string_refs"] = True
    if call_id is not None:
        fields["call_id"] = call_id
    if concurrent:
        fields["concurrent"] = True
    if deadline is not None:
        fields["deadline"] = deadline
    return fields
