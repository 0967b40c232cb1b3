"""The routes of Daytona's API, for client and server.

Routes of the control plane are relative to the API's URL, those of the toolbox to
`{toolbox_proxy_url}/{sandbox_id}`. A client fills the fields in braces with `str.format`; a server
turns them into captures.
"""

# Control plane
CONFIG = "/config"
SANDBOXES = "/sandbox"
SANDBOX = "/sandbox/{sandbox_id}"
SANDBOX_SECRETS = "/sandbox/{sandbox_id}/secrets"
SECRETS = "/secret/paginated"
SANDBOX_START = "/sandbox/{sandbox_id}/start"
SANDBOX_STOP = "/sandbox/{sandbox_id}/stop"
SANDBOX_PAUSE = "/sandbox/{sandbox_id}/pause"
SANDBOX_LABELS = "/sandbox/{sandbox_id}/labels"
SANDBOX_PUBLIC = "/sandbox/{sandbox_id}/public/{public}"
SANDBOX_AUTO_STOP = "/sandbox/{sandbox_id}/autostop/{minutes}"
SANDBOX_AUTO_PAUSE = "/sandbox/{sandbox_id}/autopause/{minutes}"
SANDBOX_AUTO_ARCHIVE = "/sandbox/{sandbox_id}/autoarchive/{minutes}"
SANDBOX_AUTO_DELETE = "/sandbox/{sandbox_id}/autodelete/{minutes}"
SANDBOX_LAST_ACTIVITY = "/sandbox/{sandbox_id}/last-activity"
SANDBOX_TOOLBOX_URL = "/sandbox/{sandbox_id}/toolbox-proxy-url"
SANDBOX_PREVIEW_URL = "/sandbox/{sandbox_id}/ports/{port}/preview-url"

# Only the embedded server has this route. It never completes the response to GET, and runs while at
# least one such request is open.
LEASE = "/lease"
LEASE_HEADER = (
    "X-Daytona-Kernel-Server"  # of the response: JSON with `isolation`, `note`, `warning` and `bounds`
)

# Toolbox
EXECUTE = "/process/execute"
CODE_RUN = "/process/code-run"
SESSIONS = "/process/session"
ENTRYPOINT = "/process/session/entrypoint"
ENTRYPOINT_LOGS = "/process/session/entrypoint/logs"
SESSION = "/process/session/{session_id}"
SESSION_EXECUTE = "/process/session/{session_id}/exec"
COMMAND = "/process/session/{session_id}/command/{command_id}"
COMMAND_INPUT = "/process/session/{session_id}/command/{command_id}/input"
COMMAND_LOGS = "/process/session/{session_id}/command/{command_id}/logs"
PTYS = "/process/pty"
PTY_CREATE_AND_CONNECT = "/process/pty/create-connect"
PTY = "/process/pty/{pty_id}"
PTY_CONNECT = "/process/pty/{pty_id}/connect"
PTY_RESIZE = "/process/pty/{pty_id}/resize"
INTERPRETER_CONTEXTS = "/process/interpreter/context"
INTERPRETER_CONTEXT = "/process/interpreter/context/{context_id}"
INTERPRETER_EXECUTE = "/process/interpreter/execute"
PORTS = "/port"
PORT_IN_USE = "/port/{port}/in-use"
PORT_PROXY = "/proxy/{port}"
FILES = "/files"
FILES_INFO = "/files/info"
FILES_FOLDER = "/files/folder"
FILES_MOVE = "/files/move"
FILES_UPLOAD = "/files/upload"
FILES_UPLOAD_STREAM = "/files/upload-v2"
FILES_BULK_UPLOAD = "/files/bulk-upload"
FILES_DOWNLOAD = "/files/download"
FILES_BULK_DOWNLOAD = "/files/bulk-download"
FILES_FIND = "/files/find"
FILES_SEARCH = "/files/search"
FILES_REPLACE = "/files/replace"
FILES_PERMISSIONS = "/files/permissions"
WORK_DIR = "/work-dir"
HOME_DIR = "/user-home-dir"
VERSION = "/version"
METRICS = "/system/metrics"
