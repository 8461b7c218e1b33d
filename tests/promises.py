"""What is promised about faults and attacks, by the marks of the tests that show it.

Rules: a test names what it shows by ``@pytest.mark.promise("fault-1")``; each promise has a test, and the
table in the documentation is made of these words and of a run's results.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Promise(NamedTuple):
    """What is done to it, and what has to hold then."""

    what: str
    criterion: str


PROMISES: Final[dict[str, Promise]] = {
    "fault-1": Promise(
        "SIGKILL during a call", "a typed error within 2 s, with the signal and what was written last"
    ),
    "fault-2": Promise("SIGSEGV", "a typed error within 2 s that names the signal"),
    "fault-3": Promise("The memory limit", "MemoryError is an error of the call; the kernel goes on"),
    "fault-4": Promise(
        "A call that holds the GIL past its deadline",
        "told within 2 s of it, and the kernel ended on request",
    ),
    "fault-5": Promise(
        "A kernel that hangs while its heartbeat is healthy", "told within 2 s of the deadline"
    ),
    "fault-6": Promise("The client is killed during its call", "another client uses its session within 1 s"),
    "fault-7": Promise("The client is lost, and comes back", "it fetches the finished result by its id"),
    "fault-8": Promise("The manager is killed", "its kernels are gone within 1 s"),
    "fault-9": Promise(
        "The manager is killed while a kernel holds the GIL", "its kernels are gone within 1 s"
    ),
    "fault-10": Promise("Packets are dropped on a TCP connection", "the call fails by its deadline"),
    "fault-11": Promise(
        "A stalled reader of iopub, and 20,000 messages",
        "all results come; who lost output is told how much; the kernel's memory is bounded",
    ),
    "fault-12": Promise("A kernel that crashes at each start", "bounded restarts, further and further apart"),
    "fault-13": Promise(
        "A session expires as it is called, 1,000 times",
        "the call completes or gets session_expired; none runs half",
    ),
    "fault-14": Promise("The same call_id twice", "the call runs once, and both get its outcome"),
    "fault-15": Promise("Many restarts", "descriptors, threads, ports and segments stay as many"),
    "fault-16": Promise(
        "A checkpoint with what cannot be pickled, on a full disk, killed while writing",
        "the state before is whole, and what was not saved is listed",
    ),
    "fault-17": Promise(
        "Mixed load of 8 clients, with kernels killed at random",
        "each request has its reply or a typed error; memory stays flat",
    ),
    "attack-1": Promise("A wrong signature", "dropped and counted, and nothing runs"),
    "attack-2": Promise("A message sent again", "dropped and counted, and nothing runs"),
    "attack-3": Promise("A message sent again after a restart", "dropped and counted, and nothing runs"),
    "attack-4": Promise("A buffer that is altered, missing or extra", "invalid_request, and nothing runs"),
    "attack-5": Promise(
        "A client in plain text, or of another key, at a kernel with Curve", "it is not heard"
    ),
    "attack-6": Promise(
        "Another user of the machine", "can read neither the connection file nor the sockets"
    ),
    "attack-7": Promise(
        "A client without the key under another's identity",
        "the other one gets its replies, and the thief none",
    ),
    "attack-8": Promise(
        "A malicious pickle in a checkpoint's place: unsigned, by another key, or in another row's place",
        "it is never loaded",
    ),
    "attack-9": Promise(
        "Ways around the target policy by attributes",
        "denied, and the documentation says that it is no sandbox",
    ),
    "attack-10": Promise(
        "Hostile code in the sandbox", "no network, no home, no environment, no other process"
    ),
    "attack-11": Promise(
        "JSON of depth 100,000, frames of 1 GB and more, 100,000 frames, lone surrogates, duplicate keys",
        "a bounded error or a closed connection; the kernel goes on, and takes no memory",
    ),
    "attack-12": Promise(
        "Objects and exceptions that are hostile to whoever looks at them",
        "one reply, a description or an error, in bounded time; the kernel goes on",
    ),
    "attack-13": Promise(
        "A canary key that goes in by every door",
        "once registered it is in no frame, log, file or process argument; what only looks like a secret "
        "is not described",
    ),
    "attack-14": Promise("Bombs of processes, descriptors, disk and memory", "only their session stops"),
    "attack-15": Promise("Session ids that are paths, shell words or templates", "names like any other"),
}
