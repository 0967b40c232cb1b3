"""Programs of this machine work in an isolated sandbox: they find their settings in /etc."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.server.conftest import EmbeddedServer, Toolbox

HELLO_JAVA = """import java.security.*;
class Hello { public static void main(String[] a) throws Exception {
System.out.println(MessageDigest.getInstance("SHA-256").digest().length); } }"""
PLAYWRIGHT = """python - <<'END'
from playwright.sync_api import sync_playwright
with sync_playwright() as p:
    browser = p.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
    page = browser.new_page()
    page.set_content("<h1>hello</h1>")
    print(page.inner_text("h1"))
END"""


@pytest.fixture(autouse=True)
def _isolated(server: EmbeddedServer) -> None:
    if server.isolation != "bubblewrap":
        pytest.skip("bubblewrap does not work here")


@pytest.mark.parametrize(
    ("program", "command", "expected"),
    [
        ("java", f"echo '{HELLO_JAVA}' > Hello.java && java Hello.java", "32\n"),
        (
            "keytool",
            "keytool -genkeypair -alias a -keyalg RSA -dname CN=x -keystore ks -storepass changeit && ls ks",
            "ks\n",
        ),
        (
            "chromium",
            "chromium --headless --no-sandbox --disable-gpu --dump-dom 'data:text/html,<h1>hello'",
            "<h1>hello</h1>",
        ),
        ("chromium", PLAYWRIGHT, "hello\n"),
        ("man", "man -P cat man", "MAN(1)"),
        ("git", "git init -q g && git -C g config --list && git log --help", "GIT-LOG(1)"),
        ("vim", "vim -es -u /etc/vim/vimrc -c 'put =&runtimepath' -c 'w out' -c q; cat out", "vimfiles"),
        ("npm", "npm config list", "npm version"),
        ("perl", "perl -MNet::HTTP -e 'print $]' || perl -e 'print $]'", "5."),
        (
            "openssl",
            "openssl req -new -newkey rsa:2048 -nodes -keyout k -subj /CN=x",
            "BEGIN CERTIFICATE REQ",
        ),
        ("Rscript", "Rscript -e 'cat(sum(1:10), R.home(\"etc\"))'", "55 "),
        ("pdflatex", r"pdflatex '\documentclass{article}\begin{document}x\end{document}'", "1 page"),
        ("identify", "identify -size 8x8 xc:red", "8x8"),
        ("dpkg", "dpkg -S /bin/ls", "coreutils"),
        ("fc-match", "fc-match sans", "."),
        ("curl", "curl --version", "libcurl"),
    ],
)
def test_a_program_works(toolbox: Toolbox, program: str, command: str, expected: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed here")
    result = toolbox.execute(command)
    assert expected in result["result"], result
