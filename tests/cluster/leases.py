"""How long kernels of these tests live out of reach."""

from __future__ import annotations

#: Seconds; by default 15.
LEASE = 5.0
