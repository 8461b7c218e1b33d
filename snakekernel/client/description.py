"""What stands in a client for a remote object that has no lossless value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..wire.path import path_text

if TYPE_CHECKING:
    from .proxy import StoredProxy


class Description:
    """A remote object as the kernel describes it.

    Attributes:
        type, module: of its class. string_repr: its text, cut where ``truncated``.
        attributes: descriptions of its attributes by name. raw: all fields as they came.
        path: where the object is stored, ``("df",)``, or None where nothing keeps it.
    """

    def __init__(self, raw: dict[str, Any], proxy: StoredProxy | None = None) -> None:
        self.raw = raw
        self.type: str = raw.get("type", "?")
        self.module: str = raw.get("module", "?")
        self.string_repr: str = raw.get("string_repr", "")
        self.truncated: bool = bool(raw.get("truncated", False))
        self.attributes: dict[str, Any] = raw.get("attributes") or {}
        self._proxy = proxy

    @property
    def proxy(self) -> StoredProxy:
        """The stored object that this describes; raises LookupError where it was not stored."""
        if self._proxy is None:
            raise LookupError(
                f"this {self.type} is kept nowhere; call again with store_as= or returns='ref' to keep it"
            )
        return self._proxy

    @property
    def path(self) -> tuple[Any, ...] | None:
        """Where the object is stored, or None."""
        return None if self._proxy is None else self._proxy._path

    def __repr__(self) -> str:
        where = f" = stored{path_text(self.path)}" if self.path else ""
        text = self.string_repr if len(self.string_repr) <= 2_000 else f"{self.string_repr[:2_000]}…"
        joint = "\n" if "\n" in text else " "
        return f"<{self.module}.{self.type}{where}>{joint}{text}".rstrip()

    def __getitem__(self, name: str) -> Any:
        """A field of the description as it came."""
        return self.raw[name]
