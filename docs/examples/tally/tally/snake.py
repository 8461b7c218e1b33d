"""What the library brings to snakekernel. Named by entry points, imported when it is first needed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snakekernel.commands.command import Command
from snakekernel.plugins.api import Plugin
from snakekernel.values import Codec, Decoder, Encoder
from snakekernel.wire.errors import InvalidRequest, NotFound
from snakekernel.wire.model import Name, Reply, Request

from . import Tally

# -- a codec: Tally objects have a lossless form --------------------------------------------------


def encode(obj: Tally, encoder: Encoder) -> Any:
    """As the counts; children go through the encoder."""
    return encoder.encode(obj.counts)


def decode(payload: Any, decoder: Decoder) -> Tally:
    """A payload comes from the network: check it, and say where it is wrong."""
    counts = decoder.child(payload)
    if not isinstance(counts, dict) or not all(type(n) is int for n in counts.values()):
        raise InvalidRequest("expected counts by name", at=decoder.at())
    return Tally(counts)


CODEC = Codec("tally.Tally", (Tally,), encode, decode)

# -- a plugin: configuration and descriptions ------------------------------------------------------


class TallyPlugin(Plugin):
    """Special care for the package ``tally``."""

    name = "tally"

    def configure(self, config: Mapping[str, Any], scope: Any) -> str:
        """Called for ``configure`` of this framework; returns a message."""
        self.load().configure(**config)
        return f"tally counts by {config.get('step', 1)}"

    def describe(self, obj: Any, describer: Any) -> dict[str, Any] | None:
        """Fields for descriptions of the package's objects, in place of the usual ones."""
        return {"names": sorted(obj.counts)} if isinstance(obj, Tally) else None


PLUGIN = TallyPlugin()

# -- a command: an operation of its own -----------------------------------------------------------


class CountUpRequest(Request, frozen=True, kw_only=True):
    """Count ``name`` in the stored tally ``id``."""

    id: Name
    name: str


class CountUpReply(Reply, kw_only=True):
    """The count."""

    count: int


async def run(request: CountUpRequest, scope: Any) -> CountUpReply:
    """The library runs through ``scope.invoke``, so that what it raises is told apart from our own errors."""
    tally = scope.entry(request.id).obj
    if not isinstance(tally, Tally):
        raise NotFound(f"{request.id!r} is no tally.", at="$.id")
    return CountUpReply(count=scope.invoke(tally.add, (request.name,)))


COUNT_UP = Command(
    op="count_up", request=CountUpRequest, reply=CountUpReply, run=run, summary="Count once more in a tally."
)
