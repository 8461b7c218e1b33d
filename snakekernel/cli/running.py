"""Finding the latest running kernel of ours among Jupyter's connection files."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any, Final

from jupyter_core.paths import jupyter_runtime_dir

from ..client.client import Client
from ..errors import NotASnakeKernel, ReplyTimeout
from ..wire.errors import NotFound

#: Seconds that a kernel whose socket is open gets to say what it is.
_PATIENCE: Final = 3.0


def connect_latest() -> Client:
    """A client of the kernel started last that runs and speaks our protocol.

    Raises NotFound where there is none. Files of dead kernels and kernels of others are passed over.
    """
    folder = Path(jupyter_runtime_dir())
    for path in sorted(folder.glob("kernel-*.json"), key=_started, reverse=True):
        try:
            if _listens(json.loads(path.read_text())):
                return Client.connect(path, timeout=_PATIENCE)
        except (OSError, ValueError, KeyError, NotASnakeKernel, ReplyTimeout):
            # Gone meanwhile, half written, silent or another kind of kernel: look further.
            continue
    raise NotFound(
        f"No kernel of ours runs here (looked at the connection files in {folder}). "
        "Start one with `snakekernel start`, or leave --existing out for a fresh one."
    )


def _started(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _listens(info: dict[str, Any]) -> bool:
    address: Any = (info["ip"], info["control_port"])
    family = socket.AF_INET6 if ":" in str(info["ip"]) else socket.AF_INET
    if info.get("transport") == "ipc":
        address, family = f"{info['ip']}-{info['control_port']}", socket.AF_UNIX
    with socket.socket(family) as probe:
        probe.settimeout(_PATIENCE)
        return probe.connect_ex(address) == 0
