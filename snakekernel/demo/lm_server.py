"""A small OpenAI-compatible language-model server on this machine: DSPy programs run without a network.

Rules: the standard library's HTTP server, bound to 127.0.0.1 on a free port; errors have OpenAI's shape; what
it answers is decided in `answers`; leaving the context closes every connection and joins every thread.
"""

from __future__ import annotations

import hmac
import json
import socket
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self, cast

from .answers import Answerer, Library, load_passages
from .prompt import Task, read_task
from .text import tokens

MODEL = "demo"
_MOST_CHOICES = 8
_MOST_BYTES = 16 << 20


class BadRequest(Exception):
    """A request that the server refuses; ``param`` names the field at fault."""

    def __init__(
        self, message: str, *, param: str | None = None, status: int = 400, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        error = {"message": message, "type": "invalid_request_error", "param": param, "code": code}
        self.body = {"error": error}


class LMServer:
    """The server as a context manager: ``with LMServer(api_key="…") as server: server.api_base``.

    Args:
        api_key: what clients must send as ``Authorization: Bearer …``; ``None`` lets everyone in.
    """

    def __init__(self, *, api_key: str | None = None) -> None:
        self.api_key = api_key
        self._answerer = Answerer(Library(load_passages()))
        self._http = _HTTPServer(self)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), name="demo-lm-server")
        self._lock = threading.Lock()
        self._completions = 0

    @property
    def api_base(self) -> str:
        """The base URL to give to a client, such as ``http://127.0.0.1:40733/v1``."""
        return f"http://127.0.0.1:{self._http.server_port}/v1"

    @property
    def completions(self) -> int:
        """How many chat requests have been answered."""
        return self._completions

    def start(self) -> Self:
        """Serve on a thread of its own until `close`."""
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop serving, end every connection and wait for every thread. Closing twice is fine."""
        if self._thread.is_alive():
            self._http.shutdown()
            self._thread.join()
        self._http.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()

    def check_key(self, authorization: str | None) -> None:
        """Refuse a request without the right key, in OpenAI's words and with status 401."""
        if self.api_key is None:
            return
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(key.strip().encode(), self.api_key.encode()):
            raise BadRequest("Incorrect API key provided.", status=401, code="invalid_api_key")

    def complete(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The ``chat.completion`` object for a decoded request; raises `BadRequest`."""
        messages = _messages(request.get("messages"))
        count = _integer(request, "n", 1, _MOST_CHOICES) or 1
        limit = _integer(request, "max_completion_tokens", 1) or _integer(request, "max_tokens", 1)
        response_format = request.get("response_format")
        if response_format is not None and not isinstance(response_format, dict):
            raise BadRequest("'response_format' must be an object.", param="response_format")
        try:
            task = read_task(messages, response_format)
        except (ValueError, AttributeError, TypeError) as error:
            raise BadRequest(f"The schema of the request cannot be read: {error}") from error
        replies = [_cut(write_reply(task, self._answerer.answer(task, rank)), limit) for rank in range(count)]
        with self._lock:
            self._completions += 1
        read = sum(len(tokens(text)) for _, text in messages)
        written = sum(len(tokens(text)) for text, _ in replies)
        return {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": str(request.get("model") or MODEL),
            "choices": [
                {"index": i, "message": {"role": "assistant", "content": content}, "finish_reason": reason}
                for i, (content, reason) in enumerate(replies)
            ],
            "usage": {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written},
        }


def write_reply(task: Task, values: Mapping[str, Any]) -> str:
    """``values`` in the form that the task asked for: marked sections, a JSON object, or plain text."""
    if task.style == "json":
        return json.dumps(values, ensure_ascii=False)
    if task.style == "plain":
        return "\n".join(str(value) for value in values.values())
    sections = [f"[[ ## {name} ## ]]\n{_as_text(value)}" for name, value in values.items()]
    return "\n\n".join([*sections, "[[ ## completed ## ]]"])


def _as_text(value: Any) -> str:
    return str(value) if isinstance(value, str | bool) else json.dumps(value, ensure_ascii=False)


def _cut(text: str, limit: int | None) -> tuple[str, str]:
    """``text`` within ``limit`` tokens, and the reason why it ends."""
    if limit is None or len(tokens(text)) <= limit:
        return text, "stop"
    end = 0
    for token in tokens(text)[:limit]:
        end = text.index(token, end) + len(token)
    return text[:end], "length"


def _messages(raw: Any) -> list[tuple[str, str]]:
    if not isinstance(raw, list) or not raw:
        raise BadRequest("'messages' must be a list of at least one message.", param="messages")
    messages = []
    for i, message in enumerate(raw):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise BadRequest("a message must be an object with a role.", param=f"messages[{i}]")
        messages.append((message["role"], _content(message.get("content"), i)))
    return messages


def _content(content: Any, index: int) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    if isinstance(content, list) and all(isinstance(part, dict) for part in content):
        return "\n".join(str(part.get("text", "")) for part in content if part.get("type") == "text")
    raise BadRequest("'content' must be text or a list of parts.", param=f"messages[{index}].content")


def _integer(request: Mapping[str, Any], name: str, low: int, high: int | None = None) -> int | None:
    number = request.get(name)
    if number is None:
        return None
    if type(number) is not int or number < low or (high is not None and number > high):
        most = f" to {high}" if high else ""
        raise BadRequest(f"'{name}' must be a whole number from {low}{most}.", param=name)
    return number


def stream_chunks(completion: Mapping[str, Any], *, usage: bool) -> Iterator[dict[str, Any]]:
    """The ``chat.completion.chunk`` objects that together say what ``completion`` says."""
    head: dict[str, Any] = {name: completion[name] for name in ("id", "created", "model")}
    head["object"] = "chat.completion.chunk"

    def chunk(index: int, delta: Mapping[str, Any], reason: str | None) -> dict[str, Any]:
        return {**head, "choices": [{"index": index, "delta": delta, "finish_reason": reason}]}

    for choice in completion["choices"]:
        index = choice["index"]
        yield chunk(index, {"role": "assistant", "content": ""}, None)
        for piece in choice["message"]["content"].splitlines(keepends=True):
            for part in _pieces(piece):
                yield chunk(index, {"content": part}, None)
        yield chunk(index, {}, choice["finish_reason"])
    if usage:
        yield {**head, "choices": [], "usage": completion["usage"]}


def _pieces(line: str) -> Sequence[str]:
    """``line`` as words with the space after them; together they are the line again."""
    parts = line.split(" ")
    return [f"{part} " for part in parts[:-1]] + [parts[-1]]


class _HTTPServer(ThreadingHTTPServer):
    daemon_threads = False  # so that server_close joins the connections' threads

    def __init__(self, owner: LMServer) -> None:
        self.owner = owner
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._guard:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report what went wrong with a connection, unless it is only that the client left."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def server_close(self) -> None:
        with self._guard:
            # A kept-alive connection waits for its next request: wake it, or its thread would never end.
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:  # the client has already gone
                    pass
        super().server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "snakekernel-demo"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        """Silence: the demo prints what it does itself."""

    @property
    def _owner(self) -> LMServer:
        return cast(_HTTPServer, self.server).owner

    def do_GET(self) -> None:
        self._answer({"/v1/models": self._models})

    def do_POST(self) -> None:
        self._answer({"/v1/chat/completions": self._chat})

    def _answer(self, routes: Mapping[str, Any]) -> None:
        try:
            try:
                body = self._body()
                self._owner.check_key(self.headers.get("Authorization"))
                route = routes.get(self.path.partition("?")[0])
                if route is None:
                    unknown = f"Unknown request URL: {self.command} {self.path}."
                    raise BadRequest(unknown, status=404, code="unknown_url")
                route(body)
            except BadRequest as refused:
                self._send(refused.status, refused.body)
        except (ConnectionError, TimeoutError):  # the client went away; nobody is left to tell
            self.close_connection = True

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > _MOST_BYTES or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # where this request ends is unknown, so no other can follow it
            raise BadRequest("A body needs a Content-Length of at most 16 MiB.", status=413)
        return self.rfile.read(int(length))

    def _models(self, _body: bytes) -> None:
        model = {"id": MODEL, "object": "model", "created": 0, "owned_by": "snakekernel"}
        self._send(200, {"object": "list", "data": [model]})

    def _chat(self, body: bytes) -> None:
        try:
            request = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise BadRequest(f"The body is not JSON: {error}") from error
        if not isinstance(request, dict):
            raise BadRequest("The body must be a JSON object.")
        completion = self._owner.complete(request)
        if not request.get("stream"):
            return self._send(200, completion)
        options = request.get("stream_options")
        usage = bool(isinstance(options, dict) and options.get("include_usage"))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Connection", "close")  # also tells the client where the stream ends
        self.end_headers()
        for chunk in stream_chunks(completion, usage=usage):
            self.wfile.write(b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n")
        self.wfile.write(b"data: [DONE]\n\n")

    def _send(self, status: int, content: Mapping[str, Any]) -> None:
        data = json.dumps(content, ensure_ascii=False).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)
