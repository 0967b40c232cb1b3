"""The server's Python and certificates are in /tmp, where a sandbox has its own files.

So they are mounted in a directory that the sandbox owns.
"""

from __future__ import annotations

import shutil
import sysconfig
import tempfile
import venv
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import daytona_kernel
from tests.server.conftest import eventually, make_toolbox, start_embedded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.server.conftest import EmbeddedServer, Toolbox

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n"


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder in /tmp with a Python environment and a file of certificates."""
    path = Path(tempfile.mkdtemp(prefix="environment-", dir="/tmp"))
    path.chmod(0o755)
    venv.create(path / "venv", symlinks=True)
    packages = sysconfig.get_path("purelib", vars={"base": str(path / "venv")})
    project = Path(daytona_kernel.__file__).parents[1]
    (Path(packages) / "borrowed.pth").write_text(f"{sysconfig.get_path('purelib')}\n{project}\n")
    (path / "certificates").mkdir()
    (path / "certificates/ca.pem").write_text(CERTIFICATE)
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def server_in_tmp(folder: Path) -> Iterator[EmbeddedServer]:
    certificates = {"PIP_CERT": str(folder / "certificates/ca.pem")}
    server = start_embedded(certificates, python=str(folder / "venv/bin/python"), terminate_grace=1)
    server.lease = server.take_lease()
    yield server
    server.end()


@pytest.fixture
def sandbox(server_in_tmp: EmbeddedServer) -> Iterator[Toolbox]:
    if server_in_tmp.isolation != "bubblewrap":
        pytest.skip("bubblewrap does not work here")
    with make_toolbox(server_in_tmp) as toolbox:
        yield toolbox


def restart(server: EmbeddedServer, sandbox: Toolbox) -> None:
    path = f"/sandbox/{sandbox.sandbox['id']}"
    with server.client() as client:
        assert client.post(f"{path}/stop").status_code == 200
        eventually(lambda: client.get(path).json()["state"] == "stopped", "the sandbox is stopped")
        assert client.post(f"{path}/start").status_code == 200
        eventually(lambda: client.get(path).json()["state"] == "started", "the sandbox is started")


def check(folder: Path, sandbox: Toolbox) -> None:
    """Check that code in the sandbox has the server's packages and the certificates."""
    answer = sandbox.execute("python -c 'import httpx; print(httpx.__name__)' && cat $PIP_CERT")
    assert answer["result"] == f"httpx\n{CERTIFICATE}"
    assert sandbox.execute(f"ls {folder}")["result"].split() == ["certificates", "venv"]


def test_a_sandbox_starts_again(folder: Path, server_in_tmp: EmbeddedServer, sandbox: Toolbox) -> None:
    check(folder, sandbox)
    assert sandbox.execute("echo mine > /tmp/mine")["exitCode"] == 0
    for _ in range(2):
        restart(server_in_tmp, sandbox)
        check(folder, sandbox)
    assert sandbox.execute("cat /tmp/mine")["result"] == "mine\n"


@pytest.mark.parametrize(
    "attack",
    [
        pytest.param("mv {folder} /tmp/old; ln -s {outside} {folder}", id="link above"),
        pytest.param("mv {folder} /tmp/old; mkdir {folder}; ln -s {outside} {folder}/venv", id="link"),
        pytest.param(
            "mv {folder} /tmp/old; mkdir -p {folder}/certificates; "
            "ln -s {outside}/new {folder}/certificates/ca.pem",
            id="link to no file",
        ),
    ],
)
def test_no_link_of_the_sandbox_is_followed(
    folder: Path, server_in_tmp: EmbeddedServer, sandbox: Toolbox, tmp_path: Path, attack: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    # While bubblewrap makes a sandbox, the machine's files are at /oldroot.
    command = attack.format(folder=folder, outside=f"/oldroot{outside}")
    assert sandbox.execute(command)["exitCode"] == 0
    restart(server_in_tmp, sandbox)
    assert list(outside.iterdir()) == []
    check(folder, sandbox)
