"""Resource limits of the kernel's process: what the system refuses it, and the processes it starts."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from traitlets import TraitError


def set_limits(limits: Mapping[str, int]) -> None:
    """Set limits by their names of setrlimit(2), such as ``as``; they can be lowered later, not raised.

    Raises TraitError where there is no such limit here, or more is asked for than is allowed.
    """
    if not limits:
        return
    if sys.platform == "win32":
        raise TraitError("This system has no resource limits.")
    import resource

    for name, value in limits.items():
        number = getattr(resource, f"RLIMIT_{name.upper()}", None)
        if number is None:
            raise TraitError(f"This system has no resource limit {name!r}.")
        try:
            resource.setrlimit(number, (value, value))
        except (ValueError, OverflowError) as error:
            raise TraitError(f"The resource limit {name!r} cannot be {value}: {error}") from None
