"""A guess whether a file of settings holds a secret, from its name and its content.

Files of /etc that every user may read do hold secrets in practice: the password of a proxy, the token of an
index, a key in a script of profile.d. A wrong guess costs a program in the sandbox one file of its settings.
"""

from __future__ import annotations

import re

# The patterns are compiled at their first use: most servers copy nothing.
_NAMES = (
    # keys, and files whose lines are passwords in forms that only these programs use
    r".*\.(?:key|p12|pfx|jks|keystore|keytab|kdbx|ovpn|env)|id_(?:rsa|dsa|ecdsa|ed25519)|ssh_host_.*"
    r"|\.env.*|[._]?netrc|\.?pgpass.*|pg_service\.conf|\.?git-credentials|\.?boto\.?.*|auth\.conf.*"
    r"|.*(?:secret|credential|htpasswd|sasl_passw|tfstate).*"
    # programs that keep keys of networks, clusters, accounts and disks
    r"|private|NetworkManager|netplan|wpa_supplicant.*|hostapd.*|wireguard|openvpn|ppp|ipsec.*|swanctl"
    r"|letsencrypt|docker|containerd|containers|kubernetes|kubelet|rancher|k3s|k0s|cni|etcd|vault.*|consul.*"
    r"|puppet.*|chef|salt|cloud|jupyter|sudoers.*|crypttab|cifs.*|fstab|exports|\.git|\.hg|\.svn"
)
_ANYWHERE = (
    rb"-----BEGIN [A-Z ]*PRIVATE KEY"
    rb"|://[^/\s@\"'<>]+@"
    rb"|\b(?:gh[pousr]_|github_pat_|glpat-|npm_|dtn_|pypi-|hf_|sk-|xox[abprs]-|AKIA|AIza)[A-Za-z0-9_-]{16}"
    rb"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\."
    rb"|\b(?:login|user|machine)\s+\S+\s+password\s+\S"
)
# A value that begins with one of `$ % < { ( / *` is a variable, a placeholder or a path.
_ASSIGNED = (
    rb"^[^#;\n]*(?:password|passphrase|passwd(?=[\w.\"'-]*\s*=)|\bpass(?=[\"']?\s*[:=])|_pass\b|_?pwd|bindpw"
    rb"|secret|token|credentials?|psk|_auth(?=[\"']?\s*=)"
    rb"|(?:api|access|account|auth|client|private|license|signing)[_-]?key)[\w.-]*[\"']?"
    rb"\s*[:=]>?\s*[\"']?(?!(?:none|null|true|false|yes|no|on|off|auto|required)\b)"
    rb"[^\s\"'#;$%<{(/*]{4}"
)


def is_secret_name(name: str) -> bool:
    """Return whether a file or a directory called `name` is likely to hold secrets."""
    return re.fullmatch(_NAMES, name, re.IGNORECASE) is not None


def holds_secret(content: bytes) -> bool:
    """Return whether the content of a file seems to hold a key, a password or a token."""
    if b"\0" in content:
        return False  # a binary file; those with keys are recognized by their names
    if re.search(_ANYWHERE, content):
        return True
    return re.search(_ASSIGNED, content, re.IGNORECASE | re.MULTILINE) is not None
