"""Kernels on a Dask cluster: ``provisioner_name: "snakekernel-dask"``."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from traitlets import Bool, Dict, List, TraitError, Unicode, validate

from .engine import EngineProvisioner

_TLS = ("tls_ca_file", "tls_client_cert", "tls_client_key")


class DaskProvisioner(EngineProvisioner):
    """Owners are actors on Dask workers.

    ``address`` is the scheduler's, by default what ``DASK_SCHEDULER_ADDRESS`` says. Dask counts no CPUs of
    its own: ``cpus``, ``gpus`` and ``memory`` stand for the resources CPU, GPU and MEMORY that workers were
    started with, and choose among workers; an actor does not use them up.
    """

    engine: ClassVar[str] = "dask"

    workers = List(Unicode(), config=True, help="Workers to start on: addresses, names or hosts.")
    tls = Dict(
        key_trait=Unicode(),
        value_trait=Unicode(),
        config=True,
        help="Paths of certificates: tls_ca_file, tls_client_cert and tls_client_key.",
    )
    insecure = Bool(
        False, config=True, help="Whether keys may go to other hosts in the clear, where there is no TLS."
    )

    @validate("tls")
    def _all_of_tls(self, proposal: Any) -> dict[str, str]:
        value: dict[str, str] = proposal["value"]
        if value and set(value) != set(_TLS):
            raise TraitError(f"tls needs {', '.join(_TLS)}, not {', '.join(sorted(value))}.")
        return value

    def connection_options(self) -> dict[str, Any]:
        """See the base."""
        address = self.address or os.environ.get("DASK_SCHEDULER_ADDRESS", "")
        if not address:
            raise TraitError(
                "address is not set: the Dask scheduler's, such as tls://10.0.0.1:8786, or 'local'."
            )
        return {
            **super().connection_options(),
            "address": address,
            "tls": dict(self.tls),
            "insecure": self.insecure,
        }

    def wants(self) -> dict[str, Any]:
        """See the base."""
        return {**super().wants(), "workers": list(self.workers)}
