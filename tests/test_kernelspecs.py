"""`daytona-kernel install`, `list` and `uninstall`; and what `doctor` says of kernelspecs and Jupyters."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from string import Template

import pytest

from daytona_kernel.cli import main
from daytona_kernel.jupyter_environments import find
from daytona_kernel.settings.resolution import sandbox_settings
from tests.kernel.driver import running_kernel
from tests.served import COMMAND

EXTENSIONS = ("@jupyter-widgets/jupyterlab-manager", "anywidget")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the commands a user without kernelspecs and servers, and a PATH without other Jupyters."""
    for variable in ("JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / "home" / variable.lower()))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    return tmp_path / "home"


@dataclass
class Done:
    """The end of a command."""

    returncode: int
    stdout: str
    stderr: str


def run(*arguments: str) -> Done:
    """Run `daytona-kernel` in this process, which has imported it already."""
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as errors:
        status = main(list(arguments))
    return Done(status, out.getvalue(), errors.getvalue())


def doctor() -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, "doctor"], capture_output=True, text=True, timeout=100, check=False)


def kernelspec(directory: Path, name: str) -> dict[str, object]:
    spec: dict[str, object] = json.loads((directory / "kernels" / name / "kernel.json").read_text())
    return spec


@pytest.mark.usefixtures("home")
def test_install_writes_a_kernelspec_that_names_this_python(tmp_path: Path) -> None:
    done = run("install", "--prefix", str(tmp_path), "--name", "mine")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    spec = kernelspec(tmp_path / "share/jupyter", "mine")
    assert spec["argv"] == [sys.executable, "-P", "-m", "daytona_kernel", "-f", "{connection_file}"]
    assert spec["display_name"] == "Daytona (mine)"
    assert (tmp_path / "share/jupyter/kernels/mine/logo-svg.svg").exists()


def test_install_writes_a_display_name_and_variables(home: Path) -> None:
    variables = ["--env", "DAYTONA_TARGET=eu", "--env", "EMPTY=", "--env", "DAYTONA_API_KEY=${WORK_KEY}"]
    done = run("install", "--user", "--name", "work", "--display-name", "Work, in Europe", *variables)
    assert done.returncode == 0, done.stderr
    spec = kernelspec(home / "jupyter_data_dir", "work")
    assert spec["display_name"] == "Work, in Europe"
    assert spec["env"] == {"DAYTONA_TARGET": "eu", "EMPTY": "", "DAYTONA_API_KEY": "${WORK_KEY}"}


@pytest.mark.parametrize(
    "variable",
    [
        "DAYTONA_API_KEY=dtn_0123456789abcdef",
        "DAYTONA_JWT_TOKEN=x",
        "DAYTONA_KERNEL_SERVE_KEY=x",
        "AWS_SECRET_ACCESS_KEY=x",
        "HTTPS_PROXY=http://me:word@proxy:3128",
        "ANY=dtn_0123456789abcdef",
        "DAYTONA_API_KEY=${A}dtn",
    ],
)
def test_install_refuses_secrets_and_gives_the_reason(home: Path, variable: str) -> None:
    done = run("install", "--user", "--env", variable)
    assert done.returncode == 1
    assert "looks like a secret" in done.stderr
    assert variable.partition("=")[2] not in done.stderr or len(variable.partition("=")[2]) < 2
    assert not list(home.rglob("kernel.json"))


