"""The composed service stays shut: one port, no root, no capability, nothing to write but its volumes, no secret in sight."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SERVICES = ["exchange", "database"]
SECRET_NAME = re.compile(r"(password|secret|token|key)$", re.IGNORECASE)


def composed() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    return found


def service(name: str) -> dict[str, Any]:
    found: dict[str, Any] = composed()["services"][name]
    return found


def image_lines() -> list[str]:
    return (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ").splitlines()


def test_only_the_mutual_tls_port_is_published() -> None:
    published = {name: found.get("ports", []) for name, found in composed()["services"].items()}

    assert published == {"exchange": ["${EXCHANGE_PORT:-8443}:8443"], "database": []}


def test_operations_address_stays_on_loopback() -> None:
    command = next(line for line in reversed(image_lines()) if line.startswith("CMD"))

    assert "--ops 127.0.0.1:9443" in command


def test_database_has_no_way_out() -> None:
    networks = composed()["networks"]

    assert service("database")["networks"] == ["back"]
    assert networks["back"] == {"internal": True}


@pytest.mark.parametrize("name", SERVICES)
def test_root_is_read_only_and_capabilities_are_dropped(name: str) -> None:
    found = service(name)

    assert found["read_only"] is True
    assert found["cap_drop"] == ["ALL"]
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in found


def test_service_adds_no_capability() -> None:
    assert "cap_add" not in service("exchange")


@pytest.mark.parametrize("name", SERVICES)
def test_environment_names_secret_files_and_holds_none(name: str) -> None:
    environment = service(name)["environment"]

    assert [key for key in environment if SECRET_NAME.search(key)] == []
    assert [value for key, value in environment.items() if key.endswith("_FILE")] == ["/run/secrets/database_password"]
    assert not re.search(r"//[^@/]*:[^@/]*@", str(environment.get("EXCHANGE_DATABASE_URL", "")))


def test_image_runs_as_a_user_without_rights() -> None:
    users = [line.split()[1] for line in image_lines() if line.startswith("USER")]

    assert users == ["exchange"]


def test_image_takes_only_what_is_named() -> None:
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    patterns = [line for line in ignored if line and not line.startswith("#")]
    taken = [line[1:] for line in patterns if line.startswith("!")]

    assert patterns[0] == "*"
    assert {"secrets", "instance", ".git", ".venv", "tests"}.isdisjoint(taken)
    assert {"**/*.key", "**/*.db"} <= set(patterns[len(taken) + 1 :])


def test_image_carries_no_secret() -> None:
    told = [line for line in image_lines() if line.startswith(("ENV", "ARG"))]

    assert [line for line in told if re.search(r"(?i)password|secret|token|_key", line)] == []
