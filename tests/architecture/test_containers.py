"""The composed service stays shut: one port, no root, no capability, nothing to write but its volumes, no secret in sight."""

import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SECRET_NAME = re.compile(r"(password|secret|token|key)$", re.IGNORECASE)


@cache
def composed() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    return found


SERVICES = sorted(composed()["services"])
OURS = [name for name in SERVICES if "build" in composed()["services"][name]]
NODES = ["exchange-1", "exchange-2"]


def service(name: str) -> dict[str, Any]:
    found: dict[str, Any] = composed()["services"][name]
    return found


def image_lines() -> list[str]:
    return (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ").splitlines()


def edge_lines() -> list[str]:
    return [line.strip() for line in (ROOT / "deploy" / "edge.conf").read_text("utf-8").splitlines()]


def test_only_the_edge_is_published() -> None:
    published = {name: found["ports"] for name, found in composed()["services"].items() if "ports" in found}

    assert published == {"edge": ["${EXCHANGE_PORT:-8443}:8443"]}


@pytest.mark.parametrize(
    ("version", "is_silent"),
    [
        ("1.27.2", True),
        ("1.27.10", True),
        ("1.28.0 (Ubuntu)", True),
        ("1.31.3", True),
        ("1.27.1", False),
        ("1.9.9", False),
    ],
)
def test_edge_tells_strangers_of_no_authority_that_it_believes(tmp_path: Path, version: str, is_silent: bool) -> None:
    nginx = tmp_path / "nginx"
    nginx.write_text(f'#!/bin/bash\n[ "$1" = -v ] && echo "nginx version: nginx/{version}" >&2 || echo "started $*"\n')
    nginx.chmod(0o755)
    started = subprocess.run(
        ["/bin/bash", ROOT / "deploy" / "edge.sh"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )

    # What `ssl_client_certificate` names stands in the handshake's request for a certificate, for anybody to read.
    directive = "ssl_trusted_certificate" if is_silent else "ssl_client_certificate"
    assert (tmp_path / "believed.conf").read_text() == f"{directive} /edge/authorities.pem;\n"
    assert ("names of all authorities" in started.stderr) is not is_silent
    assert started.stdout == "started -c /etc/exchange/edge.conf -g daemon off;\n"


def test_edge_believes_whom_its_script_says() -> None:
    lines = edge_lines()

    assert service("edge")["entrypoint"] == ["bash", "/etc/exchange/edge.sh"]
    assert {"ssl_verify_client on;", "include /tmp/believed.conf;"} <= set(lines)
    assert not [line for line in lines if line.startswith(("ssl_client_certificate", "ssl_trusted_certificate"))]


def test_nodes_and_database_have_no_way_out() -> None:
    networks = composed()["networks"]
    ways_out = {name for name, network in networks.items() if not network.get("internal")}

    assert ways_out == {"outside"}
    assert [name for name in SERVICES if "outside" in service(name)["networks"]] == ["edge", "jobs", "witness"]


def test_edge_reaches_the_nodes_and_not_the_database() -> None:
    assert service("edge")["networks"] == ["outside", "front"]
    assert service("database")["networks"] == ["back"]


@pytest.mark.parametrize("name", SERVICES)
def test_root_is_read_only_and_capabilities_are_dropped(name: str) -> None:
    found = service(name)

    assert found["read_only"] is True
    assert found["cap_drop"] == ["ALL"]
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in found
    assert not any("docker.sock" in str(volume) for volume in found.get("volumes", []))


@pytest.mark.parametrize("name", SERVICES)
def test_memory_and_processes_are_bounded(name: str) -> None:
    assert service(name)["mem_limit"]
    assert service(name)["pids_limit"]


@pytest.mark.parametrize("name", SERVICES)
def test_image_is_pinned_by_more_than_latest(name: str) -> None:
    image = service(name)["image"]

    assert re.fullmatch(r"\$\{\w+:-[\w./-]+:[\w.-]+\}", image)
    assert ":latest" not in image


@pytest.mark.parametrize("name", [name for name in SERVICES if composed()["services"][name]["restart"] != "no"])
def test_what_runs_on_has_a_check_of_its_health(name: str) -> None:
    assert service(name)["healthcheck"]["test"][0] == "CMD"


def test_every_base_image_can_be_named_by_its_digest() -> None:
    bases = {name for line in image_lines() for name in re.findall(r"^ARG (\w+_IMAGE)=", line)}

    assert bases
    for name in OURS:
        assert bases <= service(name)["build"]["args"].keys()


@pytest.mark.parametrize("name", NODES)
def test_node_waits_for_the_schema_and_cannot_write_to_the_instance(name: str) -> None:
    found = service(name)

    assert found["depends_on"]["migration"] == {"condition": "service_completed_successfully"}
    assert found["volumes"] == ["instance:/data:ro"]
    assert "--no-jobs" in found["command"]


@pytest.mark.parametrize("name", OURS)
def test_service_adds_no_capability_and_needs_no_shell(name: str) -> None:
    assert "cap_add" not in service(name)
    assert service(name)["command"][0] == "exchange"


@pytest.mark.parametrize("name", SERVICES)
def test_environment_names_secret_files_and_holds_none(name: str) -> None:
    environment = service(name).get("environment", {})
    environment = {**environment.pop("<<", {}), **environment}

    assert [key for key in environment if SECRET_NAME.search(key)] == []
    named = {value for key, value in environment.items() if key.endswith("_FILE")}
    assert named <= {f"/run/secrets/{each}" for each in service(name).get("secrets", [])}
    assert not re.search(r"//[^@/]*:[^@/]*@", str(environment))


@pytest.mark.parametrize("name", OURS)
def test_only_preparation_is_the_owner_of_the_tables(name: str) -> None:
    environment = service(name).get("environment", {})
    environment = {**environment.pop("<<", {}), **environment}
    logins = {value.partition("//")[2].partition("@")[0] for key, value in environment.items() if key.endswith("_URL")}

    is_preparation = name in {"instance", "migration"}
    assert ("exchange" in logins) == is_preparation
    assert ("database_password" in service(name).get("secrets", [])) == is_preparation


def test_edge_sets_who_came_for_every_request() -> None:
    lines = edge_lines()

    assert "proxy_set_header Client-Cert $ssl_client_escaped_cert;" in lines
    assert "proxy_set_header X-Forwarded-For $remote_addr;" in lines
    # A location with a header of its own would inherit none of these: one place alone passes requests on.
    assert lines.count("proxy_pass https://nodes;") == 1
    assert [line for line in lines if line.startswith("proxy_pass")] == [
        "proxy_pass https://nodes;",
        "proxy_pass http://ready_nodes;",
    ]
    assert "listen 127.0.0.1:9080;" in lines
    assert "ssl_verify_client on;" in lines
    assert "ssl_protocols TLSv1.3;" in lines
    assert "proxy_ssl_verify on;" in lines


def test_edge_passes_on_under_which_name_and_port_it_was_asked() -> None:
    # `$host` has no port: of a page at any but 443 the nodes would hold that it is another site's.
    assert [line for line in edge_lines() if "proxy_set_header Host" in line] == ["proxy_set_header Host $http_host;"]


def test_edge_leaves_it_to_the_nodes_how_large_a_body_may_be() -> None:
    lines = edge_lines()

    # A part of a report may have hundreds of megabytes: whoever measures it here turns it away.
    assert [line for line in lines if line.startswith("client_max_body_size")] == ["client_max_body_size 0;"]
    assert "proxy_request_buffering off;" in lines
    assert not any(line.startswith("error_page") and "413" in line for line in lines)


def test_edge_finds_each_node_at_its_fixed_address() -> None:
    named = {found for line in edge_lines() for found in re.findall(r"server (10\.[0-9.]+):8443", line)}

    assert named == {service(name)["networks"]["front"]["ipv4_address"] for name in NODES}


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


def test_what_the_image_copies_is_let_in() -> None:
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    copies = [line.split()[1:-1] for line in image_lines() if line.startswith("COPY ") and "--from=" not in line]
    copied = {source for sources in copies for source in sources if not source.startswith("--")}

    assert copied
    assert copied <= let_in
