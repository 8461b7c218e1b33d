"""Where files of objects and the owner's key are.

Rules: a name stands for a file of the kernel's folder, which only its owner may enter; what is no name is a
path, whose folder must be there.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from jupyter_core.paths import jupyter_data_dir

from ..wire.errors import InvalidRequest, Unsupported
from .failures import failed, told
from .keys import owner_key

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", re.ASCII)
_SUFFIX: Final = ".db"


def default_folder() -> Path:
    """``snakekernel`` in Jupyter's data folder."""
    return Path(jupyter_data_dir()) / "snakekernel"


@dataclass(frozen=True)
class Places:
    """The places of one kernel.

    Args:
        folder: of named files. own: name or path of the file of durable objects; empty: none is kept.
        key: the file of the owner's key; None: ``owner.key`` in the folder.
    """

    folder: Path = field(default_factory=default_folder)
    own: str = ""
    key: Path | None = None

    def owner_key(self) -> bytes:
        """The owner's key, made where there is none. Raises StorageFailed (``key``)."""
        return owner_key(self.key or self.folder / "owner.key")

    def own_file(self, at: str) -> Path:
        """The file of durable objects. Raises Unsupported where none is kept."""
        if not self.own:
            raise Unsupported(
                "This kernel keeps no file of durable objects: name one by snakekernel.start(durable=…), "
                "SnakeKernel.durable, or SNAKEKERNEL_DURABLE.",
                at=at,
            )
        return self.named(self.own) if _NAME.fullmatch(self.own) else Path(self.own).expanduser().absolute()

    def file(self, name: str | None, path: str | None) -> Path:
        """The file that a request names; without either, that of durable objects."""
        if name is not None and path is not None:
            raise InvalidRequest("Say where by name or by path: one of the two.", at="$.path")
        if name is not None:
            return self.named(name)
        return self.own_file("$.name") if path is None else _path(path)

    def named(self, name: str, *, at: str = "$.name") -> Path:
        """The file of a name. Raises InvalidRequest, StorageFailed."""
        if not _NAME.fullmatch(name):
            raise InvalidRequest(
                f"{name!r:.120} is no name of a file: those have 1 to 100 letters, digits, '_', '-' and '.', "
                "and do not begin with '-' or '.'.",
                at=at,
            )
        folder = self._made() / "objects"
        with told(folder):
            folder.mkdir(mode=0o700, exist_ok=True)
        return folder / f"{name}{_SUFFIX}"

    def names(self) -> list[str]:
        """The names that stand for a file, in alphabetical order."""
        try:
            found = os.listdir(self.folder / "objects")
        except OSError:
            return []
        return sorted(name.removesuffix(_SUFFIX) for name in found if name.endswith(_SUFFIX))

    def _made(self) -> Path:
        with told(self.folder):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = os.stat(self.folder)
            if os.name != "nt" and (found.st_uid != os.geteuid() or found.st_mode & 0o022):
                raise failed("refused", f"{self.folder} is another user's, or others may write to it.")
        return self.folder


def _path(path: str) -> Path:
    try:
        return Path(path).expanduser().absolute()
    except (RuntimeError, ValueError, OSError) as error:
        raise InvalidRequest(f"{path!r:.200} is no path: {error}.", at="$.path") from None