@pytest.mark.usefixtures("home")
def test_uninstall_removes_what_install_wrote_and_nothing_else(tmp_path: Path) -> None:
    data = tmp_path / "home/jupyter_data_dir"
    run("install", "--user")
    run("install", "--user", "--name", "second")
    elsewhere = tmp_path / "elsewhere"
    run("install", "--prefix", str(elsewhere))
    other = data / "kernels" / "other"
    shutil.copytree(data / "kernels" / "second", other)
    spec = kernelspec(data, "other")
    (other / "kernel.json").write_text(
        json.dumps({**spec, "argv": ["/usr/bin/python3", "-P", "-m", "daytona_kernel"]})
    )
    foreign = data / "kernels" / "python3"
    foreign.mkdir()
    (foreign / "kernel.json").write_text(
        '{"argv": ["python", "-m", "ipykernel_launcher"], "display_name": "x"}'
    )

    listed = run("list").stdout
    names = [line.split()[0] for line in listed.splitlines()]
    assert sorted(names) == ["NAME", "daytona", "daytona", "other", "second"]

    done = run("uninstall")
    assert done.returncode == 0
    removed = [line.rpartition(" from ")[2] for line in done.stdout.splitlines()]
    assert removed == [str(data / "kernels/daytona"), str(data / "kernels/second")]
    assert sorted(each.name for each in (data / "kernels").iterdir()) == ["other", "python3"]
    assert "has written no kernelspec" in run("uninstall").stdout

    assert run("uninstall", "--name", "python3").returncode == 1
    assert "Removed" in run("uninstall", "--name", "other").stdout
    assert "Removed" in run("uninstall", "--prefix", str(elsewhere)).stdout
    assert not list(elsewhere.rglob("kernel.json"))
    assert foreign.exists()


