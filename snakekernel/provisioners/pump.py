"""Output of a process through a pipe to where it goes, so that the process never has that place itself.

Rules: whoever has a terminal or file open for writing can open it again for reading by /proc. What is beyond
the bound is read and dropped, and said so once: a process that writes must not wait for ever.
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import IO, Any, Final

_AT_ONCE: Final = 1 << 16


@contextmanager
def piped(streams: Mapping[str, int | IO[Any] | None], most: int) -> Iterator[dict[str, Any]]:
    """Arguments of Popen for ``stdout`` and ``stderr``, given as Popen takes them; both may be one place.

    Args:
        most: bytes of each place that are passed on.
    """
    writers: dict[tuple[int, int], int] = {}
    theirs: dict[str, Any] = {}
    with ExitStack() as ours:
        for name, stream in streams.items():
            if stream in (subprocess.DEVNULL, subprocess.PIPE, subprocess.STDOUT):
                theirs[name] = stream
                continue
            number = _number(name, stream)
            try:
                target = os.dup(number)
            except OSError:
                # Of a program without a terminal it may be closed.
                theirs[name] = subprocess.DEVNULL
                continue
            status = os.fstat(target)
            place = (status.st_dev, status.st_ino)
            if place in writers:
                os.close(target)
            else:
                reader, writers[place] = os.pipe()
                ours.callback(os.close, writers[place])
                threading.Thread(
                    target=_pass_on, args=(reader, target, most), name="output of a sandbox", daemon=True
                ).start()
            theirs[name] = writers[place]
        yield theirs


def _number(name: str, stream: int | IO[Any] | None) -> int:
    if stream is None:
        # Not what sys.stdout is: the process's own, as stock.
        return 1 if name == "stdout" else 2
    return stream if isinstance(stream, int) else stream.fileno()


def _pass_on(reader: int, target: int, most: int) -> None:
    left = most
    # Where nobody reads any more, it is dropped.
    is_over = False
    while True:
        try:
            text = os.read(reader, _AT_ONCE)
        except OSError:
            break
        if not text:
            break
        if left >= 0 and len(text) > left:
            text = text[:left] + f"\n[more than {most} bytes: what follows is dropped]\n".encode()
            left = -1
        elif left >= 0:
            left -= len(text)
        else:
            continue
        view = memoryview(text)
        while view and not is_over:
            try:
                view = view[os.write(target, view) :]
            except OSError:
                is_over = True
    for descriptor in (reader, target):
        with suppress(OSError):
            os.close(descriptor)
