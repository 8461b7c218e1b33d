"""Dask from the sidecar: owners are Dask actors, and shared bytes are results of tasks beside them.

Rules: a key is never used twice, for a key that erred poisons whoever asks for it again. An actor's methods
are coroutines: those of threads share one thread of their worker, which a waiting beat would hold.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from .actors import DriverError, OwnerLost
from .owner import OWNERS, KernelOwner, StartFailed
from .parcels import Parcel

_LOCAL = ("127.", "localhost", "[::1]", "::1")


class DaskOwner:
    """The actor: an owner with a few threads of its own."""

    def __init__(self, name: str) -> None:
        from distributed import get_worker

        worker = get_worker()
        self.address = worker.address
        # Kernels listen on addresses, not on names; workers inside a process have no host in theirs.
        host = urlsplit(worker.address).hostname or "127.0.0.1"
        self._owner = KernelOwner(name, host if ":" in host else socket.gethostbyname(host))
        self._threads = ThreadPoolExecutor(8, thread_name_prefix=f"owner {name}")

    async def call(self, method: str, *arguments: Any) -> Any:
        """Call the owner's method, in a thread."""
        call = functools.partial(getattr(self._owner, method), *arguments)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def __del__(self) -> None:
        # When the driver is gone, the scheduler lets go of its keys.
        owner, threads = getattr(self, "_owner", None), getattr(self, "_threads", None)
        if owner is not None:
            owner.close()
        if threads is not None:
            threads.shutdown(wait=False)


def _take(name: str, segments: list[dict[str, Any]]) -> Parcel:
    return OWNERS[name].take(segments)


def _give(name: str, token: str, parcel: Parcel) -> list[dict[str, Any]]:
    return OWNERS[name].give(token, parcel)


class DaskActor:
    """An owner on a Dask worker."""

    def __init__(self, client: Any, future: Any, proxy: Any, name: str) -> None:
        self._client = client
        self._future = future
        self._proxy = proxy
        self._name = name
        self._address = proxy._address

    async def call(self, method: str, *arguments: Any) -> Any:
        """See ``actors.Actor``."""
        if self._proxy is None:
            raise OwnerLost("It was let go of.")
        try:
            return await self._proxy.call(method, *arguments)
        except StartFailed as error:
            raise DriverError("failed", str(error)) from None
        except (OSError, RuntimeError, KeyError) as error:
            # Dask says that the worker is lost by a RuntimeError; its tables by a KeyError.
            raise OwnerLost(str(error)) from None

    async def _beside(self, function: Callable[..., Any], *arguments: Any) -> Any:
        # Its dependencies are carried from worker to worker.
        return self._client.submit(
            function,
            self._name,
            *arguments,
            key=f"snakekernel-{function.__name__}-{uuid.uuid4().hex}",
            workers=[self._address],
            allow_other_workers=False,
            resources={},
            retries=0,
        )

    async def take(self, segments: list[dict[str, Any]]) -> Any:
        """See ``actors.Actor``."""
        from distributed import wait

        future = await self._beside(_take, segments)
        await wait(future)
        if future.status != "finished":
            raise await future.exception()
        return future

    async def give(self, token: str, handle: Any) -> list[dict[str, Any]]:
        """See ``actors.Actor``."""
        entries: list[dict[str, Any]] = await (await self._beside(_give, token, handle))
        return entries

    async def remove(self) -> None:
        """See ``actors.Actor``."""
        self._proxy = None
        # Released, an actor would stay at its worker until the last proxy of it is garbage here.
        await self._client.cancel([self._future], force=True)


class DaskDriver:
    """A client of a Dask scheduler."""

    _client: Any = None

    async def open(self, options: dict[str, Any]) -> None:
        """Connect to ``address``, or make a cluster of this host where that is ``local``."""
        try:
            import distributed
        except ImportError as error:
            raise DriverError(
                "unsupported", f'Dask is not installed: pip install "snakekernel[dask]" ({error}).'
            ) from None
        address, tls = options["address"], options["tls"]
        security = distributed.Security(require_encryption=True, **tls) if tls else None
        if address == "local":
            cluster = await distributed.LocalCluster(
                n_workers=1, processes=True, asynchronous=True, dashboard_address=None, host="127.0.0.1"
            )
            self._client = await distributed.Client(cluster, asynchronous=True)
            return
        refuse_plain(address, options["insecure"])
        try:
            self._client = await distributed.Client(
                address,
                security=security,
                asynchronous=True,
                set_as_default=True,
                timeout=options["timeout"],
                name="snakekernel",
            )
        except (OSError, ValueError, TypeError) as error:
            raise DriverError(
                "lost", f"No connection to the Dask scheduler at {address!r}: {error}"
            ) from None

    async def place(self, name: str, wants: dict[str, Any]) -> DaskActor:
        """See ``actors.Driver``."""
        resources = {
            key: value
            for key, value in (
                ("CPU", wants["cpus"]),
                ("GPU", wants["gpus"]),
                ("MEMORY", wants["memory"]),
                *wants["resources"].items(),
            )
            if value
        }
        workers = list(wants["workers"]) or ([wants["node"]] if wants["node"] else None)
        future = self._client.submit(
            DaskOwner,
            name,
            key=f"snakekernel-owner-{name}-{uuid.uuid4().hex}",
            actor=True,
            workers=workers,
            allow_other_workers=False,
            resources=resources or None,
            retries=0,
            pure=False,
        )
        try:
            proxy = await future
        except asyncio.CancelledError:
            future.release()
            raise
        return DaskActor(self._client, future, proxy, name)

    async def close(self) -> None:
        """See ``actors.Driver``."""
        cluster = self._client.cluster
        await self._client.close()
        if cluster is not None:
            await cluster.close()


def refuse_plain(address: str, insecure: bool) -> None:
    """Raises DriverError for what would send keys in the clear to another host."""
    scheme, _, rest = address.rpartition("://")
    if insecure or scheme in ("tls", "wss", "inproc") or rest.startswith(_LOCAL):
        return
    raise DriverError(
        "denied",
        f"The Dask scheduler at {address!r} is on another host and without TLS: keys of kernels would go "
        f"in the clear. Use tls:// with certificates, or set insecure on a network that nobody else reaches.",
    )
