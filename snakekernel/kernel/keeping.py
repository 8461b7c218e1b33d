"""The kernel's durable objects: its settings, and what it restores before it serves.

Rules: nothing that fails to be restored stops the start; it is listed for ``list_checkpoint``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from traitlets import Bool, HasTraits, Unicode, default

from ..commands.failures import from_user_code
from ..commands.runtime import Runtime
from ..durable.checkpoint import Report, restore
from ..durable.kept import Durable
from ..durable.places import Places, default_folder
from ..durable.rows import Row
from ..wire.errors import SnakeError


class KeepsObjects(HasTraits):
    """Settings of the kernel class."""

    durable = Unicode(
        help="The file of durable objects: a name, which stands for a file in the durable folder, or a path. "
        "Empty: none are kept. Also as the environment variable SNAKEKERNEL_DURABLE."
    ).tag(config=True)
    durable_folder = Unicode(
        help="The folder of named files and of the owner's key; empty: snakekernel in Jupyter's data folder. "
        "Also as SNAKEKERNEL_DURABLE_FOLDER."
    ).tag(config=True)
    owner_key = Unicode(
        help="The file of the key that files are signed with, which is made where there is none; empty: "
        "owner.key in the durable folder. Also as SNAKEKERNEL_OWNER_KEY."
    ).tag(config=True)
    restore_at_start = Bool(
        help="Whether what the file of durable objects holds is stored again when the kernel starts. Also as "
        "SNAKEKERNEL_RESTORE=1."
    ).tag(config=True)

    @default("durable")
    def _durable_of_whoever_started_it(self) -> str:
        # Taken out: a kernel that this one starts keeps its own.
        return os.environ.pop("SNAKEKERNEL_DURABLE", "")

    @default("durable_folder")
    def _folder_of_whoever_started_it(self) -> str:
        return os.environ.get("SNAKEKERNEL_DURABLE_FOLDER", "")

    @default("owner_key")
    def _key_of_whoever_started_it(self) -> str:
        return os.environ.get("SNAKEKERNEL_OWNER_KEY", "")

    @default("restore_at_start")
    def _restoring_of_whoever_started_it(self) -> bool:
        return os.environ.pop("SNAKEKERNEL_RESTORE", "") == "1"

    def durable_objects(self) -> Durable:
        """The durable objects of this kernel."""
        folder = Path(self.durable_folder).expanduser() if self.durable_folder else default_folder()
        key = Path(self.owner_key).expanduser().absolute() if self.owner_key else None
        return Durable(Places(folder.absolute(), self.durable, key))


def restore_all(runtime: Runtime) -> None:
    """Store all that the file of durable objects holds, sessions opened anew; lists what failed."""
    durable, whole = runtime.durable, Report()
    durable.at_start = whole
    try:
        path = durable.path("$")
        if not os.path.lexists(path):
            return
        with durable.open(path) as database, database.reading() as reading:
            for session in dict.fromkeys(row.session for row in reading.rows):
                report = restore(
                    reading,
                    session,
                    None,
                    now=runtime.clock(),
                    load=_load,
                    put=lambda row, obj: _put(runtime, row, obj),
                    is_taken=lambda name: False,
                    secrets=runtime.secrets,
                )
                whole.done += report.done
                whole.failed += report.failed
    except SnakeError as error:
        whole.fail("", "", None, error)


def _load(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except BaseException as error:  # user code may raise anything; the kernel starts
        raise from_user_code(error) from None


def _put(runtime: Runtime, row: Row, obj: Any) -> None:
    now = runtime.clock()
    space = None
    if row.session:
        session = runtime.sessions.find(row.session) or runtime.sessions.create(row.session, now=now)
        space = session.space
    ttl = None if row.expires_at is None else max(0.001, row.expires_at - now)
    runtime.store.put(space, row.name, obj, writer="restore", now=now, ttl=ttl, by=("restore", None, ""))
    runtime.durable.keep(space, row.name)
