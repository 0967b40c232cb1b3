"""Code in the sandbox wants a person's secrets: it asks for one, or takes one of the notebook's machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kernel.driver import DEADLINE, Driver, Empty

from .magic_calls import REFUSED, outcomes, refused

if TYPE_CHECKING:
    from collections.abc import Iterator

TYPED = "heron-of-the-person"
SPELLED = f"bytes({list(TYPED.encode())}).decode()"


@pytest.fixture(autouse=True)
def _no_secrets_left(kernel: Driver) -> Iterator[None]:
    yield
    kernel.run("%secret --forget TOKEN")


def nobody_is_asked(kernel: Driver) -> None:
    with pytest.raises(Empty):
        kernel.client.get_stdin_msg(timeout=0.5)


def type_it(kernel: Driver) -> None:
    assert kernel.client.get_stdin_msg(timeout=DEADLINE)["content"]["password"] is True
    kernel.client.input(TYPED)


@pytest.mark.parametrize("line", ["TOKEN", "HOME --from-env", "TOKEN --forget", ""])
def test_only_the_cells_own_text_asks_for_a_secret(kernel: Driver, line: str) -> None:
    """Nobody is asked whether the question is wanted, either: that answer could be the secret itself."""
    for code in (
        f"line = {line!r}\nget_ipython().run_line_magic('secret', line)",
        f"line = {line!r}\n%secret $line",
        f"line = {line!r}\n%secret {{line}}",
    ):
        answer = kernel.run(code, allow_stdin=True)
        if "%secret" in code and line == "":
            continue  # the magic is in the text, and has no other word
        assert answer.error["ename"] == REFUSED, code
        assert "in the cell itself, in plain words" in answer.error["evalue"]
    nobody_is_asked(kernel)


def test_a_package_cannot_ask(kernel: Driver) -> None:
    package = "from IPython import get_ipython\nget_ipython().run_line_magic('secret', 'TOKEN')"
    kernel.run(f"pathlib.Path('asking.py').write_text({package!r}); sys.path.insert(0, os.getcwd())")
    assert refused(kernel, "import asking").startswith("%secret was not carried out.")
    nobody_is_asked(kernel)


def test_a_thread_beside_a_cell_that_asks_gets_no_second_question_and_no_other_name(kernel: Driver) -> None:
    kernel.run(
        "go, parents = threading.Event(), []\n"
        "def note(info): parents.append(dict(_kernel.get_parent())); go.set()\n"
        "get_ipython().events.register('pre_run_cell', note)\n"
        "def ride():\n"
        "    lines = ['OTHER', 'HOME --from-env', 'TOKEN', 'TOKEN --forget', 'TOKEN --from-env']\n"
        "    time.sleep(0.5)\n"
        "    return [raw('secret', line, parent=parents[0]) for line in lines]\n"
        "threads = [later(ride, go)]"
    )
    msg_id = kernel.send("%secret TOKEN\n[t.join(20) for t in threads]", allow_stdin=True)
    type_it(kernel)
    assert kernel.collect(msg_id).reply["status"] == "ok"
    nobody_is_asked(kernel)
    kernel.run("get_ipython().events.unregister('pre_run_cell', note)")
    (found,) = outcomes(kernel)
    assert [each["ename"] for each in found] == [REFUSED] * 5


def test_no_message_of_the_sandbox_carries_it_back(kernel: Driver) -> None:
    """What the interpreter sends is in the agent's journal, which may be a file."""
    kernel.run(
        "sent, send = [], _kernel.session.send\n"
        "def record(stream, message, content=None, *a, **k):\n"
        "    sent.append(repr((message, content))); return send(stream, message, content, *a, **k)\n"
        "_kernel.session.send = record"
    )
    msg_id = kernel.send("%secret TOKEN", allow_stdin=True)
    type_it(kernel)
    kernel.collect(msg_id)
    kernel.run("%sh true\n%sh --live true\n%session list\nos.environ['OTHER'] = 'x'\n%sh echo $TOKEN")
    counted = kernel.run(f"len(sent), sum({SPELLED} in each for each in sent)").result
    kernel.run("_kernel.session.send = send; del os.environ['OTHER']")
    messages, with_value = map(int, counted.strip("()").split(","))
    assert messages > 10
    # The output of `echo` alone, which is printed in the sandbox.
    assert with_value == 1
