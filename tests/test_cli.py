"""The `daytona-kernel` commands, run the way users run them."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from daytona_kernel import CreateSandboxParams, Daytona, doctor
from daytona_kernel.cli import main
from tests.served import COMMAND, config, serving

if TYPE_CHECKING:
    from nbformat import NotebookNode

ROOT = Path(__file__).parent.parent


def run(
    *arguments: str, env: dict[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments, capture_output=True, text=True, timeout=150, check=False, env=env, cwd=cwd
    )


def test_installing_the_package_registers_the_kernelspec() -> None:
    listed = run(sys.executable, "-m", "jupyter", "kernelspec", "list", "--json")
    spec = json.loads(listed.stdout)["kernelspecs"]["daytona"]
    assert spec["spec"]["display_name"] == "Daytona (Python)"
    assert spec["spec"]["interrupt_mode"] == "message"
    files = {path.name for path in Path(spec["resource_dir"]).iterdir()}
    assert {"kernel.json", "logo-32x32.png", "logo-64x64.png", "logo-svg.svg"} <= files


@pytest.mark.slow
def test_doctor_succeeds_on_a_working_machine() -> None:
    done = run(COMMAND, "doctor")
    assert "fill this machine's" in done.stdout or "Nothing bounds" in done.stdout
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Jupyter knows the kernel as 'Daytona (Python)'" in done.stdout
    assert "Cells run on this machine" in done.stdout
    assert "ran Python 3." in done.stdout


@pytest.mark.parametrize(
    ("python", "mark"),
    [
        ("python", doctor.OK),
        ("python3", doctor.OK),
        ("python{}.{}".format(*sys.version_info), doctor.OK),
        ("python2.1", doctor.WRONG),
    ],
)
def test_doctor_accepts_the_names_that_jupyter_replaces_by_its_own_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, python: str, mark: str
) -> None:
    folder = tmp_path / "kernels" / "mine"
    folder.mkdir(parents=True)
    spec = {"argv": [python, "-P", "-m", "daytona_kernel", "-f", "{connection_file}"], "display_name": "Mine"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))  # Debian has no `python`
    # The other checks start a sandbox.
    assert [found.mark for found in doctor._kernelspecs() if str(folder) in found.sentence] == [mark]


@pytest.mark.slow
def test_doctor_names_the_fault_and_hides_the_key(tmp_path: Path) -> None:
    key = "dtn_0123456789abcdef"
    unreachable = {"DAYTONA_API_KEY": key, "DAYTONA_API_URL": "http://127.0.0.1:9"}
    done = run(COMMAND, "doctor", env={**os.environ, **unreachable})
    assert done.returncode == 1
    assert "WRONG  No server answers at http://127.0.0.1:9" in done.stdout
    assert "…cdef (DAYTONA_API_KEY)" in done.stdout
    assert key not in done.stdout + done.stderr


@pytest.mark.slow
def test_sandboxes_lists_and_deletes_the_sandboxes_of_kernels(tmp_path: Path) -> None:
    assert "nothing to list" in run(COMMAND, "sandboxes").stdout
    with serving(tmp_path) as variables, Daytona(config(variables)) as daytona:
        environment = {**os.environ, **variables}
        assert "No sandboxes of kernels found" in run(COMMAND, "sandboxes", env=environment).stdout
        labels = {"daytona-kernel": "python", "daytona-kernel/notebook": "sums.ipynb"}
        made = daytona.create(CreateSandboxParams(name="left-behind", labels=labels))
        other = daytona.create(CreateSandboxParams(name="somebodys"))
        listed = run(COMMAND, "sandboxes", env=environment).stdout
        assert made.id in listed
        assert "sums.ipynb" in listed
        assert "somebodys" not in listed
        refused = run(COMMAND, "sandboxes", "--delete", "somebodys", "none-such", env=environment)
        assert refused.returncode == 1
        assert "no kernel created it" in refused.stderr
        assert run(COMMAND, "sandboxes", "--delete", made.id, env=environment).returncode == 0
        assert [each.id for each in daytona.list()] == [other.id]


@pytest.mark.slow
def test_doctor_tries_the_sandbox_that_is_named(tmp_path: Path) -> None:
    missing = run(COMMAND, "doctor", env={**os.environ, "DAYTONA_SANDBOX_ID": "nosuch"})
    assert missing.returncode == 1
    assert "WRONG  There is no sandbox 'nosuch' (DAYTONA_SANDBOX_ID). Sandboxes of the" in missing.stdout
    with serving(tmp_path) as variables, Daytona(config(variables)) as daytona:
        environment = {**os.environ, **variables}
        missing = run(COMMAND, "doctor", env={**environment, "DAYTONA_SANDBOX_ID": "nosuch"})
        assert missing.returncode == 1
        assert "'nosuch' (DAYTONA_SANDBOX_ID). Set the variable" in missing.stdout
        sandbox = daytona.create(CreateSandboxParams(name="mine"))
        for state in ("started", "stopped"):
            done = run(COMMAND, "doctor", env={**environment, "DAYTONA_SANDBOX_ID": "mine"})
            assert done.returncode == 0, done.stdout
            assert "in sandbox mine (DAYTONA_SANDBOX_ID)" in done.stdout
            sandbox.refresh_data()
            assert sandbox.state == state
            assert ("stopped it again" in done.stdout) == (state == "stopped")
            if state == "started":
                sandbox.stop()
        assert [each.id for each in daytona.list()] == [sandbox.id]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["jump"], "daytona-kernel: unknown command jump"),
        (["--nope"], "daytona-kernel: unknown option --nope"),
        (["doctor", "--nope"], "daytona-kernel doctor: unknown option --nope"),
        (["doctor", "more"], "daytona-kernel doctor: unknown argument more"),
        (["install", "--user", "--sys-prefix"], "not allowed with argument --user"),
        (["install", "--cpu", "many"], "'many' is not a number of cores, 1 or more"),
        (["install", "--volume", "data"], "'data' is not a list of VOLUME:/PATH"),
        (["install", "--env", "NAME"], "'NAME' is not of the form NAME=VALUE"),
        (["install", "--env", "A B=c"], "'A B=c' is not of the form NAME=VALUE"),
        (["serve", "--port", "65536"], "'65536' is not a port"),
        (["serve", "--port", "-1"], "'-1' is not a port"),
        (["serve", "--port", "http"], "'http' is not a port"),
        (["serve", "--host", "0.0.0.0"], "Other machines can reach 0.0.0.0"),
    ],
)
def test_a_wrong_argument_gives_one_sentence(
    capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    try:
        status = main(arguments)
    except SystemExit as ended:
        status = int(ended.code or 0)
    assert status == 2
    errors = capsys.readouterr().err
    assert sentence in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["install", "--name", "not a name", "--prefix", "{tmp}"], "Invalid kernel name"),
        (["install", "--prefix", "/proc/self"], "Cannot install the kernelspec"),
        (["serve", "--root", "/etc/hostname"], "cannot use the state directory"),
        (["serve", "--host", "..", "--i-know-this-gives-strangers-a-shell"], "cannot serve"),
        (["demo", "{tmp}/nosuch.ipynb"], "nosuch.ipynb cannot be read: No such file"),
        (["demo", "{tmp}"], "cannot be read: Is a directory"),
        (["demo", "/etc/hostname"], "is not a notebook"),
        (["demo", "{tmp}/binary"], "is not a notebook"),
        (["demo", "{tmp}/list"], "is not a notebook"),
        (["demo", "--output", "/proc/self/x"], "The results cannot be written to /proc/self/x"),
    ],
)
def test_a_failure_gives_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    (tmp_path / "binary").write_bytes(b"\x7fELF\xd0\xff")
    (tmp_path / "list").write_text("[1, 2]")
    # In this process, since nbformat and nbclient take seconds to import.
    assert main([each.format(tmp=tmp_path) for each in arguments]) == 1
    errors = capsys.readouterr().err
    assert sentence in errors
    assert errors.strip().count("\n") == 0


def test_without_a_command_the_help_is_shown() -> None:
    done = run(COMMAND)
    assert done.returncode == 0
    assert done.stdout == run(COMMAND, "--help").stdout
    assert "uninstall" in done.stdout


@pytest.mark.slow
def test_a_reader_that_leaves_ends_the_command_quietly() -> None:
    """`doctor | head -1`: Python fails to write, and would fail again at its end."""
    with subprocess.Popen(
        [COMMAND, "doctor"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as doctor:
        assert doctor.stdout is not None
        assert doctor.stderr is not None
        assert doctor.stdout.readline().startswith("ok")
        doctor.stdout.close()
        errors = doctor.stderr.read()
        assert doctor.wait(100) == 141
    assert "Traceback" not in errors
    assert "BrokenPipe" not in errors


@pytest.mark.slow
def test_ctrl_c_ends_a_command_quietly(tmp_path: Path) -> None:
    # Without a server that answers, `doctor` does not end before its interrupt.
    with socket.create_server(("127.0.0.1", 0)) as silent:
        account = {
            "DAYTONA_API_KEY": "dtn_unused",
            "DAYTONA_API_URL": f"http://127.0.0.1:{silent.getsockname()[1]}/api",
        }
        for arguments, environment, status in (
            (["doctor"], account, 130),
            (["serve", "--root", str(tmp_path)], {}, 0),
        ):
            with subprocess.Popen(
                [COMMAND, *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=os.environ | environment,
            ) as command:
                assert command.stdout is not None
                assert command.stderr is not None
                assert command.stdout.readline()
                command.send_signal(signal.SIGINT)
                errors = command.stderr.read()
                assert command.wait(100) == status
            assert "Traceback" not in errors


def read_notebook(path: Path) -> NotebookNode:
    """Return a notebook, which must be valid."""
    import nbformat  # the import takes seconds

    notebook: NotebookNode = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


OTHER_DEMOS = [path for path in sorted((ROOT / "notebooks").glob("*.ipynb")) if path.stem != "quickstart"]


@pytest.mark.kernel
@pytest.mark.parametrize("notebook", OTHER_DEMOS, ids=lambda path: path.stem)
def test_each_demo_runs(
    notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    # In this process, since nbclient and nbconvert take seconds to import.
    assert main(["demo", str(notebook), "--output", str(tmp_path)]) == 0
    check_results(tmp_path / notebook.name, capsys.readouterr().out)


def check_results(executed: Path, stdout: str) -> NotebookNode:
    """Return the notebook that a demo has written, also as a page."""
    assert str(executed) in stdout
    assert executed.with_suffix(".html").stat().st_size > 10_000
    return read_notebook(executed)


@pytest.mark.kernel
def test_two_demos_run_at_once_in_one_folder_with_a_long_tmpdir(tmp_path: Path) -> None:
    import nbformat.v4

    cells = [nbformat.v4.new_code_cell("6 * 7")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "sum.ipynb")
    deep = tmp_path / ("d" * 120)
    deep.mkdir()

    def demo(number: int) -> subprocess.CompletedProcess[str]:
        folder = str(tmp_path / f"out{number}")
        environment = {**os.environ, "TMPDIR": str(deep)}
        return run(COMMAND, "demo", "sum.ipynb", "--output", folder, env=environment, cwd=tmp_path)

    with ThreadPoolExecutor() as threads:
        for done in threads.map(demo, range(2)):
            assert done.returncode == 0, done.stdout + done.stderr
            assert "│ 42" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == [deep.name, "out0", "out1", "sum.ipynb"]
    assert list(deep.iterdir()) == []


@pytest.mark.kernel
def test_the_quickstart_shows_its_figure_table_error_and_log(tmp_path: Path) -> None:
    done = run(COMMAND, "demo", "--output", str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    executed = check_results(tmp_path / "quickstart.ipynb", done.stdout)
    outputs = [output for cell in executed.cells if cell.cell_type == "code" for output in cell.outputs]
    bundles = [output.data for output in outputs if "data" in output]
    assert any("image/png" in data for data in bundles)
    assert any("<table" in data.get("text/html", "") for data in bundles)
    assert [output.ename for output in outputs if output.output_type == "error"] == ["ZeroDivisionError"]
    (log,) = [data for data in bundles if "step 8 of 8" in data.get("text/plain", "")]
    assert "application/vnd.jupyter.widget-view+json" not in log
    assert "step 1 of 8" in done.stdout
    numbers = re.findall(r"^\[(\d+)\] ", done.stdout, re.MULTILINE)
    assert numbers == [str(cell.execution_count) for cell in executed.cells if cell.cell_type == "code"]


def test_version_is_printed() -> None:
    assert run(COMMAND, "--version").stdout.strip()
