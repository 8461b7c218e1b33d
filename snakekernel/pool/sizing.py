"""How many kernels a pool should have: functions of its settings, its kernels and those that wait."""

from __future__ import annotations

from typing import Final

from .events import Settings
from .fleet import Fleet, State
from .waiting import Line

#: States of kernels that are free for a session soon, or leave room for one that is.
_ON_THE_WAY: Final[tuple[State, ...]] = ("starting", "unused", "retiring", "stopping", "lost")


def wanted(settings: Settings, fleet: Fleet, line: Line) -> int:
    """How many kernels more there should be of those that start or are unused; less than 0: fewer."""
    opening = max(_to_open(settings, fleet, line), 0)
    calling = max(-(-len(line.calls) // settings.calls_per_kernel), settings.minimum - fleet.count["calls"])
    return opening + calling + settings.spares - fleet.count["starting"] - fleet.count["unused"]


def to_make_room(settings: Settings, fleet: Fleet, line: Line) -> int:
    """How many kernels for calls should go for sessions that wait, where there is no room for more."""
    on_the_way = sum(fleet.count[state] for state in _ON_THE_WAY) - len(fleet.kernels) + settings.maximum
    return min(_to_open(settings, fleet, line) - on_the_way, fleet.count["calls"] - _kept_for_calls(settings))


def in_reach_of_sessions(settings: Settings, fleet: Fleet) -> int:
    """How many more kernels sessions may have; less than 0 where the pool was made smaller."""
    return settings.maximum - _kept_for_calls(settings) - fleet.count["sessions"]


def _to_open(settings: Settings, fleet: Fleet, line: Line) -> int:
    """How many kernels the sessions that wait need, of those that they may have."""
    return min(-(-line.ready // settings.sessions_per_kernel), in_reach_of_sessions(settings, fleet))


def _kept_for_calls(settings: Settings) -> int:
    return min(settings.minimum, settings.maximum - 1)
