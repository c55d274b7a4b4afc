"""`exchange audit verify` on a folder: whole or not, and what the auditor's own files add."""

import json
import tracemalloc

import pytest

from exchange.audit import checkpoint_in, hash_leaf, inclusion_proof, node_reader, parse_entry
from exchange.audit.export import ExportedEntry, Place, Statement
from exchange.audit.export.ndjson import entry_line, statement_line
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


def test_folder_of_a_log_that_a_recovery_ended_asks_for_its_own_keys_alone(exchange, folder, log):
    """Of the keys of both, those of the next log count: whoever keeps them would be shown the one that ended."""
    origin = checkpoint_in(log.newest().note).origin
    ran = exchange("audit", "verify", folder, "--key", KEYS[0], "--key", str(signers(3, f"{origin}/2")[0].verifier))

    assert ran.code == 1
    assert f"the log `{origin}` is here, which a recovery ended: to verify it, give its own keys alone" in ran.err


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

    assert ran.code == (2 if key is None else 1)
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

    assert ran.code == 2
    assert "give one of the three" in ran.err


# ── what is remembered ────────────────────────────────────────────────────────────────────────────────────────────


def test_state_remembers_and_refuses_a_log_that_was_cut(tried, folder, log, tmp_path):
    state = tmp_path / "state.json"
    sound = tried("--state", state)
    assert (sound.code, "does not verify" in sound.out) == (0, False)
    assert json.loads(state.read_text())["size"] == 600

    old = world(300)
    write_log(old, folder)
    before = state.read_text()

    ran = tried("--state", state)
    assert ran.code == 1
    assert "the log now ends at 300 entries: its tail was cut" in ran.out
    assert ran.out.endswith("\nthis does not verify: what was found stands above\n")
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


# ── exports ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def exported(log, tmp_path):
    """Write an export of these positions; `more` lines stand behind them."""

    def write(*positions, proofs=False, more=()):
        size = len(log.contents)
        read = node_reader(size, log.tile)
        lines = []
        for position in positions:
            item = log.contents[position]
            proof = inclusion_proof(position, size, read) if proofs else ()
            place = Place(1, position)
            lines.append(entry_line(ExportedEntry(place, hash_leaf(item), parse_entry(item), item, proof=proof)))
        lines += more
        first, last, note = f"1.{positions[0]}", f"1.{positions[-1]}", log.checkpoints[-1].note.decode()
        end = size + len(more)
        lines.append(statement_line(Statement("2026-01-01T00:00:00Z", None, first, last, len(lines), f"1.{end}", note)))
        path = tmp_path / "log.ndjson"
        path.write_bytes(b"".join(lines))
        return path

    return write


def test_whole_export_is_whole(exchange, exported, keys):
    ran = exchange("audit", "verify", exported(*range(600)), "--key", keys)

    assert ran.code == 0
    assert "the log is whole" in ran.out


def test_whole_export_with_names_in_the_clear_says_so_to_people_and_programs(exchange, exported, keys):
    path = exported(*range(600))
    path.write_bytes(path.read_bytes().replace(b',"entry":', b',"personal":{"name":"x"},"entry":', 2))
    ran = exchange("audit", "verify", path, "--key", keys)
    told = exchange("audit", "verify", path, "--key", keys, "--json")

    assert (ran.code, told.code) == (0, 0)
    assert "2 entries come with names, addresses or certificates in the clear" in ran.err
    assert told.json["sound"]
    assert any(note.startswith("2 entries come with names") for note in told.json["notes"])


def test_slice_is_not_called_whole(exchange, exported, keys):
    ran = exchange("audit", "verify", exported(3, 17, 599, proofs=True), "--key", keys)

    assert ran.code == 0
    assert "whole" not in ran.out
    assert "all that is shown is in the log: what was left out, a slice of it cannot tell" in ran.out


def test_slice_with_a_line_without_an_end_is_not_read_into_memory(exchange, exported, keys):
    path = exported(3, 17, proofs=True)
    path.write_bytes(path.read_bytes() + bytes(64 * 1024 * 1024))
    tracemalloc.start()

    try:
        ran = exchange("audit", "verify", path, "--key", keys)
        assert tracemalloc.get_traced_memory()[1] < 32 * 1024 * 1024
    finally:
        tracemalloc.stop()

    assert ran.code == 1
    assert "longer than any that an exchange writes" in ran.err


@pytest.mark.parametrize("text", ["", '"log","position","id"\n"1","0","x"\n', '{"class_uid":3005}\n'])
def test_file_that_is_no_export_in_ndjson_is_called_that(exchange, keys, tmp_path, text):
    (tmp_path / "log.csv").write_text(text)

    ran = exchange("audit", "verify", tmp_path / "log.csv", "--key", keys)

    assert ran.code == 1
    assert "log.csv` is no export in NDJSON" in ran.err


def test_certificate_is_no_key_of_a_log(exchange, folder, tmp_path):
    (tmp_path / "client.pem").write_text("-----BEGIN CERTIFICATE-----\n")

    ran = exchange("audit", "verify", folder, "--key", tmp_path / "client.pem")

    assert ran.code == 1
    assert "client.pem` holds no key of a log" in ran.err


def test_export_that_lost_an_entry_ends_with_1(exchange, exported, keys):
    ran = exchange("audit", "verify", exported(*(each for each in range(600) if each != 41)), "--key", keys)

    assert ran.code == 1
    assert "position 41 is missing" in ran.out


@pytest.mark.parametrize("size", [600, 512])
def test_export_with_an_entry_more_ends_with_1(exchange, exported, keys, log, size):
    log.rebuild(log.contents[:size])
    more = content(size)
    line = entry_line(ExportedEntry(Place(1, size), hash_leaf(more), parse_entry(more), more))

    ran = exchange("audit", "verify", exported(*range(size), more=[line]), "--key", keys)

    assert ran.code == 1


@pytest.mark.parametrize("option", ["--checkpoint", "--policy", "--node-key", "--state"])
def test_slice_takes_no_option_that_needs_a_whole_log(exchange, exported, keys, log, tmp_path, option):
    given = tmp_path / "given"
    note = log.checkpoints[-1].note
    text = {
        "--checkpoint": note.decode(),
        "--policy": f"log {KEYS[0]}\nquorum none\n",
        "--node-key": f"{KEYS[0]}\n",
        "--state": json.dumps({"checkpoint": note.decode()}),
    }
    given.write_text(text[option])

    ran = exchange("audit", "verify", exported(3, 17, proofs=True), "--key", keys, option, given)

    assert ran.code == 1
    assert "position 0 is not where it belongs; `--state`, `--checkpoint`, `--policy` and `--node-key`" in ran.err
