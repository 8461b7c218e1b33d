"""A complete client of a snakekernel in plain TCP sockets: no zmq, no Jupyter, only the standard library.

It is written to be translated: every byte that a client in another language has to send is made here. Run it
with the connection file of a kernel that listens on TCP:

    python plain_socket_client.py /path/to/kernel-1234.json
"""

import hashlib
import hmac
import json
import socket
import struct
import sys
import uuid
from datetime import UTC, datetime

MORE, LONG, COMMAND = 1, 2, 4  # flags of a ZMTP frame
DELIMITER = b"<IDS|MSG>"


class KernelError(Exception):
    """An error reply; ``reply`` has its fields: code, error, at, fault, ename, evalue, traceback."""

    def __init__(self, reply):
        super().__init__(f"{reply['code']}: {reply['error']}")
        self.reply = reply


class Client:
    """One connection to a kernel's shell (or control) port."""

    def __init__(self, connection_file, port="shell_port"):
        with open(connection_file) as file:
            info = json.load(file)
        if info["transport"] != "tcp" or info.get("curve_publickey"):
            raise SystemExit("this example speaks plain TCP only")
        self.key = info["key"].encode()
        self.digest = info["signature_scheme"].removeprefix("hmac-")
        self.session = uuid.uuid4().hex
        self.socket = socket.create_connection((info["ip"], info[port]), timeout=30)
        self.stream = self.socket.makefile("rb")
        self.handshake()

    # -- ZMTP 3.0 (rfc.zeromq.org/spec/23), mechanism NULL, socket type DEALER ------------------

    def handshake(self):
        greeting = b"\xff" + bytes(8) + b"\x7f" + bytes([3, 0]) + b"NULL".ljust(20, b"\0") + bytes(32)
        self.socket.sendall(greeting)
        theirs = self.read(64)
        if theirs[0] != 0xFF or theirs[10] < 3 or theirs[12:32].rstrip(b"\0") != b"NULL":
            raise ConnectionError("the other side does not speak ZMTP 3 with the NULL mechanism")
        ready = b"\x05READY"
        for name, value in ((b"Socket-Type", b"DEALER"), (b"Identity", b"")):
            ready += bytes([len(name)]) + name + struct.pack(">I", len(value)) + value
        self.send_frame(COMMAND, ready)
        flags, body = self.read_frame()
        if not flags & COMMAND or not body.startswith(b"\x05READY"):
            raise ConnectionError(f"the handshake failed: {body!r}")

    def read(self, count):
        data = self.stream.read(count)
        if len(data) < count:
            raise ConnectionError("the kernel closed the connection")
        return data

    def send_frame(self, flags, body):
        if len(body) < 256:
            self.socket.sendall(bytes([flags, len(body)]) + body)
        else:
            self.socket.sendall(bytes([flags | LONG]) + struct.pack(">Q", len(body)) + body)

    def read_frame(self):
        flags = self.read(1)[0]
        size = struct.unpack(">Q", self.read(8))[0] if flags & LONG else self.read(1)[0]
        return flags, self.read(size)

    def read_message(self):
        parts, flags = [], MORE
        while flags & MORE:
            flags, body = self.read_frame()
            parts.append(body)
        return parts

    # -- Jupyter's messages: delimiter, signature, header, parent, metadata, content, buffers ---

    def sign(self, parts):
        if not self.key:
            return b""
        return hmac.new(self.key, b"".join(parts), self.digest).hexdigest().encode()

    def request(self, op, content, buffers=()):
        """Send ``snake_<op>_request``; returns (content, buffers) of the reply, or raises KernelError."""
        msg_id = uuid.uuid4().hex
        header = {
            "msg_id": msg_id,
            "msg_type": f"snake_{op}_request",
            "session": self.session,
            "username": "plain",
            "date": datetime.now(UTC).isoformat(),
            "version": "5.4",
        }
        # The signature does not cover buffers, so the signed metadata holds their hashes.
        bound = [{"length": len(b), "sha256": hashlib.sha256(b).hexdigest()} for b in buffers]
        metadata = {"snake_buffers": bound} if buffers else {}
        signed = [json.dumps(part).encode() for part in (header, {}, metadata, content)]
        frames = [DELIMITER, self.sign(signed), *signed, *buffers]
        for index, frame in enumerate(frames):
            self.send_frame(MORE if index < len(frames) - 1 else 0, frame)
        while True:
            reply, buffers = self.receive(msg_id)
            if reply is not None:
                break
        if reply["status"] != "ok":
            raise KernelError(reply)
        return reply, buffers

    def receive(self, msg_id):
        parts = self.read_message()
        signature, *signed = parts[parts.index(DELIMITER) + 1 :][:5]
        buffers = parts[parts.index(DELIMITER) + 6 :]
        if not hmac.compare_digest(signature, self.sign(signed)):
            raise ConnectionError("a message with a wrong signature")
        _, parent, metadata, content = (json.loads(part) for part in signed)
        for entry, buffer in zip(metadata.get("snake_buffers", []), buffers, strict=True):
            if entry["sha256"] != hashlib.sha256(buffer).hexdigest():
                raise ConnectionError("a buffer that is not the one that was signed")
        return (content, buffers) if parent.get("msg_id") == msg_id else (None, [])


def main(connection_file):
    """call, store, retrieve, and an error."""
    kernel = Client(connection_file)
    reply, _ = kernel.request("call", {"target": "operator.add", "args": [2, 3]})
    print("operator.add(2, 3) =", reply["result"]["value"])
    kernel.request("store", {"id": "numbers", "value": [3, 1, 2]})
    reply, _ = kernel.request("call", {"target": "builtins.sorted", "args": [{"$ref": "numbers"}]})
    print("sorted:", reply["result"]["value"])
    kernel.request("store", {"id": "blob", "value": {"$bytes": 0}}, buffers=[b"\x00\x01\x02"])
    reply, buffers = kernel.request("retrieve", {"id": "blob"})
    print("blob:", buffers[reply["object"]["value"]["$bytes"]].hex())
    try:
        kernel.request("call", {"target": "math.sqrt", "args": [-1]})
    except KernelError as error:
        print("error:", error.reply["code"], error.reply["ename"], error.reply["fault"])


if __name__ == "__main__":
    main(sys.argv[1])
