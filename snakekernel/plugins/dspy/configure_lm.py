"""``configure_lm``: name the language model; translated into ``configure`` of DSPy."""

from __future__ import annotations

from typing import Any

import msgspec

from ...commands.command import Command
from ...commands.scope import Scope
from ...wire.errors import InvalidRequest
from ...wire.model import Reply as BaseReply
from ...wire.model import Request as BaseRequest
from .programs import paths


class Request(BaseRequest, frozen=True, kw_only=True):
    """A model by ``provider`` and ``model``, or by ``lm``; its key itself or the variable that holds it.

    config: anything else that ``dspy.LM`` or DSPy's settings take.
    """

    provider: str | None = None
    model: str | None = None
    lm: Any = None
    api_key: str | None = None
    api_key_env: str | None = None
    api_base: str | None = None
    base_url: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None
    num_retries: int | None = None
    timeout: float | None = None
    cache: bool | None = None
    adapter: Any = None
    config: dict[str, Any] = msgspec.field(default_factory=dict)


class Reply(BaseReply, kw_only=True):
    """A message for a person."""

    message: str


_COMMON = frozenset(BaseRequest.__struct_fields__)


async def run(request: Request, scope: Scope) -> Reply:
    """Configure, with a session for it alone."""
    fields = msgspec.structs.asdict(request)
    given = {k: v for k, v in fields.items() if k not in _COMMON and k != "config" and v is not None}
    twice = next((name for name in request.config if name in given), None)
    if twice is not None:
        raise InvalidRequest(f"{twice!r} is given twice.", at=f"$.config.{twice}")
    with paths({f"$.config.{name}": f"$.{name}" for name in given}):
        await scope.perform("configure", {"framework": "dspy", "config": {**request.config, **given}})
    return Reply(message="LM configured successfully")


COMMAND = Command(
    op="configure_lm",
    request=Request,
    reply=Reply,
    run=run,
    summary="Configure DSPy's language model.",
    creates_session=True,
)
