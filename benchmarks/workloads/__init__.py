"""The workloads, in the order of the tables: one file for each."""

from __future__ import annotations

from typing import Final

from ..workload import Workload
from . import (
    array,
    callback,
    checkout,
    dict_method,
    durable_store,
    frame,
    growth,
    in_flight,
    kernel_memory,
    kernel_start,
    parallel,
    pool_overhead,
    pool_throughput,
    references,
    small_call,
    start_up,
    steps,
    stream,
    watched_cells,
)

WORKLOADS: Final[list[Workload]] = [
    small_call.WORKLOAD,
    in_flight.WORKLOAD,
    dict_method.WORKLOAD,
    steps.WORKLOAD,
    parallel.WORKLOAD,
    stream.WORKLOAD,
    callback.WORKLOAD,
    *array.WORKLOADS,
    frame.WORKLOAD,
    start_up.WORKLOAD,
    growth.WORKLOAD,
    references.WORKLOAD,
    watched_cells.WORKLOAD,
    durable_store.WORKLOAD,
    pool_throughput.WORKLOAD,
    pool_overhead.WORKLOAD,
    checkout.WORKLOAD,
    kernel_start.WORKLOAD,
    kernel_memory.WORKLOAD,
]
