"""A process that starts kernels and is killed: ``python starter.py <how> <file that a busy kernel makes>``.

Writes the kernel's process id, and that of a process it started, to its standard output.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager

import snakekernel

#: Holds the interpreter for as long as the kernel lives.
HELD = "import ctypes, pathlib; pathlib.Path({!r}).touch(); ctypes.PyDLL(None).poll(None, 0, -1)"


#: Nothing here ends by itself.
_kept: list[Any] = []


def started(how: str) -> Any:
    """A client of a kernel that was started this way, and is not shut down."""
    if how == "snakekernel":
        return snakekernel.start()
    if how == "zygote":
        pool = snakekernel.KernelPool.blocking(maximum=1, provisioner="zygote").__enter__()
        session = pool.session("one")
        _kept.extend((pool, session))
        return session.__enter__()
    manager = KernelManager(kernel_name="snakekernel")
    if how == "thread":
        # By a thread that ends: its end is not its process's.
        thread = threading.Thread(target=manager.start_kernel)
        thread.start()
        thread.join()
    else:
        manager.start_kernel(independent=how == "independent")
    Path(sys.argv[2]).with_suffix(".connection").write_text(manager.connection_file)
    client = snakekernel.connect(manager, timeout=60)
    _kept.append(manager)
    return client


def main() -> None:
    """Start, tell, and wait to be killed."""
    how, busy = sys.argv[1:]
    client = started(how.removesuffix("+held"))
    pid = client.call("os.getpid")
    client.call("subprocess.Popen", args=[["sleep", "600"]], store_as="child")
    child = client.call("stored.child.pid")
    if how.endswith("+held"):
        calling = client.submit("builtins.exec", args=[HELD.format(busy)])
        while not Path(busy).exists():
            calling.done()
            time.sleep(0.01)
    print(pid, child, flush=True)
    while True:
        time.sleep(600)


if __name__ == "__main__":
    main()
