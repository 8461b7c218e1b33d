"""What is watched for changes in place."""

from __future__ import annotations


class Watches:
    """The watches of one kernel."""

    def __init__(self) -> None:
        self.variables_version = 0
