"""A client's files where a run ends between the enrolment and the last of them: the next one puts there what is left."""

import ssl

import pytest

from exchange.cli import enrolment
from exchange.kernel import UnavailableError

NAMES = ["ca.pem", "client.key", "client.pem"]


def leave(out, *names):
    """Leave these files as a run does that is killed once its client is enrolled."""
    killed = out / ".enrol-killed"
    killed.mkdir(mode=0o700)
    for name in names:
        (out / name).rename(killed / name)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def clients(operate):
    return [(each["name"], len(each["certificates"])) for each in operate("client", "list", "--json").json]


@pytest.mark.parametrize("left", [NAMES, ["ca.pem", "client.pem"], ["client.pem"]])
def test_client_that_a_killed_run_enrolled_has_its_files_after_the_next_one(enrol, operate, tmp_path, left):
    """Its key went with the next run, and whose certificate it was could connect no more."""
    out = tmp_path / "desk"
    assert enrol().code == 0
    leave(out, *left)

    again = enrol()

    assert again.code == 1
    assert "a run that broke off had given its certificate to `desk` of NOR (" in again.err
    assert names_in(out) == NAMES
    ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(out / "client.pem", out / "client.key")
    assert clients(operate) == [("desk", 1)]


def test_client_whose_enrolment_nobody_answered_has_its_files_after_the_next_one(enrol, operate, tmp_path, monkeypatch):
    enrol_client = enrolment.enrol_client

    async def unanswered(*given):
        await enrol_client(*given)
        raise UnavailableError("the store does not answer")

    with monkeypatch.context() as away:
        away.setattr(enrolment, "enrol_client", unanswered)
        assert enrol().code == 1

    assert enrol().code == 1
    assert names_in(tmp_path / "desk") == NAMES
    assert clients(operate) == [("desk", 1)]


def test_next_certificate_of_a_killed_run_is_not_lost_either(enrol, operate, tmp_path):
    client, out = enrol("--json").json["id"], tmp_path / "next"
    assert operate("client", "certificate", "issue", client, "--out", out).code == 0
    leave(out, *NAMES)

    again = operate("client", "certificate", "issue", client, "--out", out)

    assert (again.code, names_in(out)) == (1, NAMES)
    assert clients(operate) == [("desk", 2)]


def test_key_of_nobody_makes_room(enrol, operate, tmp_path):
    assert enrol().code == 0
    client = operate("client", "list", "--json").json[0]["id"]
    assert operate("client", "revoke", client, "--yes").code == 0
    leave(tmp_path / "desk", *NAMES)

    assert enrol().code == 0

    assert names_in(tmp_path / "desk") == NAMES


def test_files_of_a_killed_run_take_no_others_place(enrol, operate, tmp_path):
    out = tmp_path / "desk"
    assert enrol().code == 0
    leave(out, *NAMES)
    (out / "ca.pem").write_text("another")

    again = enrol()

    assert (again.code, "`" + str(out / "ca.pem") + "` exists already" in again.err) == (1, True)
    assert names_in(out / ".enrol-killed") == NAMES
    assert clients(operate) == [("desk", 1)]
