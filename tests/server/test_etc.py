"""The /etc of a sandbox has what every user may read, but no secrets, and is copied only when it changes."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from daytona_kernel.server.box import cache, etc
from daytona_kernel.server.box.file_secrets import holds_secret, is_secret_name

TOKEN = "x7Hk29dPqWm4Zt81"


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that stands for the machine's /etc."""
    machine = tmp_path / "machine"
    machine.mkdir(mode=0o755)
    monkeypatch.setattr(etc, "COPIED", (str(machine),))
    monkeypatch.setattr(cache, "_held", {})
    monkeypatch.setattr(etc, "_write_own", lambda _target, _home: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return machine


def write(path: Path, content: str = "x", mode: int = 0o644) -> None:
    path.parent.mkdir(mode=0o755, exist_ok=True)
    path.write_text(content)
    path.chmod(mode)


def copy_of(machine: Path) -> tuple[Path, set[str]]:
    """Return the copy, and the files and links in it."""
    copy = Path(etc.current_copy("/home/daytona", str(machine.parent / "fallback")))
    root = Path(f"{copy}{machine}")
    return copy, {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}


def test_the_mode_for_others_decides_on_each_step(machine: Path) -> None:
    write(machine / "java/java.security", "a=b")
    write(machine / "script", "#!/bin/sh", 0o755)
    write(machine / "shadow", mode=0o640)
    write(machine / "of-the-owner", mode=0o700)
    write(machine / "closed/readable")
    (machine / "closed").chmod(0o710)
    (machine / "alternatives").symlink_to("/usr/bin/vim")
    os.mkfifo(machine / "fifo", 0o644)
    copy, found = copy_of(machine)
    assert found == {"java/java.security", "script", "alternatives"}
    assert Path(f"{copy}{machine}/script").stat().st_mode & 0o777 == 0o555
    assert Path(f"{copy}{machine}/alternatives").readlink() == Path("/usr/bin/vim")


def test_secrets_that_every_user_may_read_are_not_copied(machine: Path) -> None:
    write(machine / "pip.conf", "[global]\nindex-url = https://user:password@example.invalid/simple\n")
    write(machine / "profile.d/token.sh", f"export SERVICE_TOKEN={TOKEN}\n")
    write(machine / "rancher/k3s.yaml")
    write(machine / "krb5.keytab")
    write(machine / "vimrc", "set ruler")
    assert copy_of(machine)[1] == {"vimrc"}


def test_a_mounted_file_system_is_not_copied(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(machine / "secrets-of-a-pod/config")
    write(machine / "hosts")
    monkeypatch.setattr(etc, "_mount_points", lambda: {str(machine / "secrets-of-a-pod")})
    assert copy_of(machine)[1] == {"hosts"}


def test_a_copy_is_used_until_a_file_changes(machine: Path) -> None:
    write(machine / "directory/a")
    first, _ = copy_of(machine)
    assert copy_of(machine)[0] == first
    (machine / "directory/a").chmod(0o600)
    second, found = copy_of(machine)
    assert (second != first, found) == (True, set())
    write(machine / "directory/b")
    third, found = copy_of(machine)
    assert (third != second, found) == (True, {"directory/b"})


def test_an_outdated_copy_stays_while_a_server_uses_it(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "_UNUSED", 0)
    first, _ = copy_of(machine)
    of_another_server = os.open(first, os.O_RDONLY)
    fcntl.flock(of_another_server, fcntl.LOCK_SH)
    os.close(cache._held[str(first)])
    monkeypatch.setattr(cache, "_held", {})
    write(machine / "new")
    second, _ = copy_of(machine)
    assert (first.exists(), second.exists()) == (True, True)
    os.close(of_another_server)
    write(machine / "newer")
    copy_of(machine)
    assert (first.exists(), second.exists()) == (False, True)


def test_the_copies_that_were_used_last_stay(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_UNUSED", 1)
    copies = []
    for name in ("a", "b", "c"):
        write(machine / name)
        copies.append(copy_of(machine)[0])
        os.close(cache._held.pop(str(copies[-1])))
    assert [copy.exists() for copy in copies] == [False, True, True]


def test_an_interrupted_copy_is_not_used(machine: Path) -> None:
    write(machine / "a")
    first, _ = copy_of(machine)
    (first / "state.json").unlink()
    second, found = copy_of(machine)
    assert (second != first, found) == (True, {"a"})


def test_a_cache_directory_that_others_can_write_is_not_used(machine: Path) -> None:
    cache = machine.parent / "cache/daytona-kernel"
    cache.mkdir(parents=True)
    cache.chmod(0o777)
    fallback = machine.parent / "fallback"
    fallback.mkdir()
    write(machine / "a")
    copy, found = copy_of(machine)
    assert (copy.parent, found) == (fallback, {"a"})


@pytest.mark.parametrize(
    "content",
    [
        "password = hunter2",
        f"//registry.npmjs.org/:_authToken={TOKEN}",
        "_auth = dXNlcjpwYXNz",
        "machine example.com login me password hunter2",
        "export http_proxy=http://me:hunter2@proxy:3128",
        "deb https://me:hunter2@packages.example.com/debian stable main",
        '"registry_password": "hunter2"',
        f"api_key: {TOKEN}",
        f"client-key-data: {TOKEN}",
        'psk="hunter2hunter2"',
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        f"# an old one: ghp_{TOKEN}{TOKEN}",
        "Environment=DB_PASSWORD=hunter2",
        "passwd=hunter2",
    ],
)
def test_a_secret_is_recognized(content: str) -> None:
    assert holds_secret(f"first = line\n{content}\n".encode())


@pytest.mark.parametrize(
    "content",
    [
        "passwd:         files systemd",
        "auth required pam_unix.so nullok",
        "# password = change-me",
        "Accept-Type: password",
        "challengePassword = A challenge password",
        "export EDITOR=vim",
        "index-url = https://mirror.example.com/simple",
        "token_file = /run/token",
        "password = $SECRET",
        "keystore.type=pkcs12",
        "ssh-agent",
        "git@example.com:a/b.git",
        "-----BEGIN CERTIFICATE-----",
    ],
)
def test_settings_are_not_secrets(content: str) -> None:
    assert not holds_secret(f"first = line\n{content}\n".encode())


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("ssh_host_ed25519_key.pub", True),
        (".netrc", True),
        ("server.key", True),
        ("NetworkManager", True),
        ("auth.conf.d", True),
        ("ssh_config", False),
        ("keyrings", False),
        ("java-17-openjdk", False),
        ("terminfo", False),
    ],
)
def test_names_of_secrets(name: str, secret: bool) -> None:  # a column of the table
    assert is_secret_name(name) is secret
