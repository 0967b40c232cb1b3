"""Sandboxes on local snapshots: the directory's programs in place of the machine's, and as much isolation."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from daytona_kernel.server.box.snapshots import environment_of, parse_snapshots
from tests.served import COMMAND
from tests.server.conftest import make_toolbox, start_embedded
from tests.small_root import make_small_root

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.server.conftest import EmbeddedServer, Toolbox

NAMED = "DAYTONA_KERNEL_LOCAL_SNAPSHOTS"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("snapshots") / "small"
    make_small_root(root)
    (root / "etc/environment").write_text(
        '# a comment\nPATH="/opt/tools:/usr/bin"\nexport MARK=of the image\n'
    )
    (root / "etc/secret").write_text("only for root\n")
    (root / "etc/secret").chmod(0o600)
    (root / "opt/tools").mkdir()
    (root / "opt/tools/hello").write_text("#!/bin/sh\necho hello from the image\n")
    (root / "opt/tools/hello").chmod(0o755)
    (root / "opt/away").symlink_to("/etc/hostname")
    return root


@pytest.fixture(scope="module")
def image_server(server: EmbeddedServer, root: Path) -> Iterator[EmbeddedServer]:
    if server.isolation != "bubblewrap":
        pytest.skip("bubblewrap does not work here")
    made = start_embedded({NAMED: f"small={root}"}, terminate_grace=1)
    made.lease = made.take_lease()
    yield made
    made.end()


@pytest.fixture(scope="module")
def image(image_server: EmbeddedServer) -> Iterator[Toolbox]:
    with make_toolbox(image_server, snapshot="small", env={"OWN": "1"}) as toolbox:
        yield toolbox


def test_the_programs_are_the_images(image: Toolbox) -> None:
    assert image.sandbox["snapshot"] == "small"
    assert image.execute("cat /etc/os-release; hello")["result"] == (
        'PRETTY_NAME="a small root"\nhello from the image\n'
    )
    assert image.execute("python3 --version")["exitCode"] == 127
    answer = image.execute("echo $MARK; echo $OWN; echo $PATH; echo $HOME; whoami; pwd")[
        "result"
    ].splitlines()
    path = "/home/daytona/.local/bin:/opt/tools:/usr/bin"
    assert answer == ["of the image", "1", path, "/home/daytona", "daytona", "/workspace"]


def test_the_image_is_read_only_and_the_sandboxs_own_directories_are_not(image: Toolbox, root: Path) -> None:
    for path in (
        "/usr/bin/x",
        "/etc/passwd",
        "/etc/x",
        "/opt/tools/hello",
        "/var/x",
        "/x",
        "/run/settings/pip/x",
    ):
        assert image.execute(f"echo > {path}")["exitCode"] != 0, path
    result = image.execute("for d in /workspace ~ /tmp /var/tmp /dev/shm; do touch $d/x && echo $d; done")
    assert result["result"] == "/workspace\n/home/daytona\n/tmp\n/var/tmp\n/dev/shm\n"
    assert not (root / "tmp/x").exists()


def test_a_session_and_the_files_work_as_ever(image: Toolbox) -> None:
    assert image.post("/process/session", json={"sessionId": "s"}).status_code == 201
    image.run("s", "cd /opt && x=1")
    assert image.run("s", "echo $x $PWD")["stdout"] == "1 /opt\n"
    files = {"file": ("new", b"content")}
    assert image.post("/files/upload", params={"path": "/workspace/new"}, files=files).status_code == 200
    assert image.get("/files/download", params={"path": "/workspace/new"}).content == b"content"


def test_the_machine_is_not_seen_but_for_the_servers_python(image: Toolbox, tmp_path: Path) -> None:
    for path in (tmp_path, Path(sys.prefix) / "bin", "/usr/share/doc", "/opt/daytona", "/srv"):
        assert image.execute(f"test -e {path}/.")["exitCode"] == 1, path
    assert image.execute("ls -A /root /home")["result"] == "/home:\ndaytona\n\n/root:\n"
    points = image.execute("cut -d ' ' -f 5 /proc/self/mountinfo")["result"].splitlines()
    of_the_machine = {point for point in points if point.startswith("/run/server")}
    assert of_the_machine
    assert image.execute("touch /run/server/usr/x")["exitCode"] != 0
    if os.getuid() == 0:  # the sandbox is another user, who may not read it
        assert image.execute("cat /etc/secret")["exitCode"] != 0
    # A link of the image leads to what the sandbox has there, and not to this machine's file.
    assert image.execute("cat /opt/away")["result"] == "sandbox\n"


def test_no_process_has_a_capability_or_reaches_the_supervisor(image: Toolbox) -> None:
    status = image.execute("grep -h ^Cap /proc/self/status")["result"].split()
    assert {int(word, 16) for word in status if not word.startswith("Cap")} == {0}
    assert image.execute("kill -9 1; kill -STOP 1; echo alive")["result"] == "alive\n"
    for attempt in (
        "unshare --user true",
        "mount -o remount,rw /usr",
        "mount -t tmpfs none /opt",
        "cat /proc/1/environ",
        "ls /proc/1/fd",
        "echo 1 > /proc/sys/kernel/panic",
    ):
        result = image.execute(f"{attempt} && echo done")
        assert "done" not in result["result"], (attempt, result)
    assert image.execute("echo alive")["result"] == "alive\n"


def test_two_sandboxes_do_not_see_each_other(image_server: EmbeddedServer, image: Toolbox) -> None:
    with make_toolbox(image_server) as other:
        other.execute("echo secret > /workspace/secret; (sleep 500 >/dev/null 2>&1 &)")
        assert other.execute("python3 -c 'print(1)'")["result"] == "1\n"  # of the machine, as ever
        assert image.execute("ls /workspace/secret")["exitCode"] != 0
        assert "sleep 500" not in image.execute("cat /proc/*/cmdline")["result"].replace("\0", " ")


def test_a_stopped_sandbox_starts_on_its_image_again(image_server: EmbeddedServer) -> None:
    with make_toolbox(image_server, snapshot="small") as toolbox, image_server.client() as client:
        toolbox.execute("echo kept > /workspace/file")
        for change in ("stop", "start"):
            assert client.post(f"/sandbox/{toolbox.sandbox['id']}/{change}").status_code == 200
        assert toolbox.execute("cat /workspace/file; hello")["result"] == "kept\nhello from the image\n"


def test_an_unknown_snapshot_is_refused_by_name_with_the_list(image_server: EmbeddedServer) -> None:
    with image_server.client() as client:
        answer = client.post("/sandbox", json={"snapshot": "smal"})
    assert answer.status_code == 400
    assert "there is no snapshot 'smal': this server has small." in answer.json()["message"]


def test_without_isolation_a_snapshot_is_refused(root: Path) -> None:
    server = start_embedded({NAMED: f"small={root}", "DAYTONA_KERNEL_ISOLATION": "none"})
    server.lease = server.take_lease()
    with server.client() as client:
        answer = client.post("/sandbox", json={"snapshot": "small"})
    server.end()
    assert answer.status_code == 400
    assert "needs isolation by bubblewrap" in answer.json()["message"]


def test_serve_takes_snapshots_and_refuses_what_is_none(root: Path, tmp_path: Path) -> None:
    for word, says in (
        ("small", "is not NAME=DIRECTORY"),
        (f"small={tmp_path}/none", "which is not a directory"),
        (f"small={tmp_path}", "is not a root file system: it has no /bin/sh"),
    ):
        command = [COMMAND, "serve", "--snapshot", f"good={root}", "--snapshot", word]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1
        assert says in done.stderr
        assert done.stderr.count("\n") == 1


def test_the_setting_is_refused_in_one_sentence(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "daytona_kernel.server", "--embedded"],
        env={**os.environ, NAMED: f"small={tmp_path}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr == (
        f"{NAMED} is not valid: {tmp_path}, the snapshot small, is not a root file system: "
        "it has no /bin/sh.\n"
    )


def test_the_environment_of_an_image_is_plain_assignments(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    file = tmp_path / "etc/environment"
    file.write_bytes(b"A=1\n export B='two words'\nHOME=/root\n=x\nC D=1\n\xff=1\nE=\n#F=1\n")
    assert environment_of(str(tmp_path)) == {"A": "1", "B": "two words", "E": ""}
    file.unlink()
    assert environment_of(str(tmp_path)) == {}
    (tmp_path / "outside").write_text("A=1\n")
    file.symlink_to(tmp_path / "outside")
    assert environment_of(str(tmp_path)) == {}
    assert parse_snapshots([]) == {}


def test_a_file_that_a_setting_names_is_there_with_the_folders_above_it(root: Path, tmp_path: Path) -> None:
    named = tmp_path / "of/this-machine"
    named.mkdir(parents=True)
    (named / "constraints.txt").write_text("six<2\n")
    server = start_embedded({NAMED: f"small={root}", "PIP_CONSTRAINT": f"{named}/constraints.txt"})
    server.lease = server.take_lease()
    with make_toolbox(server, snapshot="small") as toolbox:
        found = toolbox.execute('cat "$PIP_CONSTRAINT"; hello')["result"]
    server.end()
    assert found == "six<2\nhello from the image\n"
