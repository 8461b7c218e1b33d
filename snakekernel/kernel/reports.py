"""The progress of requests: what their code reports goes out on iopub under the request it belongs to.

Rules: at most ten messages a second of each bar, and the last one always, before the reply. tqdm's bars
report so too where they are made within a request of ours; in cells they show as ever.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from ..reporting import telling, tqdm_bars
from ..reporting.telling import Listener, Throttle
from ..wire.names import PROGRESS
from .parents import is_of_ours
from .serving import Serving

if TYPE_CHECKING:
    from .kernel import SnakeKernel


class Reports:
    """What the requests of one kernel report.

    Attributes:
        kept: by request, bars whose last telling is kept back; empty most of the time.
    """

    def __init__(self, kernel: SnakeKernel) -> None:
        self._kernel = kernel
        self.kept: dict[str, list[Throttle]] = {}

    def install(self) -> None:
        """Have progress of this process that belongs to a request go out under it."""
        telling.find = self._find
        tqdm_bars.install()

    def _find(self) -> Listener | None:
        parent = self._kernel.get_parent("shell")
        if not parent or not is_of_ours(parent):
            return None
        return Throttle(partial(self.publish, parent), partial(self._keep, parent["header"]))

    def publish(self, parent: dict[str, Any], done: int, total: int, text: str) -> None:
        """Tell how far a request is; on any thread."""
        kernel = self._kernel
        content = {"done": done, "total": total, "text": text}
        kernel.envelope.send(kernel.iopub_socket, PROGRESS, content, parent, ident=kernel._topic(PROGRESS))

    def _keep(self, header: dict[str, Any], throttle: Throttle) -> None:
        # After its reply there is no end that it could be told at.
        activity = self._kernel.activities.find(header)
        if activity is not None:
            self.kept.setdefault(header["msg_id"], []).append(throttle)
            if isinstance(activity.serving, Serving) and activity.serving.is_over:
                # Its end came meanwhile, on another thread.
                self.finish(header)

    def finish(self, header: dict[str, Any]) -> None:
        """The request is about to be replied to: tell what was kept back."""
        for throttle in self.kept.pop(header["msg_id"], ()):
            throttle.close()
