"""Kernels on a Ray cluster: ``provisioner_name: "snakekernel-ray"``."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from traitlets import Dict, Float, TraitError, Unicode

from .engine import EngineProvisioner


class RayProvisioner(EngineProvisioner):
    """Owners are named actors in Ray's namespace ``snakekernel``.

    ``address`` is that of the cluster (``10.0.0.1:6379``), by default what ``RAY_ADDRESS`` says, or the
    cluster that this host is part of. ``node`` is a node's address, name or id.
    """

    engine: ClassVar[str] = "ray"

    cpus = Float(1.0, config=True, help="CPUs that a kernel takes of its node; 0 counts none.")
    labels = Dict(
        key_trait=Unicode(), value_trait=Unicode(), config=True, help="Labels that the node must have."
    )
    runtime_env = Dict(config=True, help="Ray's runtime environment for the kernel: env_vars, pip, ...")

    def connection_options(self) -> dict[str, Any]:
        """See the base."""
        address = self.address or os.environ.get("RAY_ADDRESS", "") or "auto"
        if address.startswith("ray://"):
            raise TraitError(
                f"address {address!r} is of Ray's client, which is no driver: give the head's, such as "
                f"10.0.0.1:6379, on a host that is a node of the cluster."
            )
        return {**super().connection_options(), "address": address}

    def wants(self) -> dict[str, Any]:
        """See the base."""
        return {**super().wants(), "labels": dict(self.labels), "runtime_env": dict(self.runtime_env)}
