"""The paths of Daytona's API that client and server both know.

Control-plane paths are relative to the API URL, toolbox paths to `{toolbox_proxy_url}/{sandbox_id}`.
Fields in braces are filled with `str.format` by a client, and become captures in a server.
"""

# Control plane
CONFIG = "/config"
SANDBOXES = "/sandbox"
SANDBOX = "/sandbox/{sandbox_id}"
SANDBOX_START = "/sandbox/{sandbox_id}/start"
SANDBOX_STOP = "/sandbox/{sandbox_id}/stop"
SANDBOX_LABELS = "/sandbox/{sandbox_id}/labels"
SANDBOX_PUBLIC = "/sandbox/{sandbox_id}/public/{public}"
SANDBOX_AUTO_STOP = "/sandbox/{sandbox_id}/autostop/{minutes}"
SANDBOX_AUTO_ARCHIVE = "/sandbox/{sandbox_id}/autoarchive/{minutes}"
SANDBOX_AUTO_DELETE = "/sandbox/{sandbox_id}/autodelete/{minutes}"
SANDBOX_LAST_ACTIVITY = "/sandbox/{sandbox_id}/last-activity"
SANDBOX_TOOLBOX_URL = "/sandbox/{sandbox_id}/toolbox-proxy-url"
SANDBOX_PREVIEW_URL = "/sandbox/{sandbox_id}/ports/{port}/preview-url"

# The embedded server's own: a request to it stays open, and the server lives while one is open.
LEASE = "/lease"

# Toolbox
EXECUTE = "/process/execute"
CODE_RUN = "/process/code-run"
SESSIONS = "/process/session"
SESSION = "/process/session/{session_id}"
SESSION_EXECUTE = "/process/session/{session_id}/exec"
COMMAND = "/process/session/{session_id}/command/{command_id}"
COMMAND_INPUT = "/process/session/{session_id}/command/{command_id}/input"
COMMAND_LOGS = "/process/session/{session_id}/command/{command_id}/logs"
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
FILES_BULK_UPLOAD = "/files/bulk-upload"
WORK_DIR = "/work-dir"
HOME_DIR = "/user-home-dir"
VERSION = "/version"
