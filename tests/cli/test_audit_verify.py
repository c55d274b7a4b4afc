"""`exchange audit verify` on a folder: whole or not, and what the auditor's own files add."""

import json

import pytest

from exchange.client.log_folder import write_log
from tests.core.audit.verify.worlds import KEYS, content, signers, world


@pytest.fixture
def log():
    return world()


@pytest.fixture
def folder(log, tmp_path):
    write_log(log, tmp_path / "log")
    return tmp_path / "log"


@pytest.fixture
def keys(tmp_path):
    path = tmp_path / "log.keys"
    path.write_text("# the log of this test\n\n" + "".join(f"{key}\n" for key in KEYS))
    return path


@pytest.fixture
def tried(exchange, folder, keys):
    return lambda *words: exchange("audit", "verify", folder, "--key", keys, *words)


def test_whole_log_ends_with_0_and_says_so(tried):
    ran = tried()

    assert ran.code == 0
    assert "no key of a node was given" in ran.err
    assert "the log is whole" in ran.out


def test_json_holds_what_was_looked_at(tried, log):
    ran = tried("--json")

    assert ran.json == {
        "id": "exchange.test/log/1",
        "sound": True,
        "size": 600,
        "root": ran.json["root"],
        "entries": 600,
        "older_checkpoints": 6,
        "witnesses": [],
        "findings": [],
        "notes": ran.json["notes"],
    }


def test_changed_entry_ends_with_1_and_is_named(tried, folder, log):
    path = folder / "tile" / "entries" / "001"
    path.write_bytes(path.read_bytes().replace(b'"r300"', b'"r301"').replace(b'"r302"', b'"r303"'))

    ran = tried()
    assert ran.code == 1
    assert "tree: entry 300" in ran.out

    (finding,) = tried("--json").json["findings"]
    assert (finding["step"], finding["position"], finding["entry"]) == ("tree", 300, log.rows[300].columns.id)


def test_keys_are_named_one_by_one(exchange, folder):
    assert exchange("audit", "verify", folder, "--key", KEYS[0], "--key", str(KEYS[1])).code == 0


def test_keys_of_another_log_are_refused(exchange, folder):
    ran = exchange("audit", "verify", folder, "--key", str(signers(2)[0].verifier))

    assert ran.code == 1
    assert "signature: checkpoint of 600 entries: no known key has signed the note" in ran.out


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (None, "whose log is it"),
        ("name+00000000+AAAA", "of no known type"),
        ("absent.keys", "cannot be read"),
    ],
)
def test_key_that_is_none_is_named(exchange, folder, key, said):
    ran = exchange("audit", "verify", folder, *(() if key is None else ("--key", key)))

    assert ran.code == 1
    assert said in ran.err


def test_file_without_a_key_is_named(exchange, folder, tmp_path):
    (tmp_path / "empty").write_text("# nothing\n")

    assert "holds no key" in exchange("audit", "verify", folder, "--key", tmp_path / "empty").err


def test_two_private_keys_are_refused(exchange, folder, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_text("-----BEGIN " + "X-----\n")

    ran = exchange("audit", "verify", folder, "--key", tmp_path / "a", "--key", tmp_path / "b")

    assert "two private keys" in ran.err


def test_two_places_are_refused(exchange, folder, keys):
    ran = exchange("audit", "verify", folder, "--dir", folder, "--key", keys)

    assert ran.code == 1
    assert "give one of the three" in ran.err


# ── what is remembered ────────────────────────────────────────────────────────────────────────────────────────────


def test_state_remembers_and_refuses_a_log_that_was_cut(tried, folder, log, tmp_path):
    state = tmp_path / "state.json"
    assert tried("--state", state).code == 0
    assert json.loads(state.read_text())["size"] == 600

    old = world(300)
    write_log(old, folder)
    before = state.read_text()

    ran = tried("--state", state)
    assert ran.code == 1
    assert "the log now ends at 300 entries: its tail was cut" in ran.out
    assert state.read_text() == before, "what is damaged is not remembered"


def test_state_grows_with_the_log(tried, folder, log, tmp_path):
    state = tmp_path / "state.json"
    tried("--state", state)
    log.append(content(600))
    write_log(log, folder)

    assert tried("--state", state).code == 0
    assert json.loads(state.read_text())["size"] == 601


@pytest.mark.parametrize("text", ["{}", "[]", "no json", '{"checkpoint": 1}'])
def test_state_that_is_none_is_refused(tried, tmp_path, text):
    state = tmp_path / "state.json"
    state.write_text(text)

    assert "no state of an earlier verification" in tried("--state", state).err


def test_state_that_cannot_be_written_is_said(tried, tmp_path):
    ran = tried("--state", tmp_path / "absent" / "state.json")

    assert ran.code == 1
    assert "cannot be written" in ran.err


def test_checkpoint_that_a_witness_kept_counts(tried, folder, log, tmp_path):
    kept = tmp_path / "witnessed"
    log.append(content(600, purpose="other"))
    kept.write_bytes(log.checkpoints[-1].note)

    ran = tried("--checkpoint", kept)

    assert ran.code == 1
    assert f"checkpoint of 601 entries from `{kept}`" in ran.out
    assert "cannot be read" in tried("--checkpoint", tmp_path / "absent").err
