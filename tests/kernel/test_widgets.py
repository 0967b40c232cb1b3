"""Widgets of the sandbox, used as a page uses them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .driver import Driver

WIDGETS = "jupyter.widget"
VIEW = "application/vnd.jupyter.widget-view+json"


def model_of(answer_data: dict[str, Any]) -> str:
    """Return the comm of the widget that a MIME bundle shows."""
    return str(answer_data[VIEW]["model_id"])


def shown(kernel: Driver, code: str) -> str:
    """Run a cell that shows a widget, and return the widget's comm."""
    answer = kernel.run(code)
    bundles = answer.contents("execute_result") + answer.contents("display_data")
    assert len(bundles) == 1, [(m["msg_type"], str(m["content"])[:200]) for m in answer.messages]
    (bundle,) = bundles
    return model_of(bundle["data"])


def update(kernel: Driver, comm_id: str, buffers: list[bytes] | None = None, **state: Any) -> str:
    """Change a widget's state like a page; return the message's id."""
    paths = [[name] for name, value in state.items() if value is None]
    data = {
        "method": "update",
        "state": {name: value for name, value in state.items() if value is not None},
        "buffer_paths": paths,
    }
    return send(kernel, comm_id, data, buffers)


def send(kernel: Driver, comm_id: str, data: dict[str, Any], buffers: list[bytes] | None = None) -> str:
    session = kernel.client.session
    message = session.msg("comm_msg", {"comm_id": comm_id, "data": data})
    session.send(kernel.client.shell_channel.socket, message, buffers=buffers or [])
    return str(message["header"]["msg_id"])


def answers(kernel: Driver, msg_id: str) -> list[dict[str, Any]]:
    """Return the messages that answer a comm message."""
    return kernel.collect_output(msg_id).messages


def states(messages: list[dict[str, Any]], comm_id: str) -> list[dict[str, Any]]:
    """Return the state of each update of a widget among messages."""
    return [
        message["content"]["data"]["state"]
        for message in messages
        if message["msg_type"] == "comm_msg"
        and message["content"]["comm_id"] == comm_id
        and message["content"]["data"].get("method") == "update"
    ]


def test_a_slider_calls_its_observer_and_follows_its_value(kernel: Driver) -> None:
    slider = shown(
        kernel,
        "import ipywidgets\nslider = ipywidgets.IntSlider(3)\n"
        "slider.observe(lambda change: print('moved to', change.new), 'value')\nslider",
    )
    moved = answers(kernel, update(kernel, slider, value=8))
    assert [m["content"]["text"] for m in moved if m["msg_type"] == "stream"] == ["moved to 8\n"]
    assert kernel.run("slider.value").result == "8"
    assert states(kernel.run("slider.value = 5").messages, slider) == [{"value": 5}]


def test_a_click_calls_the_buttons_callback(kernel: Driver) -> None:
    button = shown(kernel, "b = ipywidgets.Button()\nb.on_click(lambda _: print('clicked'))\nb")
    clicked = answers(kernel, send(kernel, button, {"method": "custom", "content": {"event": "click"}}))
    assert [m["content"]["text"] for m in clicked if m["msg_type"] == "stream"] == ["clicked\n"]


def test_an_error_in_a_callback_is_shown_and_the_widget_lives(kernel: Driver) -> None:
    button = shown(kernel, "b = ipywidgets.Button()\nb.on_click(lambda _: 1 / 0)\nb")
    for _ in range(2):
        messages = answers(kernel, send(kernel, button, {"method": "custom", "content": {"event": "click"}}))
        shown_error = str([m["content"] for m in messages if m["msg_type"] in ("error", "stream")])
        assert "ZeroDivisionError" in shown_error


def test_interact_captures_the_printed_text_of_its_function(kernel: Driver) -> None:
    answer = kernel.run("box = ipywidgets.interactive(lambda n: print(n * 2), n=(0, 10))\nbox")
    assert answer.reply["status"] == "ok"
    ids = kernel.run("[w.comm.comm_id for w in box.children]").result
    slider, output = ids.strip("[]").replace("'", "").split(", ")
    msg_id = update(kernel, slider, value=7)
    messages = answers(kernel, msg_id)
    printed = [i for i, m in enumerate(messages) if m["msg_type"] == "stream"]
    # The page captures the messages with this parent id between these two comm messages.
    start, *_, end = [
        i
        for i, m in enumerate(messages)
        if m["msg_type"] == "comm_msg" and "msg_id" in m["content"]["data"].get("state", {})
    ]
    assert [messages[i]["content"]["text"] for i in printed] == ["14\n"]
    assert start < printed[0] < end
    assert states(messages, output)[0] == {"msg_id": msg_id}
    assert messages[end]["content"]["data"]["state"] == {"msg_id": ""}


