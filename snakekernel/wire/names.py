"""Names on the wire: message types, versions, channels. One place, so that both ends agree."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Literal

#: Version of the protocol; the major number changes when an old client would misread a new kernel.
PROTOCOL_VERSION: Final = "1.0"

#: Entry in ``kernel_info_reply``: a feature name and the key that holds our details.
FEATURE: Final = "snakekernel"

#: Target name of the comm through which front-ends reach the inspector operations.
COMM_TARGET: Final = "snakekernel"

#: Type of the iopub message that announces changed names.
CHANGED: Final = "snake_changed"

#: Type of the iopub message that tells how far a task is.
PROGRESS: Final = "snake_progress"

#: Types of the messages that go to a requester alone, as children of its request: an item of a stream, a call
#: of one of its functions, and the ids of those that the kernel has let go.
ITEM: Final = "snake_item"
CALLBACK: Final = "snake_callback_request"
CALLBACK_RELEASED: Final = "snake_callback_released"
#: What a client answers a call of its function with, on control; it gets no reply of its own.
CALLBACK_REPLY: Final = "snake_callback_reply"

#: Where a request came in. One made within a call of its client's function comes by control and runs on the
#: thread that waits for that call.
Door = Literal["shell", "subshell", "control", "comm", "callback"]

_PREFIX: Final = "snake_"
_REQUEST: Final = "_request"
_REPLY: Final = "_reply"


def request_type(op: str) -> str:
    """Message type of a request, ``"call"`` -> ``"snake_call_request"``."""
    return f"{_PREFIX}{op}{_REQUEST}"


@lru_cache(maxsize=64)
def reply_type(op: str) -> str:
    """Message type of a reply, ``"call"`` -> ``"snake_call_reply"``."""
    return f"{_PREFIX}{op}{_REPLY}"


def is_ours(msg_type: str) -> bool:
    """Whether a message type belongs to this protocol, known operation or not."""
    return msg_type.startswith(_PREFIX)


@lru_cache(maxsize=64)
def op_of(msg_type: str) -> str:
    """Operation named by one of our message types; total, so that any such type can be answered."""
    op = msg_type.removeprefix(_PREFIX)
    return op.removesuffix(_REQUEST)
