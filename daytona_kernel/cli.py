"""Install, set up and check the kernel, manage its sandboxes, run a server of Daytona's API, run a demo."""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ._version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

_VARIABLE = re.compile(r"[A-Za-z_]\w*")
# The exit statuses of a shell for a program that SIGINT or SIGPIPE has ended.
_INTERRUPTED = 130
_PIPE_CLOSED = 141


def main(argv: list[str] | None = None) -> int:
    """Run a subcommand and return the exit status.

    argv: the arguments; None for those of the process.
    """
    try:
        status = _run(argv)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader, for instance `head`, has seen enough. Python would fail again in its last flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PIPE_CLOSED
    return status


def _run(argv: list[str] | None) -> int:
    parser = _make_parser()
    arguments, unknown = parser.parse_known_args(argv)
    command = getattr(arguments, "parser", parser)
    if unknown:
        kind = "option" if unknown[0].startswith("-") else "argument"
        command.error(f"unknown {kind} {unknown[0]}")
    if command is parser:
        parser.print_help()
        return 0
    return int(arguments.run(arguments))


class _Parser(argparse.ArgumentParser):
    """A parser that answers a mistake with one sentence."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        message = re.sub("argument [A-Z]+: invalid choice: '(.*?)'", r"unknown command \1", message)
        self.exit(2, f"{self.prog}: {message}. To see what it accepts, run: {self.prog} --help\n")


def _make_parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="daytona-kernel", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(metavar="COMMAND")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:])
        command.set_defaults(parser=command)
        return command

    install = add("install", "register the kernel with a Jupyter, also in another environment")
    _add_place(install)
    install.add_argument(
        "--name", metavar="N", default="daytona", help="the kernelspec's name (default: %(default)s)"
    )
    install.add_argument("--display-name", metavar="TEXT", help="the text in Jupyter's launcher")
    install.add_argument(
        "--env",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        type=_variable,
        help="set a variable for the kernel, for instance DAYTONA_SANDBOX_ID; can be repeated. "
        "The value ${OTHER} is replaced with a variable of Jupyter. Secrets are refused",
    )
    install.add_argument("--list", action="store_true", help="install nothing, and list the kernelspecs")
    _add_card_options(install)
    install.set_defaults(run=_install)

    listing = add("list", "list the kernelspecs of this kernel")
    listing.set_defaults(run=_list)

    uninstall = add("uninstall", "remove the kernelspecs that `install` wrote")
    uninstall.add_argument("--name", metavar="N", help="only this one, whichever environment wrote it")
    uninstall.add_argument("--prefix", metavar="P", help="look in P/share/jupyter/kernels too")
    uninstall.set_defaults(run=_uninstall)

    login = add("login", "keep an API key for the kernels of this user")
    login.add_argument("--api-url", metavar="URL", help="the API that the key is for (default: Daytona's)")
    login.set_defaults(run=_login)

    logout = add("logout", "remove the API key that `login` has kept")
    logout.set_defaults(run=_logout)

    _add_config(add("config", "show and change your settings"))

    doctor = add("doctor", "check the installation and say where cells run")
    doctor.set_defaults(run=_doctor)

    sandboxes = add("sandboxes", "list the sandboxes that kernels created at Daytona")
    change = sandboxes.add_mutually_exclusive_group()
    for name in ("delete", "stop", "pause"):
        change.add_argument(
            f"--{name}", nargs="+", default=(), metavar="ID", help=f"{name} these sandboxes, by id or name"
        )
    # For kernels that end: the label of the kernel, and the sandboxes that it knows.
    change.add_argument("--delete-lost", nargs="+", default=(), help=argparse.SUPPRESS)
    sandboxes.set_defaults(run=_sandboxes)

    resume = add("resume", "start the sandbox that was kept for a notebook, for its next kernel")
    resume.add_argument("notebook", metavar="NOTEBOOK", help="the notebook's file")
    resume.add_argument(
        "--sandbox",
        metavar="ID",
        help="the sandbox to keep for the notebook, by id or name (default: the one that is kept)",
    )
    resume.set_defaults(run=_resume)

    serve = add("serve", "serve Daytona's API on this machine, for any client of it")
    _add_serve_arguments(serve)
    serve.set_defaults(run=_serve)

    demo = add("demo", "execute a notebook with the kernel and print its outputs")
    demo.add_argument("notebook", nargs="?", type=Path, help="the notebook (default: the quickstart)")
    demo.add_argument(
        "--output",
        type=Path,
        default=Path("build/demo"),
        metavar="DIR",
        help="directory for the results (default: %(default)s)",
    )
    demo.set_defaults(run=_demo)
    return parser


def _add_place(parser: argparse.ArgumentParser) -> None:
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--user", action="store_true", help="for this user, in every environment")
    where.add_argument("--sys-prefix", action="store_true", help="for this environment (default)")
    where.add_argument("--prefix", metavar="P", help="for the environment P, in P/share/jupyter/kernels")


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_config, action="show")
    actions = parser.add_subparsers(metavar="ACTION", parser_class=_Parser)

    def add(name: str, text: str) -> argparse.ArgumentParser:
        action = actions.add_parser(name, help=text, description=text[0].upper() + text[1:])
        action.set_defaults(parser=action, action=name)
        return action

    add("show", "print the settings in force and their sources (default)")
    setting = add("set", "write a setting into your file")
    setting.add_argument("name", metavar="NAME", help="the setting's name, for instance cpu")
    setting.add_argument("pieces", metavar="VALUE", nargs="+", help="the value; several for a list")
    unsetting = add("unset", "remove a setting from your file")
    unsetting.add_argument("name", metavar="NAME", help="the setting's name")
    add("path", "print the path of your file")


def _login(arguments: argparse.Namespace) -> int:
    from . import login

    return _say(lambda: login.run(arguments.api_url))


def _logout(_arguments: argparse.Namespace) -> int:
    from . import login

    return _say(login.end)


def _config(arguments: argparse.Namespace) -> int:
    from . import user_settings

    actions = {
        "show": user_settings.show,
        "set": lambda: user_settings.put(arguments.name, arguments.pieces),
        "unset": lambda: user_settings.remove(arguments.name),
        "path": user_settings.path,
    }
    return _say(actions[arguments.action])


def _say(action: Callable[[], str]) -> int:
    """Print the result of an action, or the sentence of its error; return the exit status."""
    from .errors import DaytonaError

    try:
        print(action())
    except DaytonaError as error:
        print(error.message, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"The file of your settings cannot be changed: {error}", file=sys.stderr)
        return 1
    return 0


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not _VARIABLE.fullmatch(name):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form NAME=VALUE")
    return name, value


def _add_card_options(parser: argparse.ArgumentParser) -> None:
    from .card_settings import add_options

    add_options(parser)


def _install(arguments: argparse.Namespace) -> int:
    from . import registration

    return registration.list_kernelspecs() if arguments.list else registration.install(arguments)


def _list(_arguments: argparse.Namespace) -> int:
    from .registration import list_kernelspecs

    return list_kernelspecs()


def _uninstall(arguments: argparse.Namespace) -> int:
    from .registration import uninstall

    return uninstall(arguments)


def _doctor(_arguments: argparse.Namespace) -> int:
    from .doctor import run

    return run()


def _sandboxes(arguments: argparse.Namespace) -> int:
    from .sandboxes import delete_lost, run

    if arguments.delete_lost:
        label, *known = arguments.delete_lost
        return delete_lost(label, known)
    for change in ("delete", "stop", "pause"):
        if ids := getattr(arguments, change):
            return run(change, ids)
    return run()


def _resume(arguments: argparse.Namespace) -> int:
    from .resume import run

    return _say(lambda: run(arguments.notebook, arguments.sandbox))


def _add_serve_arguments(parser: argparse.ArgumentParser) -> None:
    from .server.serve import add_arguments

    add_arguments(parser)


def _serve(arguments: argparse.Namespace) -> int:
    from .server.serve import run

    return run(arguments)


def _demo(arguments: argparse.Namespace) -> int:
    from .demo import run
    from .kernelspecs import KernelspecError, shipped
    from .wire.conventions import ISOLATION_VARIABLE, NETWORK_VARIABLE

    if arguments.notebook is None:
        # This project's own notebook runs where sandboxes cannot be isolated, too. Its first cell says so.
        for variable in (ISOLATION_VARIABLE, NETWORK_VARIABLE):
            os.environ.setdefault(variable, "preferred")
    try:
        return run(arguments.notebook or shipped("quickstart.ipynb"), arguments.output)
    except KernelspecError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
