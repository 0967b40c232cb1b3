"""An isolated sandbox sees its own files and processes, and little of the machine."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from daytona_kernel.server.box import bubblewrap, landlock
from daytona_kernel.server.box.isolation import ISOLATED, children_environment
from daytona_kernel.server.box.python_files import outermost
from daytona_kernel.server.isolation import IsolationError, choose_isolation
from tests.server.conftest import make_toolbox, start_embedded

if TYPE_CHECKING:
    from tests.server.conftest import EmbeddedServer, Toolbox


@pytest.fixture(autouse=True)
def _isolated(server: EmbeddedServer) -> None:
    if server.isolation != "bubblewrap":
        pytest.skip("bubblewrap does not work here")


def test_its_own_directories_are_writable(toolbox: Toolbox) -> None:
    result = toolbox.execute("for d in /workspace ~ /tmp /var/tmp /dev/shm; do touch $d/x && echo $d; done")
    assert result["result"] == "/workspace\n/home/daytona\n/tmp\n/var/tmp\n/dev/shm\n"


def test_the_system_is_read_only(toolbox: Toolbox) -> None:
    for path in (
        "/usr/bin/x",
        "/etc/passwd",
        f"{sys.prefix}/bin/x",
        f"{sys.base_prefix}/lib/x",
        "/run/supervisor.py",
    ):
        assert toolbox.execute(f"echo > {shlex.quote(path)}")["exitCode"] != 0, path


def test_the_home_of_the_person_is_not_seen(toolbox: Toolbox, tmp_path: Path) -> None:
    home = Path.home()
    shown = toolbox.execute(f"ls -A {home} 2>/dev/null")["result"].splitlines()
    below = [
        path.relative_to(home).parts[0]
        for path in map(Path, [sys.prefix, sys.base_prefix])
        if home in path.parents
    ]
    assert set(shown) <= set(below)
    for path in (tmp_path, home / ".local/share/jupyter", home / ".ssh", home / ".bashrc"):
        assert toolbox.execute(f"test -e {path}")["exitCode"] == 1, path
    of_root = str(Path("~root").expanduser() / ".config")
    for hidden in ("/etc/shadow", "/etc/ssl/private", of_root, "/var/lib/systemd", "/mnt", "/srv"):
        if hidden not in str(sys.prefix):
            assert toolbox.execute(f"test -e {hidden}")["exitCode"] == 1, hidden


def test_other_sandboxes_and_the_server_are_not_seen(server: EmbeddedServer, toolbox: Toolbox) -> None:
    with make_toolbox(server) as other:
        other.execute("echo secret > /workspace/secret; (sleep 500 >/dev/null 2>&1 &)")
        assert toolbox.execute("ls /workspace/secret")["exitCode"] != 0
        assert toolbox.execute(f"ls {server.directory}")["exitCode"] != 0
        assert toolbox.execute("pgrep -f 'sleep 500'")["exitCode"] == 1
        pids = toolbox.execute("ls /proc | grep -c '^[0-9]'")["result"]
        assert int(pids) < 20


def test_a_symbolic_link_leads_nowhere_through_the_files_api(
    server: EmbeddedServer, toolbox: Toolbox, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("secret of the host")
    toolbox.execute(f"ln -sf {tmp_path}/secret link; ln -sfn {tmp_path} dir; ln -sf /etc/shadow shadow")
    for path in ("link", "dir/secret", "shadow", str(tmp_path / "secret"), f"/proc/1/root{tmp_path}/secret"):
        assert toolbox.get("/files/download", params={"path": path}).status_code in (403, 404), path
    files = {"file": ("new", b"x")}
    toolbox.post("/files/upload", params={"path": "dir/new"}, files=files)
    assert not (tmp_path / "new").exists()
    log = next((server.directory / "sandboxes" / toolbox.sandbox["id"] / "logs").parent.iterdir())
    assert toolbox.get("/files/info", params={"path": str(log)}).status_code == 404


def test_host_name_user_and_processes_are_the_sandboxs_own(toolbox: Toolbox) -> None:
    result = toolbox.execute(
        "hostname; whoami; readlink /proc/self/ns/pid /proc/self/ns/ipc /proc/self/ns/uts"
    )
    host, user, *namespaces = result["result"].split()
    assert (host, user) == ("sandbox", "daytona")
    for namespace in namespaces:
        assert namespace != str(Path(f"/proc/self/ns/{namespace.partition(':')[0]}").readlink())


def test_the_first_process_cannot_be_killed_from_inside(toolbox: Toolbox) -> None:
    toolbox.execute("kill -9 1; kill -STOP 1; kill -9 -1")
    assert toolbox.execute("echo alive")["result"] == "alive\n"


def test_limits_hold(toolbox: Toolbox, server: EmbeddedServer) -> None:
    limits = toolbox.execute("ulimit -u -n -f -c -d")["result"]
    assert "unlimited" not in limits
    with make_toolbox(server, memory=1) as small:
        result = small.post(
            "/process/code-run", json={"code": "x = bytearray(2 << 30)", "language": "python"}
        ).json()
        assert "MemoryError" in result["result"]


def test_the_network_is_there(toolbox: Toolbox) -> None:
    assert toolbox.execute("getent hosts localhost")["exitCode"] == 0


def test_children_inherit_no_secret_of_the_servers_environment() -> None:
    secrets = {
        "AWS_SECRET_ACCESS_KEY": "s3cret",
        "DAYTONA_API_KEY": "s3cret",
        "HTTPS_PROXY": "http://user:s3cret@127.0.0.1:1",
        "PIP_INDEX_URL": "https://user:s3cret@example.invalid/simple",
    }
    server = start_embedded({**secrets, "LC_ALL": "C.UTF-8"})
    server.lease = server.take_lease()
    with make_toolbox(server, env={"OWN": "1"}) as toolbox:
        environment = toolbox.execute("env; cat /proc/*/environ")["result"]
    server.end()
    assert "s3cret" not in environment
    assert "OWN=1" in environment
    assert "LC_ALL=C.UTF-8" in environment


def test_children_inherit_a_proxy_without_credentials() -> None:
    own = {"http_proxy": "http://proxy:3128", "NO_PROXY": "localhost", "GITHUB_TOKEN": "x", "PATH": "/bin"}
    inherited = children_environment(ISOLATED, "id", {"A": "b"}, own)
    assert inherited["http_proxy"] == "http://proxy:3128"
    assert inherited["NO_PROXY"] == "localhost"
    assert "GITHUB_TOKEN" not in inherited
    assert inherited["A"] == "b"
    assert inherited["PATH"].startswith("/opt/daytona/bin:")


def test_each_prefix_is_mounted_once_and_never_a_whole_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    inner = home / "venv" / "lib"
    inner.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    assert outermost([str(inner), str(home / "venv")]) == [str(home / "venv")]
    assert outermost([str(home), str(tmp_path), "/", "/usr/lib", "/none"]) == []


def _start(env: dict[str, str], *prefix: str) -> subprocess.CompletedProcess[str]:
    """Run a server until it ends, or for its first line."""
    command = [
        *prefix,
        sys.executable,
        "-m",
        "daytona_kernel.server",
        "--embedded",
        '{"first_lease_grace": 0}',
    ]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)


def test_without_bubblewrap_nothing_runs() -> None:
    done = _start({"PATH": "/none", "DAYTONA_KERNEL_ISOLATION": "bubblewrap"})
    assert done.returncode == 1
    answer = json.loads(done.stdout)
    assert answer["by_machine"]
    assert "need bubblewrap, and bubblewrap is not installed. Nothing has run." in answer["isolation_failure"]
    assert "apt install bubblewrap" in answer["isolation_failure"]
    assert "DAYTONA_KERNEL_ISOLATION=none" in answer["isolation_failure"]


WITHOUT_LANDLOCK = """
import sys
from daytona_kernel.server.box.seccomp import ALLOW, JUMP_EQUAL, LOAD, NUMBER, RETURN, error, instruction
from daytona_kernel.server.guard import domain
from daytona_kernel.server.isolation import choose_isolation
refuse = instruction(JUMP_EQUAL, domain.CREATE_RULESET, 0, 1) + instruction(RETURN, error(38))
domain.give_up_privileges()
domain.install_filter(instruction(LOAD, NUMBER) + refuse + instruction(RETURN, ALLOW), 0)
print(choose_isolation(sys.argv[1]).note)
"""


@pytest.mark.parametrize("wanted", ["auto", "landlock", "preferred"])
def test_with_neither_bubblewrap_nor_landlock_nothing_runs_unless_that_is_preferred(wanted: str) -> None:
    """A filter of system calls makes this machine one whose kernel has no Landlock."""
    command = [sys.executable, "-c", WITHOUT_LANDLOCK, wanted]
    done = subprocess.run(command, env={"PATH": "/none"}, capture_output=True, text=True, check=False)
    if wanted == "preferred":
        assert done.stdout.startswith("Sandboxes are not isolated from this machine and its files: ")
    else:
        assert "IsolationError: " in done.stderr
        assert "this machine's Linux kernel has no Landlock" in done.stderr
        assert "Nothing has run." in done.stderr


def test_without_bubblewrap_the_person_can_go_on_and_is_warned() -> None:
    done = _start({"PATH": "/none", "DAYTONA_KERNEL_ISOLATION": "none"})
    answer = json.loads(done.stdout)
    assert answer["isolation"] == "none"
    assert answer["warning"] == answer["note"]
    assert answer["note"].startswith("Sandboxes are not isolated from this machine and its files: ")


@pytest.mark.parametrize(
    ("script", "by_machine", "says"),
    [
        ("echo 'setting up uid map: Permission denied' >&2; exit 1", True, "uid map: Permission denied"),
        ("exec sleep 1000", False, "Run it again."),
    ],
)
def test_a_bubblewrap_that_fails_or_hangs_runs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, by_machine: bool, says: str
) -> None:
    program = tmp_path / "bwrap"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(bubblewrap, "_TRIAL_TIMEOUT", 1.0)
    for wanted in ("bubblewrap", *(["auto", "preferred"] if not by_machine else [])):
        with pytest.raises(IsolationError, match=re.escape(says)) as raised:
            choose_isolation(wanted)
        assert raised.value.by_machine == by_machine
        assert "Nothing has run" in str(raised.value)


@pytest.mark.parametrize("signals", ["CHLD", "CHLD INT TERM HUP"])
def test_a_starter_that_ignores_signals_changes_nothing(server: EmbeddedServer, signals: str) -> None:
    assert server.isolation == "bubblewrap"
    done = _start(dict(os.environ), "/bin/sh", "-c", f"trap '' {signals}; exec \"$@\"", "sh")
    assert json.loads(done.stdout)["isolation"] == "bubblewrap"


@pytest.mark.parametrize(
    "variable", ["DAYTONA_KERNEL_ISOLATION", "DAYTONA_KERNEL_NETWORK", "DAYTONA_KERNEL_PROFILE"]
)
def test_an_unknown_value_gives_an_error_of_one_sentence(variable: str) -> None:
    done = _start({"PATH": "/none", variable: "chroot"})
    assert done.returncode == 1
    assert re.fullmatch(f"{variable}=chroot is not valid; use .* or [a-z]+\n", done.stderr)


@pytest.mark.parametrize(
    ("network", "says"),
    [
        ("auto", "It cannot reach the servers of this machine"),
        ("none", "It cannot reach the servers of this machine"),
        ("host", "It shares this machine's network, and reaches the servers on its loopback."),
    ],
)
def test_what_is_said_about_landlock_depends_on_the_network(
    monkeypatch: pytest.MonkeyPatch, network: str, says: str
) -> None:
    why_not = landlock.failure(network)
    if why_not is not None:
        pytest.skip(why_not)
    monkeypatch.setenv("DAYTONA_KERNEL_NETWORK", network)
    choice = choose_isolation("landlock")
    assert choice.isolation is not None
    assert (choice.isolation.network.kind == "host") == (network == "host")
    assert says in choice.warning
