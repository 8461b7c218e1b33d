"""What goes wrong with a file, as errors of the protocol that say what to do.

Rules: ``reason`` is stable; the text names the file and never what is in it.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from ..wire.errors import StorageFailed

#: ``full``: no space is left. ``read_only``: it may not be written. ``corrupt``: it is damaged, or no file of
#: ours. ``newer``: a later version wrote it. ``signature``: it is not what its owner wrote. ``key``: the
#: owner's key cannot be used. ``busy``: another process writes it. ``missing``: there is none. ``refused``:
#: its owner or kind is wrong. ``io``: the system failed.
Reason = Literal[
    "full", "read_only", "corrupt", "newer", "signature", "key", "busy", "missing", "refused", "io"
]

#: Seconds to wait for another that writes, before it is ``busy``.
PATIENCE: Final = 10.0

_OF_SYSTEM: Final[dict[int, Reason]] = {
    errno.ENOSPC: "full",
    errno.EDQUOT: "full",
    errno.EROFS: "read_only",
    errno.EACCES: "read_only",
    errno.EPERM: "read_only",
    errno.ENOENT: "missing",
    errno.ELOOP: "refused",
}


def failed(reason: Reason, message: str) -> StorageFailed:
    """The error of a reason."""
    return StorageFailed(message, reply={"reason": reason})


@contextmanager
def told(path: Path) -> Iterator[None]:
    """What the system raises within, as errors that name the file."""
    try:
        yield
    except OSError as error:
        reason = _OF_SYSTEM.get(error.errno or 0, "io")
        raise failed(reason, f"{path}: {error.strerror or error}.") from None