def test_a_card_has_the_settings_of_its_sandboxes(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jupyter replaces `$PRICE` in variables of a kernelspec, and must not do so in a setting."""
    options = ["--cpu", "8", "--image", "python:3.13", "--network-block-all", "--package", "numpy"]
    options += ["--package", "pandas>=2, <3", "--sandbox-env", "SIGN=$PRICE ${PRICE}", "--auto-delete", "-1"]
    done = run("install", "--user", "--name", "big", "--display-name", "Daytona (8 CPU)", *options)
    assert done.returncode == 0, done.stderr
    listed = run("install", "--list").stdout
    assert listed == run("list").stdout
    assert "cpu 8, env SIGN, image python:3.13" in listed or "image python:3.13, cpu 8, env SIGN" in listed
    variables = kernelspec(home / "jupyter_data_dir", "big")["env"]
    assert isinstance(variables, dict)
    monkeypatch.setenv("PRICE", "replaced")
    seen = {name: Template(value).safe_substitute(os.environ) for name, value in variables.items()}
    found = sandbox_settings({}, {"JUPYTER_NO_CONFIG": "1", **seen})
    assert {name: each.value for name, each in found.items()} == {
        "image": "python:3.13",
        "cpu": 8,
        "env": {"SIGN": "$PRICE ${PRICE}"},
        "network_block_all": True,
        "auto_delete": -1,
        "packages": ["numpy", "pandas>=2, <3"],
    }
    assert {each.source for each in found.values()} == {"kernelspec"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            ["--cpu", "8", "--snapshot", "mine"],
            "cpu (kernelspec) and snapshot (kernelspec) exclude",
        ),
        (["--sandbox-env", "TOKEN=dtn_0123456789abcdef"], "TOKEN looks like a secret"),
    ],
)
def test_a_card_that_cannot_be_is_refused(home: Path, options: list[str], words: str) -> None:
    done = run("install", "--user", "--name", "big", *options)
    assert done.returncode == 1
    assert words in done.stderr
    assert "dtn_" not in done.stderr
    assert not list(home.rglob("kernel.json"))


@pytest.mark.kernel
def test_a_kernel_gets_the_variables_of_its_kernelspec(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The value `${NAME}` is Jupyter's own variable, which the file does not contain."""
    monkeypatch.setenv("WORK_URL", "http://127.0.0.1:9")
    variables = ["--env", "DAYTONA_API_URL=${WORK_URL}", "--env", "DAYTONA_API_KEY=${HOME}"]
    assert run("install", "--user", "--name", "work", *variables).returncode == 0
    with running_kernel("work") as driver:
        assert "No server answers at http://127.0.0.1:9" in str(driver.run("1").reply)


@pytest.mark.slow
def test_doctor_names_kernelspecs_whose_python_is_gone_or_lacks_the_package(home: Path) -> None:
    data = home / "jupyter_data_dir"
    for name, python in (("gone", "/nowhere/bin/python"), ("bare", "/usr/bin/env")):
        run("install", "--user", "--name", name, "--cpu", "8", "--env", "DAYTONA_TARGET=eu")
        spec = kernelspec(data, name)
        words = [python, "-P", "-m", "daytona_kernel", "-f", "{connection_file}"]
        (data / "kernels" / name / "kernel.json").write_text(json.dumps({**spec, "argv": words}))
    done = doctor()
    assert done.returncode == 1
    bare, gone = (line for line in done.stdout.splitlines() if line.startswith("WRONG"))
    assert "points to /nowhere/bin/python, which does not exist" in gone
    options = "--display-name 'Daytona (gone)' --env=DAYTONA_TARGET=eu --cpu=8"
    assert f"daytona-kernel install --user --name gone {options}" in gone
    assert "points to /usr/bin/env, which does not have daytona-kernel" in bare
    assert "daytona-kernel uninstall --name bare" in bare


def make_environment(prefix: Path, *extensions: str) -> Path:
    """Make the files by which an environment with JupyterLab is known."""
    (prefix / "bin").mkdir(parents=True)
    program = prefix / "bin" / "jupyter-lab"
    program.write_text(f"#!{prefix}/bin/python3.11\nimport jupyterlab\n")
    program.chmod(0o755)
    for extension in extensions:
        (prefix / "share/jupyter/labextensions" / extension).mkdir(parents=True)
    return prefix


@pytest.mark.slow
def test_install_and_doctor_say_what_a_jupyter_elsewhere_lacks(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = make_environment(tmp_path / "lab", EXTENSIONS[0])
    installed = run("install", "--prefix", str(lab)).stdout
    assert f"Jupyter in {lab} lacks anywidget" in installed
    assert f"Run: {lab}/bin/python -m pip install anywidget" in installed

    monkeypatch.setenv("PATH", f"{lab}/bin:/usr/bin:/bin")
    known = doctor().stdout
    assert f"Jupyter in {lab} (jupyter-lab on PATH) lacks anywidget" in known
    assert f"{lab}/bin/python -m pip install anywidget" in known

    run("uninstall", "--prefix", str(lab))
    assert f"daytona-kernel install --prefix {lab}" in doctor().stdout

    run("install", "--user")
    assert "lacks anywidget" in doctor().stdout
    (lab / "share/jupyter/labextensions" / EXTENSIONS[1]).mkdir()
    assert f"Jupyter in {lab} (jupyter-lab on PATH) shows widgets and live logs" in doctor().stdout


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    "start",
    [
        "#!{python}\nimport x\n",
        "#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''\n",
        "#! {python}\nimport x\n",
    ],
)
def test_an_environment_is_found_by_the_start_of_its_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: str
) -> None:
    lab = make_environment(tmp_path / "my lab")
    (lab / "bin/jupyter-lab").write_text(start.format(python=f"{lab}/bin/python3"))
    monkeypatch.setenv("PATH", f"{lab}/bin:/usr/bin:/bin")
    assert [each.prefix for each in find()] == [Path(sys.prefix), lab]


def test_the_environment_of_a_running_server_is_found(home: Path, tmp_path: Path) -> None:
    lab = make_environment(tmp_path / "lab")
    (lab / "bin/python").symlink_to(sys.executable)
    runtime = home / "jupyter_runtime_dir"
    runtime.mkdir(parents=True)
    for name in ("1", "unreadable"):  # servers that have ended
        (runtime / f"jpserver-{name}.json").write_text('{"pid": 999999999}' if name == "1" else "{")
    command = [str(lab / "bin/python"), "-c", "print(flush=True); import sys; sys.stdin.read()"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env={"PATH": os.defpath}) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdout.readline()
        about = {"pid": server.pid, "url": "http://localhost:8888/"}
        (runtime / "jpserver-2.json").write_text(json.dumps(about))
        found = find()
        server.stdin.close()
    assert [(each.prefix, each.reason) for each in found][1:] == [(lab, "runs at http://localhost:8888/")]
