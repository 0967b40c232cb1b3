"""What of a project is copied: as git decides, without secrets, and never less than the person names."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daytona_kernel.magics.project.rules import GIT_FILE, OWN_FILE, Rules, Verdict

if TYPE_CHECKING:
    from pathlib import Path

GIT = shutil.which("git") or "git"


def verdicts(rules: Rules, *places: str) -> list[str]:
    return [rules.verdict_below(place, is_folder=False).value for place in places]


@pytest.mark.parametrize(
    "place",
    [
        ".env", "deep/.env", ".env.production", ".envrc", "server.key", "certs/a.pem", "id_ed25519", ".netrc",
        "home/.ssh/config", ".aws/credentials", "credentials.json", ".streamlit/secrets.toml",
        "service-account-1.json", ".git-credentials", ".pypirc", "a.p12",
    ],
)  # fmt: skip
def test_secrets_stay_here(place: str) -> None:
    rules = Rules()
    rules.set_file("", OWN_FILE, f"!{place}\n!*\n")
    rules.set_file("", GIT_FILE, "!*\n")
    assert verdicts(rules, place) == ["secret"]
    rules.name([place])
    assert verdicts(rules, place) == ["copied"]


@pytest.mark.parametrize("place", [".env.example", "id_ed25519.pub", "keys.py", "environment.yml"])
def test_names_that_only_sound_secret_are_copied(place: str) -> None:
    assert verdicts(Rules(), place) == ["copied"]


def test_what_other_programs_make_again_is_left_out() -> None:
    places = (
        ".git/config",
        "a/__pycache__/x.pyc",
        ".venv/bin/python",
        "node_modules/x/y.js",
        ".ipynb_checkpoints/a",
    )
    assert set(verdicts(Rules(), *places)) == {"ignored"}


def test_the_own_file_comes_before_gitignore_and_the_defaults() -> None:
    rules = Rules()
    rules.set_file("", GIT_FILE, "data/\n*.csv\n")
    assert verdicts(rules, "data/a.txt", "b.csv", "c.txt") == ["ignored", "ignored", "copied"]
    rules.set_file("", OWN_FILE, "!data/\n!.git/\nc.txt\n")
    assert verdicts(rules, "data/a.txt", "b.csv", "c.txt", ".git/config") == [
        "copied", "ignored", "ignored", "copied",
    ]  # fmt: skip
    rules.set_file("", OWN_FILE, None)
    assert verdicts(rules, "data/a.txt", "c.txt") == ["ignored", "copied"]


def test_a_file_in_a_deeper_folder_comes_first() -> None:
    rules = Rules()
    rules.set_file("", GIT_FILE, "*.log\n")
    rules.set_file("kept", GIT_FILE, "!*.log\n/only-here\n")
    assert verdicts(rules, "a.log", "kept/a.log", "kept/only-here", "kept/deep/only-here") == [
        "ignored", "copied", "ignored", "copied",
    ]  # fmt: skip


_PATTERNS = st.lists(
    st.sampled_from(
        [
            "*.a",
            "!*.a",
            "/x",
            "x/",
            "!x/",
            "x",
            "y/*",
            "!y/k.a",
            "**/z",
            "x/**",
            "y/",
            "a?",
            "[xy]",
            "# c",
            "",
            "z/k.a",
        ]
    ),
    max_size=5,
)
_PLACES = ["k.a", "x/k.a", "x/b", "y/k.a", "y/z/k.a", "y/z/b", "ab", "z/k.a", "z/x/y"]


@given(top=_PATTERNS, inner=_PATTERNS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_gitignore_means_what_it_means_to_git(repository: Path, top: list[str], inner: list[str]) -> None:
    rules = Rules()
    for folder, lines in (("", top), ("y", inner)):
        (repository / folder / GIT_FILE).write_text("\n".join(lines))
        rules.set_file(folder, GIT_FILE, "\n".join(lines))
    done = subprocess.run(
        [GIT, "-C", repository, "check-ignore", "--no-index", "--stdin"],
        input="\n".join(_PLACES), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    ignored = {place for place in _PLACES if rules.verdict_below(place, is_folder=False) is Verdict.IGNORED}
    assert ignored == set(done.stdout.split())


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    subprocess.run([GIT, "init", "-q", folder], check=True)
    for place in _PLACES:
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).touch()
    return folder
