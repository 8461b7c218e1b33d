"""A client as a process of its own, to be killed: connects, begins a call in a session, and waits for it.

``python lost_client.py CONNECTION_FILE CODE CALL_ID`` runs CODE in the session "work".
"""

from __future__ import annotations

import sys

import snakekernel


def main() -> None:
    """Begin the call and wait."""
    connection_file, code, call_id = sys.argv[1:]
    snake = snakekernel.connect(connection_file)
    snake.create_session("work")
    snake.store("kept", [1, 2], session_id="work")
    snake.call("builtins.exec", args=[code], call_id=call_id, session_id="work")


if __name__ == "__main__":
    main()
