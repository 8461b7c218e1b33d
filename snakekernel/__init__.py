"""A Jupyter kernel that is also a message server, and its clients.

``start()`` starts a kernel and returns a client of it; ``connect()`` reaches a running one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from . import errors as errors
    from .client.aio import AsyncClient as AsyncClient
    from .client.client import Client as Client
    from .client.description import Description as Description
    from .client.future import Future as Future
    from .client.output import Output as Output
    from .client.proxy import ref as ref
    from .client.proxy import step as step
    from .client.remote import RemoteObject as RemoteObject
    from .pool.pool import KernelPool as KernelPool
    from .reporting.bars import progress as progress
    from .ui import panel as panel
    from .values.published import Published as Published

    start = Client.start
    connect = Client.connect

__all__ = [
    "AsyncClient",
    "Client",
    "Description",
    "Future",
    "KernelPool",
    "Output",
    "Published",
    "RemoteObject",
    "__version__",
    "connect",
    "errors",
    "panel",
    "progress",
    "ref",
    "start",
    "step",
]

#: Loaded when first used: the kernel imports this package too, and needs no client.
_HOMES = {
    "AsyncClient": "client.aio",
    "Client": "client.client",
    "Description": "client.description",
    "Future": "client.future",
    "KernelPool": "pool.pool",
    "Output": "client.output",
    "Published": "values.published",
    "RemoteObject": "client.remote",
    "errors": "errors",
    "panel": "ui",
    "progress": "reporting.bars",
    "ref": "client.proxy",
    "step": "client.proxy",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in ("start", "connect"):
        value: Any = getattr(__getattr__("Client"), name)
    elif name in _HOMES:
        module = import_module(f".{_HOMES[name]}", __name__)
        value = module if name == "errors" else getattr(module, name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
