"""Ray from the sidecar: owners are named actors, and shared bytes are objects of Ray's store.

Rules: an actor is never started again by Ray, for its kernel's state would be gone. While the cluster has
other nodes none is placed on the head, whose end would be everybody's. Nothing is logged to the driver, no
usage is reported.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any, Final

from ..kernel.fence import clock
from .actors import DriverError, OwnerLost
from .owner import KernelOwner, StartFailed
from .parcels import Parcel

NAMESPACE: Final = "snakekernel"
_HEAD: Final = "node:__internal_head__"


class RayOwner:
    """The actor: its methods run on threads of Ray's."""

    def __init__(self, name: str) -> None:
        import ray

        self._owner = KernelOwner(name, ray.util.get_node_ip_address())

    def call(self, method: str, *arguments: Any) -> Any:
        """Call the owner's method; what is meant for the driver comes as a value, not as Ray's error."""
        try:
            return True, getattr(self._owner, method)(*arguments)
        except StartFailed as error:
            return False, str(error)

    def take(self, segments: list[dict[str, Any]]) -> Parcel:
        """The bytes, as an object of the store."""
        return self._owner.take(segments)

    def give(self, token: str, parcel: Parcel) -> list[dict[str, Any]]:
        """Place an object of the store, which Ray has brought to this node."""
        return self._owner.give(token, parcel)


class RayActor:
    """An owner on a Ray node."""

    def __init__(self, ray: Any, handle: Any) -> None:
        self._ray = ray
        self._handle = handle

    async def _result(self, reference: Any) -> Any:
        try:
            return await asyncio.wrap_future(reference.future())
        except self._ray.exceptions.RayTaskError:
            # The method raised: the owner is there.
            raise
        except self._ray.exceptions.RayError as error:
            raise OwnerLost(str(error).strip().partition("\n")[0]) from None

    async def call(self, method: str, *arguments: Any) -> Any:
        """See ``actors.Actor``."""
        is_done, value = await self._result(self._handle.call.remote(method, *arguments))
        if not is_done:
            raise DriverError("failed", value)
        return value

    async def take(self, segments: list[dict[str, Any]]) -> Any:
        """See ``actors.Actor``."""
        reference = self._handle.take.remote(segments)
        # Done, and not fetched: the bytes stay where they are.
        done, _ = await asyncio.to_thread(
            self._ray.wait, [reference], num_returns=1, timeout=60, fetch_local=False
        )
        if not done:
            raise OwnerLost("The bytes were not there in time.")
        return reference

    async def give(self, token: str, handle: Any) -> list[dict[str, Any]]:
        """See ``actors.Actor``."""
        entries: list[dict[str, Any]] = await self._result(self._handle.give.remote(token, handle))
        return entries

    async def remove(self) -> None:
        """See ``actors.Actor``."""
        await asyncio.to_thread(self._ray.kill, self._handle, no_restart=True)


class RayDriver:
    """A driver of a Ray cluster."""

    _ray: Any = None

    async def open(self, options: dict[str, Any]) -> None:
        """Connect to ``address``, or make a cluster of this host where that is ``local``."""
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        try:
            import ray
        except ImportError as error:
            raise DriverError(
                "unsupported", f'Ray is not installed: pip install "snakekernel[ray]" ({error}).'
            ) from None
        address, deadline = options["address"], clock() + options["timeout"]
        while True:
            try:
                await asyncio.to_thread(
                    ray.init,
                    address=address,
                    namespace=NAMESPACE,
                    log_to_driver=False,
                    include_dashboard=False if address == "local" else None,
                )
                break
            except (ConnectionError, OSError, RuntimeError, ValueError) as error:
                # Its own limit is 5 s, which a busy head may take.
                if isinstance(error, ConnectionError) and clock() < deadline:
                    await asyncio.sleep(0.5)
                    continue
                raise DriverError(
                    "lost", f"No connection to the Ray cluster at {address!r}: {error}"
                ) from None
        self._ray = ray

    async def place(self, name: str, wants: dict[str, Any]) -> RayActor:
        """See ``actors.Driver``."""
        resources = dict(wants["resources"])
        labels = dict(wants["labels"])
        nodes = [node for node in await asyncio.to_thread(self._ray.nodes) if node["Alive"]]
        if wants["node"]:
            labels["ray.io/node-id"] = _node_id(nodes, wants["node"])
        elif len(nodes) > 1:
            heads = [node["NodeID"] for node in nodes if _HEAD in node["Resources"]]
            if heads:
                labels.setdefault("ray.io/node-id", f"!in({', '.join(heads)})")
        options = {
            "name": name,
            "namespace": NAMESPACE,
            "max_restarts": 0,
            "max_task_retries": 0,
            "max_concurrency": 16,
            "num_cpus": wants["cpus"],
            "num_gpus": wants["gpus"],
            "memory": wants["memory"] or None,
            "resources": resources or None,
            "label_selector": labels or None,
            "runtime_env": wants["runtime_env"] or None,
        }
        kind = self._ray.remote(RayOwner).options(
            **{key: value for key, value in options.items() if value is not None}
        )
        # The caller waits while the head registers a name; leases are renewed meanwhile.
        making = asyncio.ensure_future(asyncio.to_thread(kind.remote, name))
        try:
            handle = await asyncio.shield(making)
        except asyncio.CancelledError:
            making.add_done_callback(self._unwanted)
            raise
        actor = RayActor(self._ray, handle)
        try:
            await actor.call("stderr_tail")
        except OwnerLost as error:
            raise DriverError("lost", f"Ray could not start the kernel's owner: {error}") from None
        except asyncio.CancelledError:
            await actor.remove()
            raise
        return actor

    def _unwanted(self, making: asyncio.Future[Any]) -> None:
        if not making.cancelled() and making.exception() is None:
            self._ray.kill(making.result(), no_restart=True)

    async def close(self) -> None:
        """See ``actors.Driver``."""
        await asyncio.to_thread(self._ray.shutdown)


def _node_id(nodes: list[dict[str, Any]], asked: str) -> str:
    for node in nodes:
        if asked in (
            node["NodeID"],
            node["NodeManagerAddress"],
            node["NodeManagerHostname"],
            node["NodeName"],
        ):
            found: str = node["NodeID"]
            return found
    there = ", ".join(f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})" for node in nodes)
    raise DriverError("not_found", f"The Ray cluster has no node {asked!r}; it has {there}.")
