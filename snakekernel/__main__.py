"""``python -m snakekernel -f <connection file>``: the kernel process that the kernelspec starts."""

import gc
import os
import sys

if __name__ == "__main__":
    # A kernel runs in its user's folder; files there must not shadow modules while we load. IPython puts
    # the folder back for the notebook's own imports.
    if sys.path[0] in ("", os.getcwd()):
        del sys.path[0]

    from snakekernel.kernel.orphans import end_with_starter

    end_with_starter()

    # What a start makes stays: looking through it for garbage took a tenth of the time. The app enables it.
    gc.disable()

    from snakekernel.kernel.deferred import defer_clients

    defer_clients()

    from snakekernel.kernel.app import main

    main()
