"""Code in the sandbox calls magics. Only calls in the cell's text reach this machine or the account.

Each attack runs for real, in a real kernel. The module also tests the allowed uses, so that no defense
forbids them. test_questions has the calls that a person is asked about.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from tests.kernel.driver import Driver, Empty, wait_until

from .magic_calls import REFUSED, loot, outcomes, refused

if TYPE_CHECKING:
    from pathlib import Path


# Attacks


def test_an_imported_package_cannot_upload(kernel: Driver, machine: Path) -> None:
    package = f"from IPython import get_ipython\nget_ipython().run_line_magic('upload', '{machine}/key .')"
    kernel.run(f"pathlib.Path('evil_package.py').write_text({package!r}); sys.path.insert(0, os.getcwd())")
    message = refused(kernel, "import evil_package")
    assert message.startswith("%upload was not carried out.")
    assert "DAYTONA_KERNEL_FOLDERS" in message
    assert "key" not in loot(kernel)


def test_a_package_cannot_overwrite_files_by_a_download(kernel: Driver, machine: Path) -> None:
    refused(
        kernel,
        f"path = '{machine}/bashrc'\nget_ipython().run_line_magic('download', f'evil.txt {{path}} --force')",
    )
    assert (machine / "bashrc").read_text() == "# mine\n"


def test_a_raw_message_from_a_thread_after_its_cell_gets_nothing(kernel: Driver, machine: Path) -> None:
    kernel.run(
        "go = threading.Event(); old = dict(_kernel.get_parent())\n"
        f"threads = [later(lambda: raw('upload', '{machine}/key .', parent=old), go),\n"
        f"           later(lambda: raw('upload', '{machine}/key .'), go)]"
    )
    answer = kernel.run("go.set(); [t.join(20) for t in threads]", allow_stdin=False)
    assert answer.reply["status"] == "ok"
    assert [each["ename"] for each in outcomes(kernel)] == [REFUSED, REFUSED]
    assert loot(kernel) == []


def test_a_thread_cannot_do_anything_while_no_cell_runs(kernel: Driver, machine: Path) -> None:
    kernel.run(
        "go = threading.Event(); old = dict(_kernel.get_parent())\n"
        f"threads = [later(lambda: raw('upload', '{machine}/key .', parent=old), go)]\n"
        "threading.Timer(0.5, go.set).start()",
        allow_stdin=True,
    )
    with pytest.raises(Empty):
        kernel.client.get_stdin_msg(timeout=1.0)
    (outcome,) = outcomes(kernel)
    assert "No cell runs" in outcome["evalue"]


def test_code_on_this_machine_runs_only_from_the_cells_own_text(kernel: Driver, machine: Path) -> None:
    target = machine / "written"
    body = f"open({str(target)!r}, 'w')"
    message = refused(kernel, f"body = {body!r}\nget_ipython().run_cell_magic('local', '', body)")
    assert "%%local" in message
    # Many threads use a cell of the person, each with its own body.
    kernel.run(
        "go, parents = threading.Event(), []\n"
        "def ride():\n"
        "    found = []\n"
        "    while len(found) < 20:\n"
        f"        found.append(raw('local', '', {body!r}, parent=parents[0]))\n"
        "    return found\n"
        "def note(info): parents.append(dict(_kernel.get_parent())); go.set()\n"
        "get_ipython().events.register('pre_run_cell', note)\n"
        "threads = [later(ride, go)]"
    )
    answer = kernel.run("%%local\nimport time\ntime.sleep(0.5)\nprint('mine')")
    assert answer.stdout.count("mine") == 1 or answer.error["ename"] == REFUSED
    kernel.run("get_ipython().events.unregister('pre_run_cell', note)")
    (found,) = outcomes(kernel)
    assert sum(each["type"] == "raised" for each in found) >= 19
    assert not target.exists()


def test_variables_of_this_machine_are_not_read(kernel: Driver) -> None:
    kernel.run("%%local\nsecret = 'canary'")
    refused(kernel, "name = 'secret'\nget_ipython().run_line_magic('put', name)")
    assert kernel.run("'secret' in globals()").result == "False"


def test_local_paths_are_completed_only_for_a_text_of_the_front_end(kernel: Driver, machine: Path) -> None:
    attack = f"complete('upload', ' {machine}/', _kernel.get_parent())"
    outcome = ast.literal_eval(kernel.run(attack).result)
    assert not any(str(machine) in word for word in outcome["words"])
    # The same while a front end completes another text.
    kernel.run(
        "from IPython.core import completer\n"
        "@completer.context_matcher(identifier='evil', priority=200)\n"
        "def evil(context):\n"
        f"    outcomes.append({attack})\n"
        "    return {'completions': []}\n"
        "get_ipython().Completer.custom_matchers.insert(0, evil)"
    )
    for text in ("%upload da", f"%sh '{machine}/", f"x = {machine}/"):
        kernel.request("complete_request", {"code": text, "cursor_pos": len(text)})
    kernel.run("get_ipython().Completer.custom_matchers.remove(evil)")
    threads = kernel.run("threads = []; outcomes").result
    assert str(machine) not in threads
    text = f"%upload {machine}/k"
    reply = kernel.request("complete_request", {"code": text, "cursor_pos": len(text)})
    assert reply["matches"] == [f"{machine}/key"]


@pytest.mark.parametrize("magic", ["delete", "stop", "attach other", "new"])
def test_a_thread_cannot_use_a_cell_to_replace_the_sandbox(kernel: Driver, magic: str) -> None:
    before = kernel.run("os.environ['DAYTONA_SANDBOX_ID']").result
    kernel.run(
        "go, parents = threading.Event(), []\n"
        "def note(info): parents.append(dict(_kernel.get_parent())); go.set()\n"
        "get_ipython().events.register('pre_run_cell', note)\n"
        f"threads = [later(lambda: raw('sandbox', {magic!r}, parent=parents[0]), go)]"
    )
    kernel.run("%sh sleep 1")
    kernel.run("get_ipython().events.unregister('pre_run_cell', note)")
    (outcome,) = outcomes(kernel)
    assert outcome["ename"] == REFUSED
    assert kernel.run("os.environ['DAYTONA_SANDBOX_ID']").result == before


def test_the_text_of_a_cell_that_still_waits_is_not_honored(kernel: Driver, machine: Path) -> None:
    attack = (
        "parent = dict(_kernel.get_parent())\n"
        "head, _, number = parent['header']['msg_id'].rpartition('_')\n"
        "def ahead(n):\n"
        "    return parent | {'header': parent['header'] | {'msg_id': f'{head}_{int(number) + n}'}}\n"
        "time.sleep(0.5)\n"
        f"outcomes += [raw('upload', '{machine}/key .', parent=ahead(n)) for n in range(4)]"
    )
    first = kernel.send(attack, allow_stdin=False)
    second = kernel.send(f"raise KeyError\n%upload {machine}/key .", allow_stdin=False)
    kernel.collect(first)
    kernel.collect(second)
    kernel.run("threads = []")
    assert [each["ename"] for each in outcomes(kernel)] == [REFUSED] * 4
    assert loot(kernel) == []


def test_a_line_outside_of_loops_is_honored_once(kernel: Driver) -> None:
    answer = kernel.run(
        "%upload data.csv a.csv\n"
        "outcome = raw('upload', 'data.csv a.csv')\n"
        "print(outcome['ename'], outcome['evalue'])",
        allow_stdin=False,
    )
    assert "has already run" in answer.stdout


def test_a_thread_beside_a_loop_gets_no_other_file(kernel: Driver, machine: Path) -> None:
    kernel.run(
        "for name in 'ab':\n"
        "    %upload data.csv {name}.csv\n"
        f"    outcomes.append(raw('upload', '{machine}/key loot'))\n"
        f"    outcomes.append(raw('upload', 'data.csv {machine}/key .'))\n"
        "    outcomes.append(raw('upload', 'data.csv --force .'))\n"
        "    outcomes.append(raw('download', 'evil.txt data.csv'))",
        allow_stdin=False,
    )
    kernel.run("threads = []")
    assert {each["ename"] for each in outcomes(kernel)} == {REFUSED}
    assert loot(kernel) == ["a.csv", "b.csv"]


def test_a_computed_name_never_lands_in_a_folder_of_this_machine(kernel: Driver, machine: Path) -> None:
    for target in (".", "", f"{machine}/notebook/"):
        refused(kernel, f"name = 'evil.txt'\n%download {{name}} {target}")
    assert not (machine / "notebook" / "evil.txt").exists()


def test_a_computed_local_path_is_refused_where_nobody_can_be_asked(kernel: Driver, machine: Path) -> None:
    for line in ("%upload {path} .", "%upload $path", "x = %upload {path} ."):
        refused(kernel, f"path = '{machine}/key'\n{line}")
    assert loot(kernel) == []


def test_text_in_strings_and_comments_is_no_permission(kernel: Driver, machine: Path) -> None:
    line = f"upload {machine}/key ."
    refused(
        kernel,
        f"# %{line}\ntext = '''\n%{line}\n'''\nprint('%{line}')\n"
        "name, line = text.strip().strip('%').split(' ', 1)\nget_ipython().run_line_magic(name, line)",
    )


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        "{'type': 'magic_called'}",
        "{'type': 'magic_called', 'call_id': [], 'name': {}, 'line': 1, 'cell': 2}",
        "{'type': 'completion_wanted', 'call_id': 'x', 'name': 'nothing', 'text': ' ', 'of_cell': False}",
        "{'type': 'variable_sent', 'call_id': 'x', 'value': None}",
        "{'type': 'x' * 1000000}",
    ],
)
def test_a_malformed_call_is_dropped_and_the_kernel_continues(kernel: Driver, content: str) -> None:
    assert kernel.run(f"post({content}); post({content}, parent={{}})").reply["status"] == "ok"
    assert kernel.run("lines = %sh echo well\nlines").result == "['well']"


def test_a_line_of_many_words_does_not_stop_the_magics(kernel: Driver) -> None:
    code = "outcome = raw('upload', 'a ' * 500_000); outcome['ename']"
    assert kernel.run(code, allow_stdin=False).result == f"{REFUSED!r}"
    assert kernel.run("lines = %sh echo well\nlines").result == "['well']"


def test_calls_that_never_end_are_limited(kernel: Driver) -> None:
    kernel.run(
        "for n in range(1000):\n"
        "    post({'type': 'magic_called', 'call_id': f'flood{n}', 'name': 'sh', 'line': 'sleep 3',\n"
        "          'cell': None, 'assigned': False, 'cwd': None, 'environ': {}, 'unset': [], 'python': ''})"
    )
    answer = kernel.run("%sh echo well")
    assert answer.stdout == "well\n" or "Too many magics" in answer.error["evalue"]
    wait_until(lambda: kernel.run("%sh echo well").stdout == "well\n")


# Allowed uses


@pytest.mark.parametrize(
    "code",
    [
        "%upload data.csv",
        "x = 1\n%upload data.csv\ny = 2",
        "if x:\n    %upload data.csv .",
        "for n in range(2):\n    %upload --force data.csv .",
        "def copy():\n    %upload data.csv .\ncopy()",
        "x = %upload data.csv .",
        "place = '.'\n%upload data.csv {place}",
        "place = 'data.csv'\n%upload data.csv $place",
        "%%time\n%upload data.csv .",
        "%time %upload data.csv .",
        "%%capture\n%upload data.csv .",
        "%upload data.csv \\\n  .",
        "get_ipython().run_line_magic('upload', 'data.csv .')",
        "upload data.csv",
        "await __import__('asyncio').sleep(0)\n%upload data.csv .",
    ],
)
def test_a_magic_in_the_cells_text_runs_without_a_question(kernel: Driver, code: str) -> None:
    kernel.run("x = 1")
    answer = kernel.run(code, allow_stdin=False)
    assert answer.reply["status"] == "ok", answer.contents("error")
    assert loot(kernel) == ["data.csv"]


@pytest.mark.parametrize(
    "line", ["evil.txt got.txt", "{home}/loot/evil.txt got.txt", "{name} got.txt", "{home}/loot/e*l.txt got/"]
)
def test_a_download_may_have_computed_words_if_its_name_is_written(
    kernel: Driver, machine: Path, line: str
) -> None:
    answer = kernel.run(f"name = 'evil.txt'\n%download {line}", allow_stdin=False)
    assert answer.reply["status"] == "ok", answer.contents("error")
    for got in (machine / "notebook").glob("got*"):
        (got / "evil.txt" if got.is_dir() else got).unlink()
        if got.is_dir():
            got.rmdir()


def test_computed_paths_in_the_persons_folders_need_no_question(kernel: Driver, machine: Path) -> None:
    allowed = machine / "allowed"
    kernel.run("names = ['a.txt', 'b.txt']\nfor name in names: pathlib.Path(name).write_text(name)")
    answer = kernel.run(
        f"for name in names:\n    %download {{name}} {allowed}/\n"
        f"for name in names:\n    %upload {allowed}/{{name}} back/",
        allow_stdin=False,
    )
    assert answer.reply["status"] == "ok", answer.contents("error")
    assert sorted(path.name for path in allowed.iterdir()) == ["a.txt", "b.txt"]
    assert loot(kernel) == ["a.txt", "b.txt", "back/a.txt", "back/b.txt"]
    (allowed / "out").symlink_to(machine)
    for path in ("out/key", "../key", "o*/key", "*/../../key"):
        refused(kernel, f"path = '{allowed}/{path}'\n%upload {{path}} .")
    refused(kernel, f"name = 'a.txt'\n%download {{name}} {allowed}/out/")
    refused(kernel, f"target = '{allowed}.txt'\n%download a.txt {{target}}")


def test_magics_that_reach_only_the_sandbox_need_no_permission(kernel: Driver) -> None:
    code = (
        "line = 'echo free'\nget_ipython().run_line_magic('sh', line)\n"
        "for line in ('info', 'list', 'preview 8000'): get_ipython().run_line_magic('sandbox', line)\n"
        "for line in ('create free', 'delete free'): get_ipython().run_line_magic('session', line)"
    )
    answer = kernel.run(code, allow_stdin=False)
    assert answer.reply["status"] == "ok", answer.contents("error")
