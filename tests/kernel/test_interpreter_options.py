"""The options on the kernel's command line that are for the interpreter."""

from __future__ import annotations

from ast import literal_eval

import pytest
from ipykernel.kernelapp import IPKernelApp, kernel_aliases, kernel_flags
from IPython.core.shellapp import shell_aliases, shell_flags
from jupyter_client.manager import KernelManager

from daytona_kernel.kernel.app import DaytonaKernelApp
from daytona_kernel.kernel.interpreter_options import _ALIASES, split

from .driver import DEADLINE, run_kernel, wait_until


@pytest.mark.parametrize(
    "words",
    [
        ["--InteractiveShell.colors=Linux"],
        ["--HistoryManager.hist_file=:memory:"],
        ["--IPKernelApp.exec_lines=['x = 1']"],
        ["--InteractiveShellApp.extensions", "autoreload"],
        ["--colors=NoColor", "--matplotlib", "inline", "--no-pdb"],
        ["--AnyExtension.trait=a b\nc"],
    ],
)
def test_options_of_ipython_are_for_the_interpreter(words: list[str]) -> None:
    assert split(["-f", "file", *words]) == (["-f", "file"], words)
    assert split([*words, "-f", "file"]) == (["-f", "file"], words)


@pytest.mark.parametrize(
    "words",
    [
        ["--Session.key=b'secret'"],
        ["--Session.keyfile", "/path"],
        ["--IPKernelApp.connection_file=x"],
        ["--ConnectionFileMixin.ip=0.0.0.0"],
        ["--ip=0.0.0.0", "--shell=5", "--transport", "ipc", "--ident=x", "--debug"],
        ["--DaytonaKernelApp.log_level=10"],
    ],
)
def test_options_of_the_kernels_process_stay_there(words: list[str]) -> None:
    assert split(["-f", "file", *words]) == (["-f", "file", *words], [])


def test_every_short_name_is_one_of_ipythons_shell() -> None:
    known = {*shell_aliases, *shell_flags}
    assert known >= _ALIASES
    connection = {
        "ip",
        "hb",
        "shell",
        "iopub",
        "stdin",
        "control",
        "f",
        "transport",
        "ident",
        "user",
        "keyfile",
    }
    assert not _ALIASES & (connection | {"secure", "no-secure"})
    assert connection <= {*kernel_aliases, *kernel_flags}
    assert IPKernelApp.name == "ipython-kernel"


def test_the_kernels_process_takes_every_short_name_of_ipykernel() -> None:
    flags = {*kernel_flags} - _ALIASES - {"show-config", "show-config-json"}  # these end the process
    values = dict.fromkeys({*kernel_aliases} - _ALIASES, "1") | {"transport": "ipc"}
    words = [
        *(f"--{name}" for name in sorted(flags)),
        *(f"{'-' if len(name) == 1 else '--'}{name}={value}" for name, value in values.items()),
    ]
    assert split(words) == (words, [])
    app = DaytonaKernelApp()
    app.parse_command_line(words)  # exits if there is a name that it does not know
    assert (app.ip, app.ports, app.extra_args) == ("1", [1] * 5, [])


def test_the_interpreter_gets_its_options() -> None:
    manager = KernelManager(kernel_name="daytona")
    options = [
        "--HistoryManager.hist_file=:memory:",
        "--InteractiveShell.colors=NoColor",
        "--IPKernelApp.exec_lines=['from_options = 1']",
    ]
    with run_kernel(manager, options=options) as driver:
        code = "shell = get_ipython(); shell.history_manager.hist_file, shell.colors.lower(), from_options"
        assert driver.run(code).result == "(':memory:', 'nocolor', 1)"
        assert "\x1b" not in "".join(driver.run("1 / 0").error["traceback"])
        assert literal_eval(driver.run("import sys; sys.argv[3:]").result) == options


def test_a_wrong_option_is_named() -> None:
    manager = KernelManager(kernel_name="daytona")
    options = ["--InteractiveShell.cache_size=many"]
    with run_kernel(manager, options=options) as driver:

        def is_named() -> bool:
            # Three interpreters end before the agent gives up. The next cell tells why.
            answer = driver.run("1")
            return options[0] in answer.stderr + answer.error["evalue"]

        wait_until(is_named, DEADLINE, "no cell named the option")
