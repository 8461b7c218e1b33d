"""What the processes of one session take, as /proc tells."""

from __future__ import annotations

import os
from pathlib import Path


def memory_of_session(session: int) -> int:
    """Resident bytes of all processes of a session; what they share is counted for each. 0 without /proc."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # After the name, which may hold anything: state, parent, group, session, ...
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session:
                total += int((folder / "statm").read_text().split()[1])
        except (OSError, IndexError):
            # It has just ended.
            continue
    return total * os.sysconf("SC_PAGE_SIZE")
