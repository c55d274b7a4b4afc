"""The bill of materials names all that is locked, and no licence slips in that this project cannot live with."""

import json
import re
from datetime import UTC, datetime

import pytest

from tests.support.locked import LOCK, locked_packages
from tests.support.sbom import bill, main

NOW = datetime(2026, 11, 26, tzinfo=UTC)
REQUIRED = {"type", "bom-ref", "name", "version", "purl", "hashes"}
COPYLEFT = re.compile(r"\b(A?GPL|GNU (Affero )?General Public|SSPL|BUSL)\b", re.IGNORECASE)


def test_bill_names_every_locked_package_with_its_digests() -> None:
    pinned = set(re.findall(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", LOCK.read_text("utf-8"), re.MULTILINE))
    digests = set(re.findall(r"--hash=sha256:([0-9a-f]{64})", LOCK.read_text("utf-8")))
    components = bill(NOW)["components"]

    assert {(each["name"], each["version"]) for each in components} == pinned
    assert {found["content"] for each in components for found in each["hashes"]} == digests
    assert all(set(each) >= REQUIRED and each["hashes"] for each in components)


def test_bill_has_what_the_format_asks_for() -> None:
    made = bill(NOW)

    assert (made["bomFormat"], made["specVersion"], made["version"]) == ("CycloneDX", "1.6", 1)
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", made["serialNumber"])
    assert made["metadata"]["timestamp"] == "2026-11-26T00:00:00Z"
    assert made["metadata"]["component"]["name"] == "exchange"


def test_everything_in_the_bill_is_needed_by_something() -> None:
    made = bill(NOW)
    known = {each["bom-ref"] for each in made["components"]} | {made["metadata"]["component"]["bom-ref"]}
    edges = {line["ref"]: line["dependsOn"] for line in made["dependencies"]}

    assert set(edges) == known
    assert {needed for needs in edges.values() for needed in needs} == known - {
        made["metadata"]["component"]["bom-ref"]
    }


def test_bill_names_no_host() -> None:
    text = json.dumps({key: value for key, value in bill(NOW).items() if key != "$schema"})

    assert "://" not in text


def test_same_lock_gives_the_same_bill(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1795651200")

    assert main() == 0
    first = capsys.readouterr().out
    assert main() == 0
    assert capsys.readouterr().out == first
    assert json.loads(first)["metadata"]["timestamp"] == "2026-11-26T00:00:00Z"


def test_no_licence_binds_the_service_as_a_whole() -> None:
    assert [(each.name, each.licence) for each in locked_packages() if COPYLEFT.search(each.licence or "")] == []


def test_every_installed_package_tells_its_licence() -> None:
    assert [each.name for each in locked_packages() if each.licence == "not told"] == []
