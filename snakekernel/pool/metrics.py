"""A pool's numbers for Prometheus (``pip install "snakekernel[telemetry]"``).

Rules: nothing is measured for this: a scrape reads what the pool counts anyway, so that calls cost no more
where nobody scrapes. Pools of one registry that have one name are told apart by a number behind it.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import Unsupported
from .counting import Histogram

if TYPE_CHECKING:
    from .performing import Performing

_PREFIX = "snakekernel_pool_"
#: The collector of each registry that pools are shown in.
_collectors: weakref.WeakKeyDictionary[Any, PoolCollector] = weakref.WeakKeyDictionary()


class PoolCollector:
    """Collects the numbers of pools whenever its registry is scraped, on whatever thread."""

    def __init__(self) -> None:
        self.pools: list[Performing] = []

    def describe(self) -> Iterable[Any]:
        """Nothing: pools come and go."""
        return []

    def collect(self) -> Iterator[Any]:
        """The metric families."""
        pools = self._named()
        core = _prometheus("core")
        for name, text, label, read in _GAUGES:
            family = core.GaugeMetricFamily(_PREFIX + name, text, labels=["pool", *label])
            yield _fill(family, pools, read)
        for name, text, label, read in _COUNTERS:
            family = core.CounterMetricFamily(_PREFIX + name, text, labels=["pool", *label])
            yield _fill(family, pools, read)
        for name, text, histogram in _HISTOGRAMS:
            family = core.HistogramMetricFamily(_PREFIX + name, text, labels=["pool"])
            for pool_name, pool in pools.items():
                counted = histogram(pool)
                family.add_metric([pool_name], _buckets(counted), counted.total)
            yield family

    def _named(self) -> dict[str, Performing]:
        named: dict[str, Performing] = {}
        for pool in list(self.pools):
            name, number = pool.name, 1
            while name in named:
                number += 1
                name = f"{pool.name}-{number}"
            named[name] = pool
        return named


def show(pool: Performing, registry: Any = None) -> Callable[[], None]:
    """Show a pool in a registry, prometheus_client's own by default; returns what ends it.

    Raises Unsupported where prometheus_client is not installed.
    """
    if registry is None:
        registry = _prometheus("registry").REGISTRY
    collector = _collectors.get(registry)
    if collector is None:
        collector = _collectors[registry] = PoolCollector()
        registry.register(collector)
    collector.pools.append(pool)
    shown = collector

    def end() -> None:
        shown.pools.remove(pool)
        if not shown.pools:
            registry.unregister(shown)
            del _collectors[registry]

    return end


def serve(pool: Performing, port: int, host: str) -> tuple[str, Callable[[], None]]:
    """Serve a pool's numbers over HTTP; returns the URL, and what ends it.

    Args:
        port: 0 for any that is free.

    Raises Unsupported where prometheus_client is not installed, OSError where the port is taken.
    """
    registry = _prometheus("registry").CollectorRegistry()
    server, thread = _prometheus("exposition").start_http_server(port, host, registry)
    end_showing = show(pool, registry)

    def end() -> None:
        server.shutdown()
        server.server_close()
        thread.join()
        end_showing()

    return f"http://{host}:{server.server_port}/metrics", end


def _prometheus(module: str) -> Any:
    # Only where it is used: it is an extra.
    try:
        import prometheus_client
        import prometheus_client.core
        import prometheus_client.exposition
        import prometheus_client.registry
    except ImportError as error:
        raise Unsupported('Metrics need prometheus_client: pip install "snakekernel[telemetry]".') from error
    return getattr(prometheus_client, module)


# -- what is shown: name, help, further labels, and where it is read ---------------------------------------

#: Values by their further labels.
_Values = Mapping[tuple[str, ...], float]


def _by(counter: Mapping[Any, float]) -> _Values:
    # A copy of a dict is made at once, whatever other threads do.
    return {(key,): value for key, value in dict(counter).items()}


def _one(value: float) -> _Values:
    return {(): value}


def _memory(pool: Performing) -> _Values:
    return _one(sum(kernel.memory or 0 for kernel in list(pool.policy.fleet.kernels.values())))


def _waiting(pool: Performing) -> _Values:
    line = pool.policy.line
    calls = len(line.calls)
    return {("call",): calls, ("session",): max(len(line) - calls, 0)}


def _oldest(pool: Performing) -> _Values:
    line = pool.policy.line
    since = [since for _, since in list(line.calls.values())[:1]]
    for opening in list(line.openings.values()):
        since += list(opening.tickets.values())
    return _one(time.monotonic() - min(since) if since else 0.0)


_GAUGES: tuple[tuple[str, str, list[str], Any], ...] = (
    ("kernels", "Kernels, by state.", ["state"], lambda pool: _by(pool.policy.fleet.count)),
    (
        "kernels_maximum",
        "Kernels at once that the pool may have.",
        [],
        lambda pool: _one(pool.policy.settings.maximum),
    ),
    ("memory_bytes", "Memory of all kernels' processes.", [], _memory),
    ("sessions", "Sessions that are open.", [], lambda pool: _one(len(pool.policy.sessions))),
    ("waiting", "Calls and checkouts that wait for a kernel.", ["kind"], _waiting),
    ("oldest_wait_seconds", "How long the oldest of these has waited.", [], _oldest),
)
_COUNTERS: tuple[tuple[str, str, list[str], Any], ...] = (
    ("kernels_started", "Kernels that could be used.", [], lambda pool: _one(pool.counts.started)),
    ("starts_failed", "Kernels that did not start.", [], lambda pool: _one(pool.counts.starts_failed)),
    ("kernels_lost", "Kernels that nobody stopped.", [], lambda pool: _one(pool.counts.stopped["failed"])),
    ("kernels_stopped", "Kernels stopped, by reason.", ["reason"], lambda pool: _by(pool.counts.stopped)),
    ("sessions_opened", "Sessions opened.", [], lambda pool: _one(pool.counts.sessions_opened)),
    (
        "sessions_ended",
        "Sessions that their users did not end.",
        ["reason"],
        lambda pool: _by(pool.counts.sessions_ended),
    ),
    ("calls", "Calls that had a kernel, by outcome.", ["outcome"], lambda pool: _by(pool.counts.calls)),
    ("refused", "Calls and checkouts that got none.", ["reason"], lambda pool: _by(pool.counts.refused)),
)
_HISTOGRAMS: tuple[tuple[str, str, Callable[[Performing], Histogram]], ...] = (
    ("start_seconds", "Until a kernel could be used.", lambda pool: pool.counts.start_seconds),
    ("wait_seconds", "Until a call or checkout had its kernel.", lambda pool: pool.counts.wait_seconds),
    ("call_seconds", "That a call had its kernel.", lambda pool: pool.counts.call_seconds),
)


def _fill(family: Any, pools: Mapping[str, Performing], read: Callable[[Performing], _Values]) -> Any:
    for name, pool in pools.items():
        for labels, value in read(pool).items():
            family.add_metric([name, *labels], value)
    return family


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    within = 0
    buckets: list[tuple[str, float]] = []
    for bound, count in zip([*map(str, Histogram.BOUNDS), "+Inf"], list(histogram.counts), strict=True):
        within += count
        buckets.append((bound, within))
    return buckets
