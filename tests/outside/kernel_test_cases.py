"""jupyter_kernel_test's checks with a Python kernel's samples; run by ``test_jupyter_kernel_test``."""

from __future__ import annotations

import unittest

import jupyter_kernel_test


class SnakeKernelTests(jupyter_kernel_test.KernelTests):
    """Every check the suite has: none is skipped for want of a sample."""

    kernel_name = "snakekernel"
    language_name = "python"
    file_extension = ".py"
    code_hello_world = "print('hello, world')"
    code_stderr = "import sys; print('test', file=sys.stderr)"
    code_page_something = "zip?"
    code_generate_error = "raise ValueError('wrong')"
    code_inspect_sample = "zip"
    code_clear_output = "from IPython.display import clear_output; clear_output()"
    completion_samples = [  # noqa: RUF012 - the suite's own convention
        {"text": "zi", "matches": {"zip"}},
        {"text": "from operator import methodc", "matches": {"methodcaller"}},
    ]
    complete_code_samples = ["1", "print('hello')", "def f(x):\n  return x*2\n\n\n"]  # noqa: RUF012
    incomplete_code_samples = ["print('''hello", "def f(x):\n  x*2"]  # noqa: RUF012
    invalid_code_samples = ["import = 7q"]  # noqa: RUF012
    code_execute_result = [  # noqa: RUF012
        {"code": "6*7", "result": "42", "mime": "text/plain"},
        {"code": "{'a': (1,)}", "result": "{'a': (1,)}", "mime": "text/plain"},
    ]
    code_display_data = [  # noqa: RUF012
        {"code": "from IPython.display import HTML, display; display(HTML('<b>b</b>'))", "mime": "text/html"},
        {"code": "from IPython.display import Math, display; display(Math('x'))", "mime": "text/latex"},
    ]
    code_history_pattern = "6?7"
    # Not "range": IPython numbers the session under way 0, the suite expects its number in the database.
    supported_history_operations = ("tail", "search")

    def test_a_structured_message_between_cells(self) -> None:
        """A kernel that has just served one of ours runs cells as the suite expects."""
        self.flush_channels()
        message = self.kc.session.msg("snake_call_request", {"target": "operator.add", "args": [2, 3]})
        self.kc.shell_channel.send(message)
        reply = self.kc.get_shell_msg(timeout=30)
        assert reply["content"]["result"]["value"] == 5
        self.execute_helper(code="1 + 1")


if __name__ == "__main__":
    unittest.main()