def test_an_output_widget_captures_text_and_displays(kernel: Driver) -> None:
    kernel.run("out = ipywidgets.Output()")
    output = shown(kernel, "out")
    messages = kernel.run("with out:\n    print('text'); display({'text/plain': 'shown'}, raw=True)").messages
    kinds = [m["msg_type"] for m in messages]
    assert kinds.index("comm_msg") < kinds.index("stream") < kinds.index("display_data")
    assert states(messages, output)[-1] == {"msg_id": ""}
    appended = kernel.run("out.append_stdout('more')").messages
    assert states(appended, output)[-1]["outputs"][-1]["text"] == "more"


def test_a_progress_bar_moves_while_its_cell_runs(kernel: Driver) -> None:
    bar = shown(kernel, "bar = ipywidgets.IntProgress(max=3)\nbar")
    msg_id = kernel.send(
        "import time, os\nfor bar.value in range(1, 3): pass\n"
        "while not os.path.exists('seen'): time.sleep(0.01)\nbar.value = 3"
    )
    seen = [kernel.next_output("comm_msg") for _ in range(2)]
    assert [m["content"]["data"]["state"] for m in seen] == [{"value": 1}, {"value": 2}]
    subshell_id = kernel.request("create_subshell_request", {}, "control")["subshell_id"]
    content = {"code": "open('seen', 'w').close()", "silent": True}
    kernel.request("execute_request", content, "shell", subshell_id)
    assert states(kernel.collect(msg_id).messages, bar) == [{"value": 3}]


def test_tqdm_shows_its_widget(kernel: Driver) -> None:
    answer = kernel.run("from tqdm.auto import tqdm\nfor _ in tqdm(range(20), desc='work'): pass")
    (bundle,) = answer.contents("display_data")
    assert "work" in bundle["data"]["text/plain"]
    opened = {
        c["comm_id"]: c["data"]["state"]["_model_name"]
        for c in answer.contents("comm_open")
        if "state" in c["data"]
    }
    assert opened[model_of(bundle["data"])] == "HBoxModel"
    (bar,) = (comm_id for comm_id, name in opened.items() if name == "FloatProgressModel")
    assert states(answer.messages, bar)[-1].get("bar_style") == "success"


def test_anywidget_sends_and_receives_buffers(kernel: Driver) -> None:
    comm_id = shown(
        kernel,
        "import anywidget, traitlets\n"
        "class Blob(anywidget.AnyWidget):\n"
        "    _esm = 'export default { render() {} }'\n"
        "    data = traitlets.Any(b'').tag(sync=True)\n"
        "blob = Blob(data=b'\\x00\\x01')\nblob",
    )
    # A value of bytes is sent as a buffer, and its path names it in the state.
    answers(kernel, update(kernel, comm_id, [b"\xff\x00\xfe"], data=None))
    assert kernel.run("bytes(blob.data)").result == repr(b"\xff\x00\xfe")
    answer = kernel.run("blob.data = b'\\x07' * 100_000")
    (sent,) = [m for m in answer.messages if m["msg_type"] == "comm_msg"]
    assert sent["content"]["data"]["buffer_paths"] == [["data"]]
    assert [bytes(buffer) for buffer in sent["buffers"]] == [b"\x07" * 100_000]
    kernel.run("got = []\nblob.on_msg(lambda _, content, buffers: got.append((content, bytes(buffers[0]))))")
    answers(kernel, send(kernel, comm_id, {"method": "custom", "content": {"n": 1}}, [b"\x01\x02"]))
    assert kernel.run("got").result == repr([({"n": 1}, b"\x01\x02")])


