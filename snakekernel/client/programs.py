"""The design's DSPy commands as methods, over the dynamic operations of the kernel's DSPy plugin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .payload import field
from .requests import Requests


class Programs(Requests):
    """What a client offers for DSPy programs."""

    def configure_lm(
        self, *, session_id: str | None = None, timeout: float | None = None, **config: Any
    ) -> Any:
        """Configure DSPy's language model: ``provider``, ``model``, ``api_key`` or ``api_key_env``, …"""
        return self._send("configure_lm", config, field("message"), session_id, timeout)

    def create_program(
        self,
        id: str,
        signature: Any,
        *,
        module: str | None = None,
        instructions: str | None = None,
        session_id: str | None = None,
        timeout: float | None = None,
        **options: Any,
    ) -> Any:
        """Make a DSPy program and store it: ``signature`` as text or ``{"inputs": […], "outputs": […]}``."""
        fields = {"id": id, "signature": signature, "module": module, "instructions": instructions, **options}
        return self._send("create_program", fields, field("message"), session_id, timeout)

    def execute_program(
        self,
        program_id: str,
        inputs: Mapping[str, Any],
        *,
        session_id: str | None = None,
        timeout: float | None = None,
    ) -> Any:
        """Run a stored program; returns its outputs by name."""
        fields = {"program_id": program_id, "inputs": dict(inputs)}
        return self._send("execute_program", fields, self._outputs, session_id, timeout)

    def get_program(
        self, program_id: str, *, session_id: str | None = None, timeout: float | None = None
    ) -> Any:
        """Id, type, signature and instructions of a stored program."""
        fields = {"program_id": program_id}
        return self._send("get_program", fields, field("program"), session_id, timeout)

    def list_programs(self, *, session_id: str | None = None, timeout: float | None = None) -> Any:
        """The stored programs."""
        return self._send("list_programs", {}, field("programs"), session_id, timeout)

    def delete_program(
        self, program_id: str, *, session_id: str | None = None, timeout: float | None = None
    ) -> Any:
        """Forget a stored program."""
        return self._send("delete_program", {"program_id": program_id}, field("message"), session_id, timeout)

    def clear_session(self, *, session_id: str | None = None, timeout: float | None = None) -> Any:
        """Forget a session's objects, or without one the programs."""
        return self._send("clear_session", {}, field("message"), session_id, timeout)

    def create_qa_program(
        self, id: str, instructions: str, *, session_id: str | None = None, timeout: float | None = None
    ) -> Any:
        """A program that answers questions, following the instructions."""
        return self.create_program(
            id, "question -> answer", instructions=instructions, session_id=session_id, timeout=timeout
        )

    def ask_question(
        self, id: str, question: str, *, session_id: str | None = None, timeout: float | None = None
    ) -> Any:
        """The answer of a program that ``create_qa_program`` made."""
        fields = {"program_id": id, "inputs": {"question": question}}

        def finish(content: dict[str, Any], buffers: Sequence[memoryview]) -> Any:
            return self._outputs(content, buffers)["answer"]

        return self._send("execute_program", fields, finish, session_id, timeout)
