"""The facts about a sandbox in words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from daytona_kernel import SandboxInstance, sandbox_facts
from daytona_kernel.client.labels import HOST_LABEL, LABEL, NOTEBOOK_LABEL

NOW = datetime(2026, 1, 2, 12, 0, tzinfo=UTC)


def instance(**fields: Any) -> SandboxInstance:
    known: dict[str, Any] = {
        "state": "started",
        "last_activity_at": ago(minutes=10),
        "created_at": ago(hours=3),
    }
    return SandboxInstance(id="i", name="n", **{**known, **fields})


def ago(**time: float) -> str:
    return (NOW - timedelta(**time)).isoformat()


@pytest.mark.parametrize(
    ("fields", "row"),
    [
        ({"auto_stop_interval": 0}, ("Stops", "never automatically")),
        (
            {"auto_stop_interval": 30},
            ("Stops", "after 30 min without activity: in 20 min, unless it is used"),
        ),
        (
            {"auto_pause_interval": 60, "auto_stop_interval": 0},
            ("Pauses", "after 1 h without activity: in 50 min, unless it is used"),
        ),
        ({"auto_stop_interval": 5}, ("Stops", "after 5 min without activity: in 0 s, unless it is used")),
        ({"auto_stop_interval": 30, "state": "paused"}, ("Stops", "after 30 min without activity")),
        (
            {"auto_stop_interval": 30, "last_activity_at": "no date"},
            ("Stops", "after 30 min without activity"),
        ),
        ({"auto_delete_interval": -1}, ("Deletes", "never automatically")),
        ({"auto_delete_interval": 0}, ("Deletes", "when it has stopped")),
        ({"auto_delete_interval": 1440}, ("Deletes", "24 h after it has stopped")),
        ({"destroyed_at": ago(hours=-2)}, ("Is destroyed", "in 2 h, whatever its state")),
    ],
)
def test_when_a_sandbox_ends(fields: dict[str, Any], row: tuple[str, str]) -> None:
    assert row in sandbox_facts.ends(instance(**fields), NOW)


def test_age_and_idle_time() -> None:
    assert sandbox_facts.age(instance(), NOW) == "3 h ago"
    assert sandbox_facts.idle(instance(), NOW) == "10 min"
    # A date without a zone, or none, is not guessed.
    assert sandbox_facts.idle(instance(last_activity_at="2026-01-02T11:00:00"), NOW) == ""
    assert sandbox_facts.idle(instance(last_activity_at=None), NOW) == ""


def test_a_price_follows_the_rates() -> None:
    sized = instance(cpu=2, memory=4, disk=10, gpu=0)
    rates = {"cpu": 0.05, "memory": 0.02, "disk": 0.001}
    assert sandbox_facts.price(sized, rates) == "0.19 an hour while it runs, 0.01 an hour while it is stopped"
    assert sandbox_facts.price(sized, {}) == ""


def test_whose_it_is() -> None:
    labels = {LABEL: "python", NOTEBOOK_LABEL: "my analysis.ipynb", HOST_LABEL: "desk"}
    assert sandbox_facts.whose(labels, "desk") == "my analysis.ipynb"
    assert sandbox_facts.whose(labels, "lab") == "my analysis.ipynb on desk"
    assert sandbox_facts.whose({**labels, NOTEBOOK_LABEL: ""}, "desk") == "a kernel without a notebook"
    assert sandbox_facts.whose({"other": "x"}, "desk") == "not a kernel's"


@pytest.mark.parametrize("text", ["a\x1b[31mb", "a\u202eb", "a\nb", "it's", "a  b", "x" * 500 + "\x1b"])
def test_hostile_names_are_quoted_or_cut(text: str) -> None:
    shown = sandbox_facts.shown(text)
    assert shown.isprintable()
    assert "\u202e" not in shown
    assert len(shown) < 200
    assert shown != text
    assert sandbox_facts.shown("plain-name 1.ipynb") == "plain-name 1.ipynb"
    assert sandbox_facts.shown("Überblick.ipynb") == "Überblick.ipynb"
