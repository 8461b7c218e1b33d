"""What a pool can be told, as traits: how it is sized, and what its kernels are."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any, Final

from traitlets import Dict, Enum, Float, Integer, List, TraitType, Tuple, Unicode, Union, default
from traitlets.config.configurable import LoggingConfigurable

from .events import Settings

_DEFAULTS: Final = Settings()


def _count(default: int, least: int, help: str) -> Any:
    return Integer(default, min=least, help=help).tag(config=True)


def _bound(default: float | None, help: str, kind: type[TraitType[Any, Any]] = Float) -> Any:
    return kind(default, allow_none=True, min=0, help=help).tag(config=True)


class PoolOptions(LoggingConfigurable):
    """The options of a ``KernelPool``; each can be given to it, or set in a configuration file."""

    name = Unicode("default", help="The name of the pool, in logs, status and metrics.").tag(config=True)

    # -- how many kernels, and for how long --------------------------------------------------------

    minimum = _count(_DEFAULTS.minimum, 0, "Kernels kept for calls, whether there are calls or not.")
    maximum = _count(_DEFAULTS.maximum, 1, "Kernels at once, whatever they are used for.")
    spares = _count(_DEFAULTS.spares, 0, "Unused kernels kept ready beside those in use.")
    starting = _count(_DEFAULTS.starting, 1, "Kernels that start at the same time.")
    calls_per_kernel = _count(_DEFAULTS.calls_per_kernel, 1, "Calls at once on one kernel.")
    sessions_per_kernel = _count(
        _DEFAULTS.sessions_per_kernel,
        1,
        "Sessions that one kernel gets in all its life; at 1 no kernel is ever used by two.",
    )
    queue_limit = _count(_DEFAULTS.queue_limit, 0, "Calls and checkouts that may wait for a kernel.")
    max_sessions = _count(_DEFAULTS.max_sessions, 1, "Sessions at once.")
    session_ttl = _bound(_DEFAULTS.session_ttl, "Seconds that a session lives while nobody uses it.")
    idle = _bound(
        _DEFAULTS.idle, "Seconds after which a kernel for calls that is not needed stops, beyond the minimum."
    )
    max_age = _bound(None, "Seconds of life after which a kernel for calls is replaced, once it is free.")
    max_requests = _bound(None, "Calls after which a kernel is replaced.", Integer)
    max_memory = _bound(None, "Bytes of its processes from which a kernel for calls is replaced.", Integer)
    session_memory = _bound(
        None, "Bytes of its processes from which a session's kernel is ended, with the session.", Integer
    )
    backoff = Tuple(
        Float(),
        Float(),
        default_value=_DEFAULTS.backoff,
        help="Seconds to wait after a failed start, doubled for each in a row, up to the second number.",
    ).tag(config=True)
    give_up_after = _count(
        _DEFAULTS.give_up_after, 1, "Failed starts in a row after which those that wait are refused."
    )

    # -- how long things may take ------------------------------------------------------------------

    queue_timeout = _bound(None, "Seconds to wait for a free kernel, where a call does not say.")
    start_timeout = Float(60.0, min=0, help="Seconds until a new kernel must answer.").tag(config=True)
    stop_timeout = Float(5.0, min=0, help="Seconds for a kernel to end by itself; then it is killed.").tag(
        config=True
    )
    cancel_timeout = _bound(
        30.0,
        "Seconds for a cancelled call to stop, after which its kernel is ended. Only where a kernel has one "
        "call at a time; None waits for it.",
    )
    measure_every = Float(
        5.0, min=0.01, help="Seconds between two looks at how much memory kernels use."
    ).tag(config=True)

    # -- who may see it -----------------------------------------------------------------------------

    metrics_port = Integer(
        None,
        allow_none=True,
        min=0,
        help="Serve metrics for Prometheus at this port, at any free one where it is 0.",
    ).tag(config=True)
    metrics_host = Unicode("127.0.0.1", help="The address at which metrics are served.").tag(config=True)

    # -- what the kernels are ----------------------------------------------------------------------

    kernel_name = Unicode(
        None, allow_none=True, help="An installed kernelspec; without one, kernels of our own."
    ).tag(config=True)
    python = Unicode(
        None,
        allow_none=True,
        help="The interpreter of kernels of our own, such as that of another venv, which has snakekernel.",
    ).tag(config=True)
    provisioner = Union(
        [Unicode(), Dict()],
        default_value=None,
        allow_none=True,
        help='What starts kernels: "zygote", "sandbox", "ray", "dask", the name of any other of Jupyter\'s, '
        'or {"name": …, "config": {…}}. Without one, that of the kernelspec.',
    ).tag(config=True)
    env = Dict(
        key_trait=Unicode(), value_trait=Unicode(), help="Environment variables added to the kernels'."
    ).tag(config=True)
    limits = Dict(
        key_trait=Unicode(),
        value_trait=Integer(min=0),
        help='Resource limits of each kernel\'s process, by the names of setrlimit(2): {"as": bytes, '
        '"nofile": 256, "cpu": seconds, …}.',
    ).tag(config=True)
    preload = List(Unicode(), help="Modules that a kernel imports before it is used.").tag(config=True)
    transport_encryption = Enum(
        ("required",),
        None,
        allow_none=True,
        help="Reach kernels of this machine over TCP with CurveZMQ, as those of others always are.",
    ).tag(config=True)

    def __init__(self, **options: Any) -> None:
        unknown = options.keys() - self.trait_names()
        if unknown:
            known = ", ".join(sorted(self.trait_names(config=True)))
            raise TypeError(f"A pool has no option {', '.join(sorted(unknown))}; it has {known}.")
        super().__init__(**options)

    @default("log")
    def _log_of_pools(self) -> Any:
        return logging.getLogger("snakekernel.pool")

    def settings(self) -> Settings:
        """What the policy decides by."""
        return Settings(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Settings)})


#: The options that can be changed while a pool runs.
CHANGEABLE: Final = tuple(field.name for field in dataclasses.fields(Settings))
