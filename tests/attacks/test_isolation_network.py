"""Code in an isolated sandbox looks for this machine's servers, other sandboxes, and forbidden networks."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from daytona_kernel.server.box.network import choose_network, own_addresses
from tests.isolation import needs_bubblewrap
from tests.server.conftest import eventually, make_toolbox, start_embedded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.server.conftest import EmbeddedServer, Toolbox

CONNECT = """
import socket, sys
for host, port in {targets!r}:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as client:
            client.settimeout(3)
            client.connect((host, port))
            print(host, client.recv(20))
    except OSError as error:
        pass
print("done")
"""


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedServer]:
    server = start_embedded({"DAYTONA_KERNEL_NETWORK": "auto"})
    server.lease = server.take_lease()
    if server.isolation != "bubblewrap":
        server.end()
        pytest.skip("bubblewrap does not work here")
    yield server
    server.end()


@pytest.fixture(scope="module")
def toolbox(server: EmbeddedServer) -> Iterator[Toolbox]:
    with make_toolbox(server) as toolbox:
        yield toolbox


@pytest.fixture
def canary() -> Iterator[int]:
    """A server on all addresses of this machine that says a secret. Yields its port."""
    code = (
        "import socket\n"
        "s = socket.create_server(('', 0), family=socket.AF_INET6, dualstack_ipv6=True)\n"
        "print(s.getsockname()[1], flush=True)\n"
        "while True:\n    c, _ = s.accept(); c.send(b'secret'); c.close()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.kill()


def run_python(toolbox: Toolbox, code: str) -> str:
    answer = toolbox.post("/process/code-run", json={"code": code, "language": "python"}).json()
    assert answer["exitCode"] == 0, answer["result"]
    return str(answer["result"])


def needs_own_network() -> None:
    needs_bubblewrap()
    network = choose_network("auto")
    if network.kind != "own":
        pytest.skip(f"sandboxes have no network here: {network.reason}")


def test_no_server_of_this_machine_is_reached(toolbox: Toolbox, canary: int) -> None:
    for host in ("127.0.0.1", "::1", *own_addresses()):
        with socket.create_connection((host, canary), 5) as client:
            assert client.recv(20) == b"secret", "the canary is there"
    hosts = ["127.0.0.1", "127.0.0.53", "::1", "0.0.0.0", "10.0.2.2", "10.0.2.3", *own_addresses()]
    assert run_python(toolbox, CONNECT.format(targets=[(host, canary) for host in hosts])) == "done\n"


def test_abstract_sockets_of_this_machine_are_not_there(toolbox: Toolbox) -> None:
    name = f"daytona-kernel-canary-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{name}")
        listener.listen()
        code = (
            "import socket\ns = socket.socket(socket.AF_UNIX)\n"
            f"try: s.connect('\\0{name}'); print('connected')\nexcept OSError as error: print(error.errno)"
        )
        assert run_python(toolbox, code) == "111\n"
        assert name not in toolbox.execute("cat /proc/net/unix")["result"]


def test_the_ports_of_this_machine_are_not_listed(toolbox: Toolbox, canary: int) -> None:
    assert f":{canary:04X}" not in toolbox.execute("cat /proc/net/tcp /proc/net/tcp6")["result"]


def test_the_server_and_other_sandboxes_are_not_reached(server: EmbeddedServer, toolbox: Toolbox) -> None:
    with make_toolbox(server) as other, server.client() as api:
        other.execute("echo secret > index.html")
        other.post("/process/session", json={"sessionId": "server"})
        other.run("server", "exec python -m http.server 8131", runAsync=True)
        eventually(lambda: other.get("/port/8131/in-use").json()["isInUse"], "the server listens")
        url = api.get(f"/sandbox/{other.sandbox['id']}/ports/8131/preview-url").json()["url"]
        host = url.removeprefix("http://").partition(":")[0]
        api_port = int(server.api_url.rpartition(":")[2].partition("/")[0])
        targets = [
            (host, 8131),
            ("127.0.0.1", 8131),
            ("10.0.2.2", 8131),
            ("127.0.0.1", api_port),
            ("10.0.2.100", 8131),
        ]
        assert run_python(toolbox, CONNECT.format(targets=targets)) == "done\n"


def test_the_addresses_of_cloud_credentials_are_refused(toolbox: Toolbox) -> None:
    code = (
        "import socket\ns = socket.socket(); s.settimeout(3)\n"
        "try: s.connect(('169.254.169.254', 80)); print('connected')\n"
        "except OSError as error: print(error.errno)"
    )
    assert run_python(toolbox, code) in ("13\n", "101\n")  # refused, or there is no network at all


def test_the_routes_cannot_be_changed(toolbox: Toolbox) -> None:
    code = (
        "import fcntl, socket\ns = socket.socket()\n"
        "try: fcntl.ioctl(s, 0x8914, b'lo'.ljust(40, b'\\0')); print('done')\n"
        "except OSError as error: print(error.errno)"
    )
    assert run_python(toolbox, code) == "1\n"


def test_the_internet_is_reached(toolbox: Toolbox) -> None:
    needs_own_network()
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(socket.create_connection(("pypi.org", 443), 10))
        except OSError as error:
            pytest.skip(f"this machine does not reach pypi.org: {error}")
    find_links = "PIP_FIND_LINKS= PIP_NO_INDEX= "
    done = toolbox.execute(f"{find_links} pip download --no-deps --no-cache-dir -d /tmp/d six", timeout=50)
    assert done["exitCode"] == 0, done["result"]


def test_a_blocked_network_and_a_list_of_allowed_networks_hold(server: EmbeddedServer) -> None:
    needs_own_network()
    code = (
        "import socket\n"
        "for host in ('1.1.1.1', '192.0.2.77', '8.8.8.8'):\n"
        "    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "    try: s.connect((host, 53)); print('route')\n    except OSError as error: print(error.errno)\n"
    )
    for parameters, expected in (
        ({"networkBlockAll": True}, ["101", "101", "101"]),
        ({"networkAllowList": "1.1.1.0/24, 8.8.8.8/32"}, ["route", "101", "route"]),
    ):
        with make_toolbox(server, **parameters) as toolbox:
            assert run_python(toolbox, code).split() == expected
            about = toolbox.sandbox
            assert about["networkBlockAll"] == parameters.get("networkBlockAll", False)
            assert about.get("networkAllowList") == parameters.get("networkAllowList")
    with server.client() as api:
        answer = api.post("/sandbox", json={"networkAllowList": "everything"})
        assert answer.status_code == 400
        assert "use IPv4 networks" in answer.text


def stacks_of(server: EmbeddedServer) -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process(server.process.pid).children(recursive=True)
        if child.name() == "slirp4netns"
    ]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL])
def test_the_stack_ends_with_its_sandbox_and_its_server(signum: int) -> None:
    needs_own_network()
    own = start_embedded(warm_box_delay=1000)
    own.lease = own.take_lease()
    with make_toolbox(own, keep=True), make_toolbox(own):
        assert len(stacks_of(own)) == 2
    assert len(stacks_of(own)) == 1
    left = stacks_of(own)
    own.process.send_signal(signum)
    own.process.wait(20)
    own.lease.close()
    eventually(
        lambda: not any(stack.is_running() and stack.status() != "zombie" for stack in left), "it ends"
    )


def test_the_machines_network_is_shared_only_on_request(canary: int) -> None:
    own = start_embedded({"DAYTONA_KERNEL_NETWORK": "host"})
    own.lease = own.take_lease()
    with make_toolbox(own) as toolbox:
        found = run_python(toolbox, CONNECT.format(targets=[("127.0.0.1", canary)]))
        assert found == "127.0.0.1 b'secret'\ndone\n"
        with own.client() as api:
            answer = api.post("/sandbox", json={"networkBlockAll": True})
            assert answer.status_code == 400
    own.end()


def test_without_a_stack_there_is_no_network(tmp_path: Path, canary: int) -> None:
    needs_bubblewrap()
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bwrap", "setpriv"):
        source = next(path for path in (Path("/usr/bin") / name, Path("/bin") / name) if path.exists())
        (programs / name).symlink_to(source)
    own = start_embedded({"PATH": str(programs), "DAYTONA_KERNEL_NETWORK": "auto"})
    own.lease = own.take_lease()
    about = own.lease.headers["X-Daytona-Kernel-Server"]
    assert "no network" in about
    assert "apt install slirp4netns" in about
    with make_toolbox(own) as toolbox:
        targets = [("127.0.0.1", canary), ("1.1.1.1", 443), *((host, canary) for host in own_addresses())]
        assert run_python(toolbox, CONNECT.format(targets=targets)) == "done\n"
    own.end()
