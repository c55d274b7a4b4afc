"""The doctor looks at the revocation lists, and at whether they lie where they are looked for."""

import os
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from exchange.crypto import empty_crl, new_authority
from exchange.setting_faults import faults_of
from exchange.settings import InstanceLayout, load_settings
from tests.entrypoints.certificates import YESTERDAY, listed


@pytest.mark.parametrize(("days", "state"), [(10, "ok"), (2, "warning"), (-1, "mend")])
def test_revocation_list_that_runs_out_is_told(findings, instance, days, state):
    layout = InstanceLayout(instance)
    issued = datetime.now(UTC) - timedelta(days=100)
    authority = new_authority("x", issued, days=100 + days)
    layout.crl_folder.mkdir(exist_ok=True)
    (layout.crl_folder / "NOR.pem").write_bytes(empty_crl(authority, issued))

    _, found = findings()

    assert found["revocation list NOR.pem"]["state"] == state


def test_list_that_running_nodes_would_refuse_is_told(findings, instance):
    layout = InstanceLayout(instance)
    layout.crl_folder.mkdir(exist_ok=True)
    (layout.crl_folder / "own.pem").write_bytes(listed(new_authority("exchange demo authority", YESTERDAY)))

    code, found = findings()

    assert code == 1
    assert found["revocation list own.pem"]["state"] == "mend"
    assert "does not bear the signature" in found["revocation list own.pem"]["told"]
    assert "revocation lists" not in found


def test_list_that_is_cut_off_is_told(findings, instance):
    layout = InstanceLayout(instance)
    layout.crl_folder.mkdir(exist_ok=True)
    whole = listed(new_authority("NOR", YESTERDAY))
    (layout.crl_folder / "NOR.pem").write_bytes(whole + whole[:-40])

    assert findings()[1]["revocation list NOR.pem"]["state"] == "mend"


def test_long_list_is_read_as_running_nodes_read_it(findings, instance):
    """With some thousand certificates on it a list is longer than any certificate, and was to be mended."""
    layout = InstanceLayout(instance)
    layout.crl_folder.mkdir(exist_ok=True)
    filling = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), bytes(70_000))
    (layout.crl_folder / "NOR.pem").write_bytes(listed(new_authority("NOR", YESTERDAY), extensions=((filling, False),)))
    layout.edge_lists_file.write_bytes((layout.crl_folder / "NOR.pem").read_bytes())

    found = findings()[1]

    assert found["revocation list NOR.pem"]["state"] == "ok"
    assert found["revocation list edge-crl.pem"]["state"] == "ok"


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("crl/NOR.pem", "revocation list NOR.pem"),
        ("authorities/NOR.pem", "certificate NOR.pem"),
        ("server.pem", "certificate server.pem"),
        ("server.key", "secret server.key"),
    ],
)
def test_pipe_is_told_and_waited_for_by_nobody(findings, instance, place, name):
    path = InstanceLayout(instance).tls_folder / place
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o600)

    code, found = findings()

    assert (code, found[name]["state"]) == (1, "mend")


def test_authority_without_a_list_beside_others_lists_is_told(findings, instance):
    layout = InstanceLayout(instance)
    layout.crl_folder.mkdir(exist_ok=True)
    (layout.crl_folder / "NOR.pem").write_bytes(listed(new_authority("NOR", YESTERDAY)))

    _, found = findings()

    assert found["revocation list NOR.pem"]["state"] == "ok"
    assert found["revocation lists"]["state"] == "warning"
    assert "cn=exchange demo authority" in found["revocation lists"]["told"]


def test_lists_that_are_not_where_they_are_looked_for_start_nothing(findings, operate, instance):
    """Whoever named another folder and left the lists behind had none asked of any certificate, and no word of it."""
    layout = InstanceLayout(instance)
    layout.crl_folder.mkdir(exist_ok=True)
    (layout.crl_folder / "NOR.pem").write_bytes(listed(new_authority("NOR", YESTERDAY)))
    (instance / "lists").mkdir()
    with layout.settings_file.open("a") as file:
        file.write('\ncrl_folder = "lists"\n')

    code, found = findings()
    ran = operate("serve", "--port", "0")
    (layout.crl_folder / "NOR.pem").rename(instance / "lists" / "NOR.pem")

    assert (code, found["setting"]["state"]) == (1, "mend")
    assert found["setting"]["told"].endswith(f"and `{layout.crl_folder}` holds some")
    assert found["setting"]["mend"].startswith("move them there, or unset it")
    assert (ran.code, ran.out, "holds no list" in ran.err) == (1, "", True)
    assert "setting" not in findings()[1]


def test_pipe_in_place_of_the_authorities_of_receivers_is_told_and_not_waited_for(exchange, instance):
    os.mkfifo(instance / "ca.pem")
    path = instance / "exchange.toml"
    path.write_text(f'webhook_authority_file = "ca.pem"\n{path.read_text()}')

    (fault,) = faults_of(load_settings(instance))

    assert "it is no plain file" in fault.told


@pytest.mark.parametrize(
    ("name", "other", "told"),
    [
        ("ca.pem", None, "cannot be read"),
        ("ca.key", None, "cannot be read"),
        ("ca.key", "server.key", "does not belong to its certificate"),
    ],
)
def test_own_authority_that_issues_nothing_is_told(findings, instance, name, other, told):
    spoilt = instance / "tls" / name
    spoilt.write_bytes(spoilt.read_bytes()[:80] if other is None else (instance / "tls" / other).read_bytes())

    code, found = findings()

    assert (code, found["certificate ca.pem"]["state"]) == (0, "warning")
    assert "`exchange client enrol` issues nothing: the authority's key" in found["certificate ca.pem"]["told"]
    assert told in found["certificate ca.pem"]["told"]
    assert found["certificate ca.pem"]["mend"].startswith("put back the key, which the escrow has")


@pytest.mark.parametrize(
    ("name", "check", "mend"),
    [
        ("ca.key", "secret ca.key", "exchange keys restore"),
        ("ca.pem", "certificate ca.pem", "each client was given it"),
    ],
)
def test_half_of_the_own_authority_is_missed_and_the_whole_is_not(findings, instance, name, check, mend):
    (instance / "tls" / name).unlink()

    code, found = findings()

    assert (code, found[check]["state"]) == (0, "warning")
    assert f"`{instance / 'tls' / name}` is missing" in found[check]["told"]
    assert mend in found[check]["mend"]
    for each in ("ca.key", "ca.pem"):
        (instance / "tls" / each).unlink(missing_ok=True)
    assert not {"secret ca.key", "certificate ca.pem"} & findings()[1].keys()


def test_authority_that_is_none_is_named_and_the_server_has_no_part_in_it(findings, instance):
    path = InstanceLayout(instance).authorities_folder / "nor.pem"
    path.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")

    bundle = findings()[1]["trust bundle"]

    assert bundle["told"] == f"TLS cannot start: `{path}`: what is in it is not whole"
    assert "exchange ca server" not in bundle["mend"]
