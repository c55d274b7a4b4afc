"""`exchange audit verify` on the instance of this host: what was done to its database, and logs that were recovered."""

import shutil

import pytest

from tests.support.instance_log import lose_and_recover, own, sequence


@pytest.fixture
def keys(instance, tmp_path):
    """The log's public keys, as an auditor took them home."""
    return shutil.copy(instance / "log" / "verifier-keys", tmp_path / "log-keys")


@pytest.mark.parametrize("change", ["keys = 'x'", "size = 'x'", "signed_at = 'x'", "size = 10000"])
def test_what_stands_beside_the_signed_note_keeps_nobody_from_verifying(instance, operate, keys, change):
    sequence(instance, 3)
    own(instance, f"UPDATE log_state SET {change}")

    assert operate("audit", "verify", "--key", keys).code == 0


@pytest.mark.parametrize("change", ["DELETE FROM log_state", "UPDATE log_state SET note = ''"])
def test_log_that_was_taken_away_is_not_called_a_log_that_never_was(instance, operate, keys, change):
    sequence(instance, 3)
    own(instance, change)

    ran = operate("audit", "verify", "--key", keys)

    assert ran.code == 1
    assert "the database holds no log, and this host signed" in ran.err


def test_what_this_host_signed_is_held_against_the_log_whatever_the_database_calls_it(instance, operate, keys):
    sequence(instance, 3)
    own(
        instance,
        "DELETE FROM log_checkpoint WHERE size > 0",
        "UPDATE log_state SET origin = 'x', note = (SELECT note FROM log_checkpoint)",
        *(f"DELETE FROM {name}" for name in ("audit_entry", "log_leaf", "log_tile", "audit_search")),
    )

    ran = operate("audit", "verify", "--key", keys, "--json")

    assert ran.code == 1
    (finding,) = ran.json["findings"]
    assert finding["place"].endswith("from this host's own record of what it signed")
    assert "its tail was cut" in finding["why"]


@pytest.mark.parametrize("line", ["'garbage'", "x'ff'", "''"])
def test_cosignature_that_is_none_is_a_finding_and_the_rest_is_verified(instance, operate, keys, line):
    sequence(instance, 3)
    kept = f"SELECT log, size, 'w', {line}, 0 FROM log_checkpoint WHERE size = 0"
    own(
        instance,
        f"INSERT INTO log_cosignature {kept}",
        "UPDATE audit_entry SET content = 'x' WHERE id = (SELECT min(id) FROM audit_entry)",
    )

    ran = operate("audit", "verify", "--key", keys, "--json")

    assert ran.code == 1
    assert {"tree", "history"} <= {each["step"] for each in ran.json["findings"]}


@pytest.mark.timeout(30)
def test_kept_checkpoint_under_a_size_that_is_none_does_not_keep_the_verifier_for_ever(instance, operate, keys):
    sequence(instance, 3)
    own(instance, "UPDATE log_checkpoint SET size = 'x' WHERE size = (SELECT max(size) FROM log_checkpoint)")

    ran = operate("audit", "verify", "--key", keys, "--json")

    assert ran.code == 1
    assert [(each["step"], each["place"]) for each in ran.json["findings"]] == [("history", "older checkpoints")]


@pytest.fixture
def recovered(instance, operate, keys, tmp_path):
    """An instance whose log lost its tail to an older copy of the database, and was recovered."""
    lose_and_recover(instance, operate, keys, tmp_path)
    return instance


def test_each_log_is_held_against_its_own_keys(recovered, operate, keys):
    both = operate("audit", "verify", "--key", recovered / "log" / "verifier-keys", "--json")

    assert both.code == 0
    assert [each["sound"] for each in both.json] == [True, True]
    assert both.err.count("the keys come from the instance itself") == 0
    assert "frozen" not in both.err, "the next log has begun: nothing is to be done about the first any more"
    assert operate("audit", "verify", "--key", keys).code == 1, "the log in use has other keys than those of the first"


def test_whole_export_after_a_recovery_is_verified_log_by_log(recovered, operate, keys, tmp_path):
    out, both = tmp_path / "log.ndjson", recovered / "log" / "verifier-keys"
    assert operate("audit", "export", "--out", out).code == 0

    ran = operate("audit", "verify", out, "--key", both, "--json")

    assert ran.code == 0, ran.out
    assert [each["sound"] for each in ran.json] == [True, True]
    assert operate("audit", "verify", out, "--key", keys).code == 1, "nobody here has the keys of the log in use"


@pytest.mark.parametrize(
    "change", ["DELETE FROM log_state WHERE log = 2", "UPDATE log_state SET note = '' WHERE log = 2"]
)
def test_log_in_use_that_was_taken_away_is_missed_beside_the_one_before_it(recovered, operate, change):
    own(recovered, change)

    ran = operate("audit", "verify")

    assert ran.code == 1
    assert "the database holds other logs, and this host signed" in ran.err


def test_state_of_the_log_that_was_lost_tells_what_was_lost(recovered, operate, tmp_path):
    ran = operate(
        "audit", "verify", "--key", recovered / "log" / "verifier-keys", "--state", tmp_path / "state", "--json"
    )

    assert ran.code == 1
    old, new = ran.json
    assert "its tail was cut" in old["findings"][0]["why"]
    assert new["findings"] == []


def test_earlier_log_under_other_keys_is_noticed(recovered, operate):
    own(recovered, "UPDATE log_state SET note = (SELECT note FROM log_state WHERE log = 2) WHERE log = 1")

    ran = operate("audit", "verify", "--key", recovered / "log" / "verifier-keys", "--json")

    assert ran.code == 1
    assert ran.json[0]["sound"] is False
