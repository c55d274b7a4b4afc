"""What cannot be undone is shown and asked about at a terminal, and nowhere else."""

import asyncio
import os
import sys

import pytest

from exchange.cli.asking import ask_meanwhile
from tests.support.terminal import END, before_terminal

QUESTION = "This cannot be undone"


@pytest.fixture
def client(enrol):
    return enrol("--json").json["id"]


@pytest.mark.parametrize("typed", ["\n", "y\n", "no\n", f"{END}", "yes please\n"])
def test_only_yes_revokes(operate, instance, client, typed):
    ran = before_terminal(typed, "client", "revoke", client, "--json", "--dir", instance)

    assert QUESTION in ran.err
    assert (ran.code, ran.json["error"]["code"]) == (1, "not-confirmed")
    assert operate("client", "show", client, "--json").json["standing"] == "active"


@pytest.mark.parametrize(("typed", "words"), [("yes\n", ()), (" YES \n", ()), ("", ("--yes",))])
def test_yes_revokes_typed_or_given(instance, client, typed, words):
    ran = before_terminal(typed, "client", "revoke", client, *words, "--json", "--dir", instance)

    assert (ran.code, ran.json["standing"]) == (0, "revoked")
    assert (QUESTION in ran.err) == (not words)


def test_question_names_the_client_and_what_nobody_else_does(enrol, instance):
    enrol("--role", "reader", name="other")
    only = enrol("--role", "signatory", "--role", "reader", "--json", name="only").json["id"]

    asked = before_terminal("no\n", "client", "revoke", only, "--dir", instance).err

    assert all(told in asked for told in (only, "NOR", "NSM", "1, none of which is ever taken again"))
    assert "nobody else of it is  signatory\n" in asked
    assert "client suspend" in asked


def test_nobody_is_asked_about_what_is_not_there(instance, client):
    ran = before_terminal("", "client", "certificate", "remove", client, "0" * 64, "--dir", instance)

    assert ran.code == 1
    assert "the client uses no such certificate" in ran.err
    assert QUESTION not in ran.err


def test_last_certificate_is_said_to_be_the_last(operate, instance, client, tmp_path):
    file = tmp_path / "desk" / "client.pem"

    ran = before_terminal("\n", "client", "certificate", "remove", client, file, "--dir", instance)

    assert "none: it can connect no more" in ran.err
    assert len(operate("client", "show", client, "--json").json["certificates"]) == 1


async def test_question_that_nobody_answers_is_left_at_once(monkeypatch):
    keyboard, terminal = os.openpty()
    with os.fdopen(keyboard, "wb", buffering=0), os.fdopen(terminal) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        asking = asyncio.create_task(ask_meanwhile("ends it", {"id": "1"}))
        await asyncio.sleep(0)

        asking.cancel()

        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(asking, 5)
