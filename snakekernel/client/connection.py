"""Where a kernel is: connection details from a file, a kernel id, a manager or a client of Jupyter's."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_client.connect import find_connection_file


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach one kernel."""

    transport: str
    ip: str
    shell_port: int
    control_port: int
    key: bytes
    signature_scheme: str = "hmac-sha256"
    curve_publickey: bytes | None = None
    curve_secretkey: bytes | None = None
    #: None where the details lack it, which only listening needs.
    iopub_port: int | None = None
    #: What stands for its address in texts, where it is reached through a bridge.
    shown: str | None = None
    #: Whether buffers need hashes all the same: for the way beyond a bridge.
    buffers_bound: bool = False

    def address(self, port: int) -> str:
        """The zmq address of one channel."""
        return f"ipc://{self.ip}-{port}" if self.transport == "ipc" else f"tcp://{self.ip}:{port}"

    @property
    def binds_buffers(self) -> bool:
        """Whether buffers need hashes: on plain TCP nothing else protects them."""
        return self.buffers_bound or (self.transport == "tcp" and self.curve_publickey is None)

    def __repr__(self) -> str:
        return f"<Connection {self.shown or self.address(self.shell_port)}>"


def find(where: Any) -> Connection:
    """Connection details of a running kernel.

    Args:
        where: path of a connection file, id of a running kernel, or a KernelManager, KernelClient or
            connection-info mapping of jupyter_client.

    Raises:
        FileNotFoundError: no connection file of that name. ValueError: it holds no usable details.
    """
    if isinstance(where, Mapping):
        return _from_info(where)
    describe = getattr(where, "get_connection_info", None)
    if callable(describe):
        return _from_info(describe())
    name = os.fspath(where)
    path = Path(name)
    if not path.is_file():
        try:
            path = Path(find_connection_file(name))
        except OSError:
            raise FileNotFoundError(f"no connection file and no running kernel named {name!r}") from None
    try:
        info = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is no connection file: {error}") from None
    if not isinstance(info, dict):
        raise ValueError(f"{path} is no connection file: it holds no object")
    return _from_info(info)


def _from_info(info: Mapping[str, Any]) -> Connection:
    def as_bytes(value: Any) -> bytes | None:
        return value.encode() if isinstance(value, str) else value

    try:
        return Connection(
            transport=info.get("transport", "tcp"),
            ip=info["ip"],
            shell_port=info["shell_port"],
            control_port=info["control_port"],
            key=as_bytes(info.get("key")) or b"",
            signature_scheme=info.get("signature_scheme", "hmac-sha256"),
            curve_publickey=as_bytes(info.get("curve_publickey")),
            curve_secretkey=as_bytes(info.get("curve_secretkey")),
            iopub_port=info.get("iopub_port"),
        )
    except KeyError as error:
        raise ValueError(f"the connection details lack {error}") from None
