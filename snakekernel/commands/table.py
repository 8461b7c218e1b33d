"""The table of commands: the one list from which everything else derives.

Kernel handlers, ``supported_features``, the generated protocol reference, the client's checks, the CLI and
the conformance tests all read it. Adding a built-in is one file and one line here; a plugin's commands come
from the entry-point group ``snakekernel.commands`` (see ``plugins.load``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from . import (
    attach,
    call,
    cancel,
    checkpoint,
    close_session,
    close_subshells,
    configure,
    create_session,
    credit,
    delete_stored,
    inspect,
    list_checkpoint,
    list_sessions,
    list_stored,
    list_variables,
    open_subshells,
    outcome,
    ping,
    pipeline,
    preview,
    publish,
    pull,
    rename_stored,
    renew,
    restore,
    retrieve,
    set,
    share,
    store,
    summarize,
    table_page,
    unpublish,
    watch,
)
from .command import Command


def by_op(commands: Iterable[Command]) -> dict[str, Command]:
    """Commands by operation; raises ValueError where two serve the same one."""
    table: dict[str, Command] = {}
    for command in commands:
        if command.op in table:
            raise ValueError(f"two commands serve {command.op!r}")
        table[command.op] = command
    return table


BUILTINS: Final[dict[str, Command]] = by_op(
    module.COMMAND
    for module in (
        call,
        store,
        retrieve,
        list_stored,
        list_variables,
        delete_stored,
        rename_stored,
        share,
        publish,
        unpublish,
        checkpoint,
        restore,
        list_checkpoint,
        renew,
        credit,
        pull,
        set,
        table_page,
        summarize,
        preview,
        pipeline,
        inspect,
        ping,
        configure,
        create_session,
        close_session,
        list_sessions,
        cancel,
        outcome,
        open_subshells,
        close_subshells,
        watch,
        attach,
    )
)
