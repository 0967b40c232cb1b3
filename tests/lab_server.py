"""A JupyterLab server on loopback, whose files are all in one directory."""

from __future__ import annotations

import ctypes
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parent.parent
# A kernel with DAYTONA_KERNEL_OUTPUTS=safe.
SAFE_KERNEL = "daytona-safe"
_START_TIMEOUT = 120
_END_TIMEOUT = 15
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class RunningKernel:
    """A kernel of a server, by the name of its kernelspec."""

    name: str
    id: str


@dataclass(frozen=True)
class LabServer:
    """A running server. `root` is the directory of the notebooks."""

    url: str
    token: str
    root: Path

    def write_notebook(self, name: str, sources: list[str], kernel: str = "python3") -> Path:
        """Write a notebook with one code cell for each source."""
        cells: list[dict[str, Any]] = [
            {
                "id": f"cell-{index}",
                "cell_type": "code",
                "source": source,
                "metadata": {},
                "outputs": [],
                "execution_count": None,
            }
            for index, source in enumerate(sources)
        ]
        kernelspec = {"name": kernel, "display_name": kernel, "language": "python"}
        metadata = {"kernelspec": kernelspec}
        path = self.root / name
        path.write_text(
            json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})
        )
        return path

    def request(self, path: str, method: str = "GET", body: object = None, timeout: float = 60) -> Any:
        """Return the answer of the server's REST API; `None` for an empty one."""
        headers = {"Authorization": f"token {self.token}"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/api/{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return json.loads(answer.read() or "null")

    def sessions(self) -> dict[str, str]:
        """Return the notebooks that have a kernel, by the ids of their sessions."""
        return {session["id"]: session["path"] for session in self.request("sessions")}

    def end_session(self, session_id: str) -> None:
        """Shut down a notebook's kernel, as JupyterLab's list of running kernels does."""
        self.request(f"sessions/{session_id}", "DELETE")

    @contextmanager
    def run_kernel(self, name: str) -> Iterator[RunningKernel]:
        """Run a kernel that notebooks can share."""
        kernel = RunningKernel(name, self.request("kernels", "POST", {"name": name})["id"])
        try:
            yield kernel
        finally:
            self.request(f"kernels/{kernel.id}", "DELETE")

    def share_kernel(self, kernel: RunningKernel, path: str) -> None:
        """Give a notebook a kernel that runs already."""
        session = {"path": path, "name": path, "type": "notebook", "kernel": {"id": kernel.id}}
        self.request("sessions", "POST", session)

    @contextmanager
    def ended_kernels(self) -> Iterator[None]:
        """End the kernels that start in the block. A later notebook of the same name would get one."""
        before = self._kernels()
        try:
            yield
        finally:
            for kernel in self._kernels() - before:
                self.request(f"kernels/{kernel}", "DELETE")

    def _kernels(self) -> set[str]:
        return {kernel["id"] for kernel in self.request("kernels")}


@contextmanager
def run_lab_server(
    directory: Path, environment: dict[str, str] | None = None, options: Sequence[str] = ()
) -> Iterator[LabServer]:
    """Run a JupyterLab whose files are all in `directory`, and end it with all its kernels."""
    root = directory / "root"
    root.mkdir(parents=True)
    # The prompt about news would cover the page.
    news = directory / "settings" / "@jupyterlab" / "apputils-extension"
    news.mkdir(parents=True)
    (news / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')
    _write_safe_kernelspec(directory / "data" / "kernels" / SAFE_KERNEL)
    server = LabServer(f"http://127.0.0.1:{_free_port()}", secrets.token_hex(16), root)
    log = directory / "server.log"
    with log.open("wb") as output:
        child = subprocess.Popen(
            [*_command(server), *options],
            env=os.environ | _settings(directory, server.token) | (environment or {}),
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509  (Popen has no other way, and it takes no lock)
        )
        try:
            _wait_for(server, child, log)
            yield server
        finally:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(_END_TIMEOUT)
            except subprocess.TimeoutExpired:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()


def _write_safe_kernelspec(directory: Path) -> None:
    spec = json.loads((ROOT / "kernelspec" / "kernel.json").read_text())
    spec |= {"display_name": "Daytona, safe outputs", "env": {"DAYTONA_KERNEL_OUTPUTS": "safe"}}
    directory.mkdir(parents=True)
    (directory / "kernel.json").write_text(json.dumps(spec))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _command(server: LabServer) -> list[str]:
    return [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
        *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={server.url.rpartition(':')[2]}"),
        *("--ServerApp.port_retries=0", f"--ServerApp.root_dir={server.root}"),
        *("--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"),
        "--LabApp.expose_app_in_browser=True",
    ]


def _settings(directory: Path, token: str) -> dict[str, str]:
    return {
        "JUPYTER_CONFIG_DIR": str(directory / "config"),
        "JUPYTER_DATA_DIR": str(directory / "data"),
        "JUPYTER_RUNTIME_DIR": str(directory / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(directory / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(directory / "workspaces"),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "IPYTHONDIR": str(directory / "ipython"),
        "JUPYTER_TOKEN": token,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }


def _end_with_parent() -> None:
    """Have Linux kill this child if pytest is killed. Its kernels end with it, since they watch it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _wait_for(server: LabServer, child: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT
    while time.monotonic() < deadline:
        assert child.poll() is None, log.read_text()
        try:
            server.request("status", timeout=5)
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(log.read_text())
