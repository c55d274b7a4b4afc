"""The demo: right on real input, wrong where anything is."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from types import SimpleNamespace

import pytest

from exchange.cli.demo import cast
from tests.support.house import command
from tests.support.prepared import PreparedProcess, run_prepared

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = ROOT.parent / "shared" / "data"

pytestmark = pytest.mark.journey

REFUSED = (
    "DNK (a party, not releasable)",
    "ESP (no party)",
    "NOR with an expired clearance",
    "NOR cleared RESTRICTED only",
    "NOR without the compartment",
    "the exchange's operator",
    "a revoked client",
    "a certificate that nobody enrolled",
    "a certificate of a foreign authority",
)


@pytest.fixture
def demo(tmp_path):
    """Run the demo as a person would, with its temporary folder where the test can see it."""

    def play(*words, **environment):
        (tmp_path / "temporary").mkdir(exist_ok=True)
        return subprocess.run(
            [sys.executable, "-m", "exchange.cli", "demo", *map(str, words)],
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
            env={**os.environ, "TMPDIR": str(tmp_path / "temporary"), **environment},
        )

    return play


@pytest.fixture
def copied_processes(monkeypatch):
    """Have the server and the verifiers of a demo in this process begin as copies, each of which takes a second less."""
    begins = SimpleNamespace(**{**vars(subprocess), "Popen": PreparedProcess})
    monkeypatch.setattr("exchange.cli.demo.server.subprocess", begins)

    def run(command, *, cwd, env, **_given):
        return run_prepared(*command[1:], cwd=cwd, env=env)

    monkeypatch.setattr("exchange.cli.demo.convicting.subprocess", SimpleNamespace(run=run))


@pytest.fixture
def demo_here(tmp_path, monkeypatch, copied_processes):
    """Run the demo in this process, which takes a second less, with its temporary folder where the test can see it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()

    def play(*words, **environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return command("demo", *words)

    return play


def bundle_like(name):
    """Return a STIX bundle of the shape of the published ones."""
    objects = [
        {
            "type": "indicator",
            "spec_version": "2.1",
            "id": f"indicator--{uuid.uuid5(uuid.NAMESPACE_URL, f'{name}/{number}')}",
            "created": "2015-05-15T09:12:16.432Z",
            "modified": "2015-05-15T09:12:16.432Z",
            "name": f"{name} infrastructure {number}",
            "pattern": f"[domain-name:value = '{name}-{number}.example']",
            "pattern_type": "stix",
            "valid_from": "2013-02-19T00:00:00Z",
        }
        for number in range(150)
    ]
    bundle = {"type": "bundle", "id": f"bundle--{uuid.uuid5(uuid.NAMESPACE_URL, name)}", "objects": objects}
    return json.dumps(bundle, indent=4)


@pytest.fixture
def published(tmp_path):
    """The reports published by OASIS where that folder is there, else bundles made to their shape."""
    found = [PUBLISHED / name for name in ("apt1.json", "poisonivy.json")]
    if all(path.is_file() for path in found):
        print("on the published reports")
        return found
    print("the published reports are not beside this checkout: on bundles of their shape")
    made = [tmp_path / "apt1.json", tmp_path / "poisonivy.json"]
    for path in made:
        path.write_text(bundle_like(path.stem), encoding="utf-8")
    return made


def test_demo_on_its_samples_is_right_and_can_be_read(demo, tmp_path):
    ran = demo()

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "FAIL" not in ran.stdout
    assert "NATO SECRET//REL TO GBR, NOR" in ran.stdout
    for who in REFUSED:
        assert f"ok    {who}" in ran.stdout
    assert "report.posted" in ran.stdout
    assert "not-releasable" in ran.stdout
    assert "ok    a separate process with only the public keys verifies the log" in ran.stdout
    assert "ok    a refusal turned into a permission is named: tree: entry " in ran.stdout
    assert "steps came out right in" in ran.stdout
    assert list((tmp_path / "temporary").iterdir()) == []


def test_tour_of_agreements_is_right(demo_here):
    ran = demo_here("--tour", "agreements", "--json")

    assert ran.code == 0, ran.out + ran.err
    shown = ran.json
    assert shown["ok"] is True
    steps = {step["id"]: step["found"] for step in shown["steps"]}
    assert steps["both states sign the same text"] == "draft -> in_force"
    assert steps["alone it is not enough"] == "second-person-needed"
    assert steps["the other amendment came too late and is told so"] == "amendment-overtaken"
    assert "and nothing that is older" in steps
    assert steps["Norway ends the crisis"] == "Denmark finds nothing any more"
    assert steps["Norway promised to acknowledge, and did not"].startswith("acknowledgement owed to GBR")
    assert steps["Britain opens a consultation, Norway answers, it is settled"] == "settled"
    assert "a separate process with only the public keys verifies the log" in steps


AMBER = "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"
ODD = {
    ".bashrc": b"x",
    "CON.txt": b"GBR\n",
    "zeros": bytes(3_000_000),
    "broken.json": b'{"type": "bundle", "objects": [',
    "latin.txt": "S\u00f8knad om innsyn".encode("latin-1"),
    "scan.pdf": b"no PDF at all",
    "marked.json": json.dumps(
        {"type": "bundle", "objects": [{"type": "indicator", "object_marking_refs": [AMBER]}]}
    ).encode(),
}
"""Files that are not what their names say, hold next to nothing, are called what no part is called, or bear a caveat."""


@pytest.fixture
def odd(tmp_path):
    """Files of all kinds; together more than one body holds."""
    folder = tmp_path / "odd"
    folder.mkdir()
    for name, content in ODD.items():
        (folder / name).write_bytes(content)
    (folder / "large").write_bytes(os.urandom(6_000_000))
    return sorted(folder.iterdir())


def test_demo_on_published_reports_and_any_files_is_right(demo_here, published, odd, tmp_path):
    published = [*published, *odd]
    words = [word for path in published for word in ("--input", path)]
    ran = demo_here(*words, "--dir", tmp_path / "kept", "--json")

    assert ran.code == 0, ran.out + ran.err
    shown = ran.json
    assert shown["ok"] is True
    assert shown["seconds"] < 60
    steps = {step["id"]: step for step in shown["steps"]}
    assert all(step["ok"] for step in steps.values())
    size = sum(path.stat().st_size for path in published)
    assert steps["GBR posts report no. 1"]["found"] == (
        f"{len(published)} parts, {size:,} bytes, as NATO SECRET//TLP:AMBER/REL TO GBR, NOR"
    )
    searched = steps["no plaintext on disk (server stopped)"]["found"]
    assert searched.endswith("bashrc, 4_CON.txt, zeros: too little to be told from chance")
    kinds = {entry["type"] for entry in shown["audit"]}
    assert {"client.enrolled", "agreement.signed", "report.posted", "report.read", "client.revoked"} <= kinds
    assert (tmp_path / "kept" / "exchange.db").is_file()


def test_pull_that_is_refused_makes_it_wrong(demo_here, tmp_path):
    law = shutil.copytree(ROOT / "policies", tmp_path / "law")
    guard = '@id("test.nothing-for-norway")\n@reason("planted")\nforbid (principal, action, resource)\nwhen { principal.member == "NOR" };\n'
    (law / "guards" / "planted.cedar").write_text(guard, encoding="utf-8")

    ran = demo_here("--json", EXCHANGE_POLICIES_DIR=str(law))

    assert ran.code == 1
    shown = ran.json
    wrong = [step["id"] for step in shown["steps"] if not step["ok"]]
    assert "NOR finds report no. 1 in its list" in wrong
    assert shown["ok"] is False
    assert list((tmp_path / "temporary").iterdir()) == []


def test_release_that_must_not_be_makes_it_wrong(monkeypatch, demo_here):
    monkeypatch.setattr(cast, "MARKING", "NATO SECRET//REL TO GBR, DNK, NOR")

    ran = demo_here("--json")

    assert ran.code == 1
    wrong = [step["id"] for step in ran.json["steps"] if not step["ok"]]
    assert wrong == [
        "DNK (a party, not releasable)",
        "and who could have read it today, and who did",
        "the log says why: DNK (a party, not releasable)",
    ]


def test_plaintext_on_disk_makes_it_wrong(demo_here, tmp_path):
    # The title of the agreement is kept in the clear: a report that holds nothing else is found.
    (tmp_path / "title.txt").write_text(cast.TITLE, encoding="utf-8")

    ran = demo_here("--input", tmp_path / "title.txt", "--json")

    assert ran.code == 1
    wrong = [step["id"] for step in ran.json["steps"] if not step["ok"]]
    assert wrong == ["no plaintext on disk (server running)", "no plaintext on disk (server stopped)"]


def test_server_that_does_not_start_makes_it_wrong(demo_here, tmp_path):
    # The set-up does without the server's key; the server does not.
    ran = demo_here("--json", EXCHANGE_SERVER_KEY_FILE=str(tmp_path / "none.key"))

    assert ran.code == 1
    assert "the server did not start" in ran.err


@pytest.mark.parametrize("content", [None, b"", "folder"])
def test_input_that_is_none_is_refused(tmp_path, content):
    if content == "folder":
        (tmp_path / "input").mkdir()
    elif content is not None:
        (tmp_path / "input").write_bytes(content)

    ran = command("demo", tmp_path / "input")

    assert ran.code == 1
    assert str(tmp_path / "input") in ran.err
    assert ran.out == ""


def test_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("precious")

    ran = command("demo", "--dir", tmp_path / "mine")

    assert ran.code == 1
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["file"]
