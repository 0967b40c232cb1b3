"""A folder that all sandboxes have: which of its folders are writable, and when it is refused."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from daytona_kernel import Daytona, DaytonaBadRequestError
from daytona_kernel.client.models.sandboxes import CreateSandboxParams, VolumeMount
from daytona_kernel.server.box.folder_mount import FolderMount, writable_folders
from daytona_kernel.server.isolation import Choice, IsolationError, mount_folder
from daytona_kernel.settings.project import MOUNTS
from daytona_kernel.wire.conventions import READ_ONLY, READ_WRITE
from tests.folders import make
from tests.isolation import needs_bubblewrap
from tests.served import config, serving

if TYPE_CHECKING:
    from pathlib import Path


def test_the_setting_and_the_server_have_the_same_modes() -> None:
    assert MOUNTS == (READ_WRITE, READ_ONLY)


@pytest.mark.parametrize(
    ("places", "writable"),
    [
        ([], [""]),
        (["a.py", "in/deep/x"], [""]),
        (["nb.ipynb", "in/deep/x", "data/"], ["in", "data"]),
        ([".git/", "in/x"], ["in"]),
        ([".envrc", "in/x"], ["in"]),
        (["in/.git/", "in/x/", "other/"], ["in/x", "other"]),
        (["in/deep/NB.IPYNB", "in/deep/er/x", "in/beside/", "other/"], ["in/deep/er", "in/beside", "other"]),
        (["env/pyvenv.cfg", "env/lib/x", "src/"], ["src"]),
        ([".hidden/inner/", "a/b/.hidden", "a/c/"], ["a/c"]),
    ],
)
def test_a_folder_is_writable_if_nothing_protected_is_in_it_or_below(
    tmp_path: Path, places: list[str], writable: list[str]
) -> None:
    make(tmp_path, *places)
    assert sorted(writable_folders(str(tmp_path))) == sorted(str(tmp_path / each) for each in writable)


def test_links_lead_to_no_other_folder(tmp_path: Path) -> None:
    make(tmp_path, "root/nb.ipynb", "outside/x")
    (tmp_path / "root" / "link").symlink_to(tmp_path / "outside")
    assert writable_folders(str(tmp_path / "root")) == []
    (tmp_path / "linked").symlink_to(tmp_path / "root")
    with pytest.raises(ValueError, match="its path has a link"):
        FolderMount("mount", str(tmp_path / "linked"))


@pytest.mark.parametrize("path", ["/", "/usr/share", "/etc", "/home", "/proc/self", "/tmp"])
def test_a_folder_where_sandboxes_have_their_own_files_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"cannot be mounted|has a link|does not exist"):
        FolderMount("mount-ro", path)


def test_only_one_server_mounts_a_folder_for_writing(tmp_path: Path) -> None:
    code = (
        "import sys; from daytona_kernel.server.box.folder_mount import FolderMount\n"
        "held = FolderMount(*sys.argv[1:]); print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, "mount", str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(ValueError, match="Another kernel has the folder"):
            FolderMount("mount", str(tmp_path))
        FolderMount("mount-ro", str(tmp_path))
        other.communicate()
    FolderMount("mount", str(tmp_path))


def test_without_bubblewrap_nothing_runs(tmp_path: Path) -> None:
    folder = FolderMount("mount-ro", str(tmp_path))
    with pytest.raises(IsolationError, match="only into sandboxes that bubblewrap isolates"):
        mount_folder(Choice("none", None), folder)


def test_a_server_mounts_only_what_its_own_command_line_says(tmp_path: Path) -> None:
    needs_bubblewrap()
    folder = tmp_path / "project"
    make(folder, "nb.ipynb", "data/x.csv")
    folder.chmod(0o755)
    wish = CreateSandboxParams(volumes=[VolumeMount(f"mount-ro:{folder}", str(folder))])
    other = CreateSandboxParams(volumes=[VolumeMount(f"mount:{folder}", str(folder))])
    with serving(tmp_path / "plain") as environment, Daytona(config(environment)) as daytona:
        with pytest.raises(DaytonaBadRequestError, match="does not mount"):
            daytona.create(wish)
        with pytest.raises(DaytonaBadRequestError, match="have no volumes"):
            daytona.create(CreateSandboxParams(volumes=[VolumeMount("mine", "/data")]))
    with (
        serving(tmp_path / "mounting", "--mount-ro", str(folder)) as environment,
        Daytona(config(environment)) as daytona,
    ):
        with pytest.raises(DaytonaBadRequestError, match="does not mount"):
            daytona.create(other)
        sandbox = daytona.create(wish)
        assert sandbox.instance.volumes == wish.volumes
        answer = sandbox.process.exec(f"cd '{folder}' && ls && ! touch data/new")
        assert answer.exit_code == 0, answer.result
        assert answer.result.startswith("data\nnb.ipynb\n")
    assert [each.name for each in (folder / "data").iterdir()] == ["x.csv"]
