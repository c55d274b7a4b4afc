"""The locks hold what pyproject asks for, every line with its hash, and name no index."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
LOCKS = [
    "requirements.txt",
    "requirements-dev.txt",
    "requirements-client.txt",
    "requirements-build.txt",
    "requirements-traces.txt",
]
PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;]+)", re.MULTILINE)


def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def lock(name: str) -> dict[str, Version]:
    text = (ROOT / name).read_text("utf-8")
    return {canonicalize_name(found): Version(version) for found, version in PINNED.findall(text)}


def asked(group: str | None) -> list[Requirement]:
    declared = project()
    named = declared["dependency-groups"] | declared["project"]["optional-dependencies"]
    lines = declared["project"]["dependencies"] if group is None else named[group]
    return [Requirement(line) for line in lines if isinstance(line, str)]


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("requirements.txt", None),
        ("requirements-dev.txt", None),
        ("requirements-dev.txt", "dev"),
        ("requirements-client.txt", "client"),
        ("requirements-build.txt", "build"),
        ("requirements-dev.txt", "traces"),
        ("requirements-traces.txt", None),
        ("requirements-traces.txt", "traces"),
    ],
)
def test_lock_satisfies_what_is_asked(name: str, group: str | None) -> None:
    held = lock(name)
    missing = [
        str(wish)
        for wish in asked(group)
        if canonicalize_name(wish.name) not in held or held[canonicalize_name(wish.name)] not in wish.specifier
    ]

    assert missing == []


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_hashes(name: str) -> None:
    entries = re.split(r"^(?=\S)", (ROOT / name).read_text("utf-8"), flags=re.MULTILINE)

    assert [entry for entry in entries if entry.strip() and "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("name", LOCKS)
def test_lock_names_no_index(name: str) -> None:
    text = (ROOT / name).read_text("utf-8")

    assert "://" not in text
    assert "index" not in text
    assert "find-links" not in text


@pytest.mark.parametrize("name", [name for name in LOCKS if name != "requirements-dev.txt"])
def test_locks_agree_on_versions(name: str) -> None:
    everything = lock("requirements-dev.txt")

    assert {found: version for found, version in lock(name).items() if everything.get(found) != version} == {}


@pytest.mark.parametrize("name", LOCKS)
def test_extras_are_pinned_with_their_package(name: str) -> None:
    # pip, given hashes, takes `coverage[toml]` from a line `coverage[toml]==...` alone; uv is content with less.
    lines = [Requirement(line.rstrip(" \\")) for line in (ROOT / name).read_text("utf-8").splitlines() if "==" in line]
    held = {canonicalize_name(line.name): line.extras for line in lines}
    missing = [
        f"{package} asks for {wish}"
        for package in held
        for wish in _wishes_of(package)
        if not wish.extras <= held.get(canonicalize_name(wish.name), set())
    ]

    assert missing == []


def _wishes_of(package: str) -> list[Requirement]:
    try:
        wishes = [Requirement(line) for line in requires(package) or ()]
    except PackageNotFoundError:
        return []  # of another platform
    return [wish for wish in wishes if wish.marker is None or wish.marker.evaluate({"extra": ""})]


def test_server_is_pinned_exactly() -> None:
    # A protocol class of uvicorn is subclassed to read the client certificate: another version is another review.
    assert "uvicorn==0.54.0" in {str(wish) for wish in asked(None)}


def test_client_needs_nothing_beyond_the_project() -> None:
    whole = {canonicalize_name(wish.name): wish.specifier for wish in asked(None)}

    assert [str(wish) for wish in asked("client") if whole.get(canonicalize_name(wish.name)) != wish.specifier] == []
