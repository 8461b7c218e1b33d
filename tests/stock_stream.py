"""A stream as a stock jupyter_client reads it."""

from __future__ import annotations

from typing import Any

from stock_client import Stock

from snakekernel.wire.names import ITEM


class Reading:
    """A stock client's stream."""

    def __init__(self, stock: Stock, target: Any, *args: Any, credit: int = 100, **fields: Any) -> None:
        self.stock = stock
        route = {name: fields.pop(name) for name in ("subshell_id",) if name in fields}
        content = {"target": target, "args": list(args), "stream": {"credit": credit}, **fields}
        self.id = stock.send("call", content, **route)

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The items that came so far, as messages."""
        return [m for m in self.stock.came(self.id) if m["msg_type"] == ITEM]

    @property
    def items(self) -> list[Any]:
        """The values of the items that came so far; their numbers have no gap."""
        contents = [m["content"] for m in self.messages]
        assert [content["seq"] for content in contents] == list(range(len(contents)))
        return [content["item"]["value"] for content in contents]

    def until(self, count: int) -> list[Any]:
        """Wait for so many items in all."""
        self.stock.until(lambda: len(self.messages) >= count, f"{count} items")
        return self.items

    def grant(self, credit: int) -> bool:
        """Grant more; whether the stream is open."""
        content = {"msg_id": self.id, "credit": credit}
        return bool(self.stock.ok("credit", content, channel="control")["open"])

    def close(self) -> None:
        """Want no more."""
        self.stock.ok("credit", {"msg_id": self.id, "close": True}, channel="control")

    def end(self) -> dict[str, Any]:
        """The one reply, waited for; nothing comes after it."""
        stock = self.stock
        stock.until(lambda: bool(self._replies()), "the reply")
        assert stock.came(self.id)[-1]["msg_type"] == "snake_call_reply"
        assert len(self._replies()) == 1
        content: dict[str, Any] = self._replies()[0]["content"]
        # One that was stopped in the queue had none.
        assert content.get("items", 0) == len(self.items)
        return content

    def _replies(self) -> list[dict[str, Any]]:
        return [m for m in self.stock.came(self.id) if m["msg_type"] != ITEM]
