"""``serve``: pools of kernels behind a Jupyter Server. Its options are the server's, so it reads the line."""

from __future__ import annotations

import sys
from inspect import cleandoc
from typing import Any

from ..wire.errors import Unsupported
from .command import Answer, Command


class ServeApp(Command):
    """Serve pools of kernels to remote clients and front ends."""

    name = "snakekernel serve"
    description = cleandoc("""snakekernel serve

    Serve pools of kernels behind a Jupyter Server, whose options all hold.
    """)

    def parse_command_line(self, argv: Any = None) -> None:
        """Leave the line to the server."""
        self._words = list(sys.argv[1:] if argv is None else argv)

    def load_config_file(self, *args: Any, **options: Any) -> None:
        """Left to the server too."""

    def answer(self) -> Answer | None:
        """Serve until it is told to stop."""
        try:
            from ..server.app import PoolServerApp
        except ImportError as error:
            if (error.name or "").partition(".")[0] != "jupyter_server":
                raise
            raise Unsupported('This needs Jupyter Server: pip install "snakekernel[serve]".') from None
        # Only one application of Jupyter's may be there.
        type(self).clear_instance()
        try:
            PoolServerApp.launch_instance(self._words)
        finally:
            PoolServerApp.clear_instance()
        return None
