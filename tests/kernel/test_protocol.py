"""The complete suite of jupyter_kernel_test, with this kernel's name."""

from typing import Any

import jupyter_kernel_test

from .driver import DEADLINE


class TestDaytonaKernel(jupyter_kernel_test.KernelTests):
    kernel_name = "daytona"
    language_name = "python"
    file_extension = ".py"

    code_hello_world = "print('hello, world')"
    code_stderr = "import sys; print('test', file=sys.stderr)"
    code_page_something = "zip?"
    code_generate_error = "raise ValueError('no')"
    code_execute_result = [  # noqa: RUF012
        {"code": "1+2+3", "result": "6"},
        {"code": "[n*n for n in range(1, 4)]", "result": "[1, 4, 9]"},
    ]
    code_display_data = [  # noqa: RUF012
        {
            "code": "from IPython.display import HTML, display; display(HTML('<b>test</b>'))",
            "mime": "text/html",
        },
        {
            "code": "from IPython.display import Math, display; display(Math('\\\\frac{1}{2}'))",
            "mime": "text/latex",
        },
    ]
    code_history_pattern = "1?2*"
    # "range" is missing: IPython answers with session 0 for the current session, and the suite expects the
    # session's number. ipykernel fails in the same way.
    supported_history_operations = ("tail", "search")
    code_inspect_sample = "print"
    code_clear_output = "from IPython.display import clear_output; clear_output()"
    complete_code_samples = ["1", "print('hello, world')", "def f(x):\n  return x*2\n\n\n"]  # noqa: RUF012
    incomplete_code_samples = ["print('''hello", "def f(x):\n  x*2"]  # noqa: RUF012
    invalid_code_samples = ["import = 7q"]  # noqa: RUF012
    completion_samples = [{"text": "zi", "matches": {"zip"}}]  # noqa: RUF012

    def execute_helper(self, *arguments: Any, **options: Any) -> Any:
        """Run code as the suite does. It waits 0.1 s for each output, and a busy machine needs more."""
        channel = self.kc.iopub_channel
        receive = channel.get_msg
        channel.get_msg = lambda timeout: receive(timeout=DEADLINE)  # noqa: ARG005
        try:
            return super().execute_helper(*arguments, **options)
        finally:
            channel.get_msg = receive
