"""``python -m snakekernel -f <connection file>``: the kernel process that the kernelspec starts."""

import os
import sys

if __name__ == "__main__":
    # A kernel runs in its user's folder; files there must not shadow modules while we load. IPython puts
    # the folder back for the notebook's own imports.
    if sys.path[0] in ("", os.getcwd()):
        del sys.path[0]

    from snakekernel.kernel.app import main

    main()
