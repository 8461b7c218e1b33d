"""``configure``: set a framework up, for the process or for one session."""

from __future__ import annotations

from typing import Any

import msgspec

from ..objects.target import Target
from ..wire.errors import NotFound, Unresolvable
from ..wire.model import Name
from ..wire.model import Reply as BaseReply
from ..wire.model import Request as BaseRequest
from .command import Command
from .scope import Scope


class Request(BaseRequest, frozen=True, kw_only=True):
    """``config`` goes to the framework's plugin, or to its own ``configure``."""

    framework: Name
    config: dict[str, Any] = msgspec.field(default_factory=dict)


class Reply(BaseReply, kw_only=True):
    """A message for a person."""

    message: str


async def run(request: Request, scope: Scope) -> Reply:
    """Register what is secret first, then configure."""
    name = request.framework
    scope.runtime.secrets.add_from(request.config)
    config = scope.decode_fields(request.config, at="$.config")
    framework = scope.runtime.frameworks.get(name)
    if framework is not None:
        scope.runtime.policy.check(f"{name}.configure", "$.framework")
        message = scope.invoke(framework.configure, (config, scope), at="$.config", trusted=True)
        return Reply(message=message)
    try:
        function = scope.resolve(Target("import", f"{name}.configure", ()), at="$.framework")
    except Unresolvable as error:
        known = ", ".join(scope.runtime.frameworks.available()) or "none"
        raise NotFound(
            f"{name!r} has no plugin here and no {name}.configure: {error.message} "
            f"Frameworks with a plugin: {known}.",
            at="$.framework",
        ) from None
    scope.invoke(function, (), config)
    return Reply(message=f"{name} configured")


COMMAND = Command(
    op="configure",
    request=Request,
    reply=Reply,
    run=run,
    summary="Configure a framework, for the process or for one session.",
    creates_session=True,
)