def test_an_ipympl_figure_is_drawn_and_handles_events(kernel: Driver) -> None:
    answer = kernel.run(
        "%matplotlib widget\nimport matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nax.plot([1, 2])\n"
        "pressed = []\nfig.canvas.mpl_connect('button_press_event', lambda e: pressed.append((e.x, e.y)))\n"
        "plt.show()"
    )
    assert answer.reply["status"] == "ok", answer.reply
    comm_id = kernel.run("fig.canvas.comm.comm_id").result.strip("'")

    def event(**content: Any) -> list[dict[str, Any]]:
        return answers(kernel, send(kernel, comm_id, {"method": "custom", "content": content}))

    event(type="send_image_mode")
    drawn = [*event(type="refresh"), *event(type="draw")]
    assert any(state.get("_data_url", "").startswith("iVBOR") for state in states(drawn, comm_id))
    pixels = [bytes(m["buffers"][0]) for m in drawn if m["buffers"]]
    assert pixels
    assert len(set(pixels[-1])) > 1
    event(
        type="button_press",
        x=100,
        y=100,
        button=0,
        buttons=1,
        step=0,
        modifiers=[],
        guiEvent={"timeStamp": 0},
    )
    assert kernel.run("len(pressed)").result == "1"
    kernel.run("plt.close('all')")


def test_comm_info_lists_the_comms_of_the_sandbox_and_of_the_kernel(kernel: Driver) -> None:
    slider = shown(kernel, "ipywidgets.IntSlider()")
    other = kernel.run("from comm import create_comm\nc = create_comm('other')\nc.comm_id").result.strip("'")
    log = shown(kernel, "%session create joined\njob = %session run joined --async sleep 600")

    def listed(**content: Any) -> dict[str, Any]:
        return dict(kernel.request("comm_info_request", content)["comms"])

    everything, widgets = (
        listed(),
        listed(target_name=WIDGETS + ".widget"),
    )
    assert {slider, other, log} <= set(everything)
    assert everything[other] == {"target_name": "other"}
    targets = {each["target_name"] for each in (everything[slider], everything[log])}
    assert targets == {WIDGETS}
    assert widgets == {}
    assert {slider, log} <= set(listed(target_name=WIDGETS))
    assert other not in listed(target_name=WIDGETS)
    kernel.run("%session delete joined")


def test_messages_for_an_unknown_comm_are_answered_like_ipykernel(kernel: Driver) -> None:
    messages = answers(kernel, send(kernel, "no-such-comm", {}))
    assert [m["msg_type"] for m in messages] == ["status", "stream", "status"]
    opening = kernel.send_message(
        "comm_open", {"comm_id": "c-1", "target_name": "no-such-target", "data": {}}
    )
    kinds = [m["msg_type"] for m in answers(kernel, opening)]
    assert "comm_close" in kinds


@pytest.mark.parametrize("cell_runs", [False, True])
def test_all_widgets_are_listed_at_once_after_a_reload(kernel: Driver, cell_runs: bool) -> None:
    slider = shown(kernel, "import ipywidgets\nslider = ipywidgets.IntSlider(7)\nslider")
    log = shown(kernel, "%session create listed\njob = %session run listed --async sleep 600")
    blocked = kernel.send("while True: pass") if cell_runs else None
    if cell_runs:
        kernel.next_output("execute_input")
    subshell_id = kernel.request("create_subshell_request", {}, "control")["subshell_id"]
    target = {"comm_id": "control", "target_name": "jupyter.widget.control", "data": {}}
    opening = kernel.client.session.msg("comm_open", target, metadata={"version": "1.0.0"})
    opening["header"]["subshell_id"] = subshell_id
    kernel.client.shell_channel.send(opening)
    answers(kernel, opening["header"]["msg_id"])
    question = {"comm_id": "control", "data": {"method": "request_states"}}
    messages = answers(kernel, kernel.send_message("comm_msg", question, subshell_id))
    (listed,) = [m["content"]["data"]["states"] for m in messages if m["msg_type"] == "comm_msg"]
    assert listed[slider]["state"]["value"] == 7
    assert log in listed
    kernel.send_message("comm_close", {"comm_id": "control", "data": {}}, subshell_id)
    if blocked is not None:
        kernel.manager.interrupt_kernel()
        assert kernel.collect(blocked).error["ename"] == "KeyboardInterrupt"
    kernel.request("delete_subshell_request", {"subshell_id": subshell_id}, "control")
    kernel.run("%session delete listed")


def test_the_kernels_comms_outlive_an_interpreter(kernel: Driver) -> None:
    slider = shown(kernel, "import ipywidgets\nipywidgets.IntSlider()")
    log = shown(kernel, "%session create stays\njob = %session run stays --async sleep 600")
    kernel.run("import os; os.kill(os.getpid(), 9)")
    kernel.run("1")
    listed = kernel.request("comm_info_request", {})["comms"]
    assert log in listed
    assert slider not in listed
