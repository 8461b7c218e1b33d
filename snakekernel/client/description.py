"""What stands in a client for a remote object: descriptions, inspections, pictures.

Rules: a notebook shows each of them, without scripts and without asking the kernel again. An SVG, which may
hold scripts, is shown as an image, never as part of the page.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from .. import inspection
from ..wire.path import path_text

if TYPE_CHECKING:
    from .proxy import StoredProxy
    from .remote import RemoteObject


class Description:
    """A remote object as the kernel describes it.

    Attributes:
        type, module: of its class. string_repr: its text, cut where ``truncated``.
        attributes: descriptions of its attributes by name. raw: all fields as they came.
        path: where the object is stored, ``("df",)``, or None where nothing keeps it.
    """

    def __init__(self, raw: dict[str, Any], proxy: StoredProxy | RemoteObject | None = None) -> None:
        self.raw = raw
        self.type: str = raw.get("type", "?")
        self.module: str = raw.get("module", "?")
        self.string_repr: str = raw.get("string_repr", "")
        self.truncated: bool = bool(raw.get("truncated", False))
        self.attributes: dict[str, Any] = raw.get("attributes") or {}
        self._proxy = proxy

    @property
    def proxy(self) -> StoredProxy | RemoteObject:
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

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        name = f"stored{path_text(self.path)}" if self.path else ""
        return {"text/plain": repr(self), "text/html": inspection.description_page(self.raw, name).html}

    def __getitem__(self, name: str) -> Any:
        """A field of the description as it came."""
        return self.raw[name]


class Inspection(dict[str, Any]):
    """What ``inspect`` answered: a dictionary, which a notebook shows as a page."""

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        stored = self.get("stored")
        return inspection.inspection_page(self, f"stored.{stored['name']}" if stored else "").bundle


class Picture:
    """The picture of a remote object.

    Attributes:
        mime: ``image/png``, ``image/jpeg`` or ``image/svg+xml``. data: the file's bytes.
        width, height: in pixels; None where an SVG does not say. scaled: it has fewer than the object.
    """

    def __init__(
        self, mime: str, data: bytes, width: int | None, height: int | None, scaled: bool = False
    ) -> None:
        self.mime = mime
        self.data = data
        self.width = width
        self.height = height
        self.scaled = scaled

    def __repr__(self) -> str:
        size = f" of {self.width} × {self.height} pixels" if self.width and self.height else ""
        return f"<{self.mime}{size}{', scaled' if self.scaled else ''}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        data = base64.b64encode(self.data).decode()
        if self.mime == "image/svg+xml":
            image = f'<img alt="a picture" src="data:{self.mime};base64,{data}">'
            return {"text/plain": repr(self), "text/html": image}
        return {"text/plain": repr(self), self.mime: data}
