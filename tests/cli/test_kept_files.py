"""What lies at the place of a file is not written over, and what was begun is not lost with a file that is gone."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from exchange.cli.instance import write_new
from exchange.cli.policy_caveats import _write_both
from exchange.cli.report_uploads import give_up
from exchange.cli.reports import _posted, _sent
from exchange.client import AnswerError, ConnectionFailedError, ProblemError, ReceiptFileError
from exchange.kernel import InvalidError, UnsafeSettingError
from exchange.wire import CaveatSetTextBody, ReportBody, UploadBody

REPORT = "01a20000-0000-7000-8000-000000000001"


def test_certificate_of_destruction_takes_no_file_s_place_and_nothing_is_certified(exchange, enrol, tmp_path):
    """The certificate before it, which is given once, was gone."""
    assert enrol().code == 0
    files = tmp_path / "desk"
    paths = (("--cert", "client.pem"), ("--key", "client.key"), ("--ca", "ca.pem"))
    door = ("--url", "https://127.0.0.1:1", *(word for option, name in paths for word in (option, files / name)))
    kept = tmp_path / "certificate.note"
    kept.write_bytes(b"another certificate")

    words = ("report", "destruction", "certify", REPORT, "--method", "wiped", "--out", kept, "--json", *door)
    refused = exchange(*words)

    # Nobody answers there: it was refused before anybody was asked.
    assert (refused.code, refused.json["error"]["code"]) == (1, "invalid")
    assert "nothing was certified" in refused.err
    assert kept.read_bytes() == b"another certificate"


def test_key_is_not_made_where_its_public_half_could_not_lie_beside_it(exchange, tmp_path):
    """A second try was refused for the first one's key, of which nobody had the public half."""
    (tmp_path / "agreement.key.pub").write_bytes(b"another's")

    refused = exchange("agreement", "key", tmp_path / "agreement.key")

    assert (refused.code, "agreement.key.pub` exists already" in refused.err) == (1, True)
    assert [path.name for path in tmp_path.iterdir()] == ["agreement.key.pub"]


def test_key_whose_public_half_cannot_be_written_is_not_left(exchange, tmp_path, monkeypatch):
    def full(path, content, *, mode):
        if path.suffix == ".pub":
            raise UnsafeSettingError(f"`{path}` cannot be written: no space left on device")
        write_new(path, content, mode=mode)

    monkeypatch.setattr("exchange.cli.treaties.write_new", full)

    assert exchange("agreement", "key", tmp_path / "agreement.key").code == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("member", ["../NOR", "/tmp/NOR", "nor", "..", "N\x00R"])
def test_caveats_of_what_is_no_member_are_written_nowhere(tmp_path, member):
    """An exchange named the files, and could have them lie wherever the caller may write."""
    found = CaveatSetTextBody.model_construct(member=member, cedar="", examples="")

    with pytest.raises(AnswerError, match="which is no member"):
        _write_both(tmp_path / "out", found)

    assert list(tmp_path.iterdir()) == []


def refused(status):
    return ProblemError(status=status, code="x", detail="no")


@pytest.mark.parametrize(
    ("fault", "is_told"),
    [
        (ConnectionFailedError("no answer"), True),
        (AnswerError("no receipt"), True),
        (ReceiptFileError("no room"), True),
        (KeyboardInterrupt(), True),
        (refused(503), True),
        (refused(422), False),
        (refused(429), False),
        (InvalidError("never sent"), False),
    ],
)
@pytest.mark.parametrize("send", [_posted, lambda client, body, key, purpose: _sent(client, body, [], key, purpose)])
def test_who_posts_and_gets_no_answer_is_told_how_to_post_once(capsys, send, fault, is_told):
    """Who gave the command again posted the report twice: the key was made anew, and nobody knew the first one."""

    def broken(*_given, **named):
        assert named == {"idempotency_key": "the-key", "purpose": "defence"}
        raise fault

    client = SimpleNamespace(post_report=broken, uploads=SimpleNamespace(begin=broken))
    with pytest.raises(type(fault)):
        send(client, ReportBody.model_construct(parts=[]), "the-key", "defence")

    told = "for 24 hours the same command with `--idempotency-key the-key` posts it once only"
    assert (told in capsys.readouterr().err) is is_told


@pytest.mark.parametrize("fault", [FileNotFoundError(2, "No such file or directory", "a"), KeyboardInterrupt()])
def test_whoever_loses_a_file_amid_sending_is_told_how_to_go_on(capsys, fault):
    upload = UploadBody(
        id=REPORT,
        agreement=REPORT,
        scope="s",
        originator="NOR",
        begun_at=datetime(2026, 1, 1, tzinfo=UTC),
        given_up_at=datetime(2026, 1, 2, tzinfo=UTC),
        parts=[],
    )

    def broken(*_given, **_named):
        raise fault

    uploads = SimpleNamespace(begin=lambda *_, **__: upload, send_files=broken)

    with pytest.raises(type(fault)):
        _sent(SimpleNamespace(uploads=uploads), ReportBody.model_construct(parts=[]), [], "the-key", None)

    assert "--idempotency-key the-key` goes on with it" in capsys.readouterr().err


@pytest.mark.parametrize("fault", [refused(404), KeyboardInterrupt()])
@pytest.mark.parametrize("as_json", [False, True])
def test_what_was_given_up_is_told_though_the_next_cannot_be(capsys, fault, as_json):
    """What had come of the first one was destroyed, and nobody was told."""
    give_up_one = Mock(side_effect=["first", fault])
    client = SimpleNamespace(uploads=SimpleNamespace(give_up=give_up_one))

    with pytest.raises(type(fault)):
        give_up.__wrapped__(client, ["first", "second", "third"], yes=True, as_json=as_json)

    told = capsys.readouterr().out
    assert json.loads(told) == [{"id": "first"}] if as_json else told.split() == ["given", "up", "first"]
    assert give_up_one.call_count == 2


def test_where_nothing_was_given_up_nothing_is_told(capsys):
    client = SimpleNamespace(uploads=SimpleNamespace(give_up=Mock(side_effect=refused(404))))

    with pytest.raises(ProblemError):
        give_up.__wrapped__(client, ["first"], yes=True, as_json=True)

    assert capsys.readouterr().out == ""
