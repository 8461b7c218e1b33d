"""What a served pool answers beside Jupyter Server's own interface.

``GET <base>/snakekernel/api/pools`` tells of the pools; ``PUT`` and ``DELETE`` of
``<base>/snakekernel/api/pools/<pool>/sessions/<id>`` open and close named sessions.
"""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web


class PoolsHandler(APIHandler):  # type: ignore[misc]  # jupyter_server ships no types for it
    """All pools."""

    auth_resource = "kernels"

    @web.authenticated
    @authorized  # type: ignore[untyped-decorator]
    async def get(self) -> None:
        """What each pool has and does, as ``KernelPool.status``."""
        pools = self.settings["kernel_manager"].pools
        await pools.open()
        await self.finish(msgspec.json.encode([pool.status() for pool in pools.all]))


class SessionHandler(APIHandler):  # type: ignore[misc]
    """One named session."""

    auth_resource = "kernels"

    @web.authenticated
    @authorized  # type: ignore[untyped-decorator]
    async def put(self, pool: str, session: str) -> None:
        """The id of its kernel; the session is opened where it is not yet."""
        kernel_id = await self.settings["kernel_manager"].open_session(pool, session)
        await self.finish(json.dumps({"kernel_id": kernel_id, "pool": pool, "session": session}))

    @web.authenticated
    @authorized  # type: ignore[untyped-decorator]
    async def delete(self, pool: str, session: str) -> None:
        """End it, and its kernel."""
        await self.settings["kernel_manager"].close_session(pool, session)
        self.set_status(204)
        await self.finish()


_POOLS: Final = "/snakekernel/api/pools"


def handlers(base_url: str) -> list[Any]:
    """For the server's application."""
    return [
        (url_path_join(base_url, _POOLS), PoolsHandler),
        (url_path_join(base_url, _POOLS, r"([^/]+)/sessions/([^/]+)"), SessionHandler),
    ]
