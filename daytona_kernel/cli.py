"""Install and check the kernel, manage its sandboxes, run a server of Daytona's API, run a demo."""

from __future__ import annotations

import argparse
import json
import sys
from importlib import metadata
from pathlib import Path

from ._version import __version__


def main(argv: list[str] | None = None) -> int:
    """Run a subcommand and return the exit status.

    argv: the arguments; None for those of the process.
    """
    parser = argparse.ArgumentParser(prog="daytona-kernel", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    install = commands.add_parser("install", help="register the kernel with Jupyter")
    where = install.add_mutually_exclusive_group()
    where.add_argument("--user", action="store_true", help="for this user")
    where.add_argument("--sys-prefix", action="store_true", help="for this environment (default)")
    where.add_argument("--prefix", metavar="P", help="in P/share/jupyter/kernels")
    install.add_argument(
        "--name", metavar="N", default="daytona", help="the kernelspec's name (default: %(default)s)"
    )
    install.set_defaults(run=_install)

    doctor = commands.add_parser("doctor", help="check the installation and say where cells run")
    doctor.set_defaults(run=_doctor)

    sandboxes = commands.add_parser("sandboxes", help="list the sandboxes that kernels created at Daytona")
    sandboxes.add_argument(
        "--delete", nargs="+", default=(), metavar="ID", help="delete these sandboxes, by id or name"
    )
    sandboxes.set_defaults(run=_sandboxes)

    serve = commands.add_parser("serve", help="serve Daytona's API on this machine, for any client of it")
    _add_serve_arguments(serve)
    serve.set_defaults(run=_serve)

    demo = commands.add_parser("demo", help="execute a notebook with the kernel and print its outputs")
    demo.add_argument("notebook", nargs="?", type=Path, help="the notebook (default: the quickstart)")
    demo.add_argument(
        "--output",
        type=Path,
        default=Path("build/demo"),
        metavar="DIR",
        help="directory for the results (default: %(default)s)",
    )
    demo.set_defaults(run=_demo)

    arguments = parser.parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except KeyboardInterrupt:
        return 130


def _install(arguments: argparse.Namespace) -> int:
    from jupyter_client.kernelspec import KernelSpecManager

    prefix = arguments.prefix or (None if arguments.user else sys.prefix)
    try:
        path = KernelSpecManager().install_kernel_spec(
            str(shipped("kernels/daytona/kernel.json").parent),
            kernel_name=arguments.name,
            user=arguments.user,
            prefix=prefix,
        )
    except (OSError, ValueError) as error:
        print(f"Cannot install the kernelspec: {error}", file=sys.stderr)
        return 1
    # Jupyter may run in another environment, so the kernelspec names this environment's Python.
    file = Path(path) / "kernel.json"
    spec = json.loads(file.read_text())
    spec["argv"][0] = sys.executable
    file.write_text(json.dumps(spec, indent=2) + "\n")
    print(f"Installed the kernel {arguments.name!r} in {path}")
    return 0


def _doctor(_arguments: argparse.Namespace) -> int:
    from .doctor import run

    return run()


def _sandboxes(arguments: argparse.Namespace) -> int:
    from .sandboxes import run

    return run(arguments.delete)


def _add_serve_arguments(parser: argparse.ArgumentParser) -> None:
    from .server.serve import add_arguments

    add_arguments(parser)


def _serve(arguments: argparse.Namespace) -> int:
    from .server.serve import run

    return run(arguments)


def _demo(arguments: argparse.Namespace) -> int:
    from .demo import run

    return run(arguments.notebook or shipped("quickstart.ipynb"), arguments.output)


def shipped(ending: str) -> Path:
    """Return the path of a data file of the distribution.

    ending: the end of its path. Raises FileNotFoundError if no installed file ends with it.
    """
    for file in metadata.files("daytona-kernel") or ():
        if file.as_posix().endswith(ending):
            return Path(str(file.locate())).resolve()
    raise FileNotFoundError(
        f"This installation of daytona-kernel does not contain {ending}. Reinstall it with pip."
    )
