"""Alert rules and the dashboard speak of metrics that exist, and of no others."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from exchange.entrypoints.http import inspection, metrics
from exchange.entrypoints.http.board import Family, Kind

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
NAME = re.compile(r"\bexchange_[a-z0-9_]+")
FAMILIES = {
    value.name: value for room in (inspection, metrics) for value in vars(room).values() if isinstance(value, Family)
}
_PARTS = ("_bucket", "_sum", "_count")


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((DEPLOY / "alerts.yml").read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((DEPLOY / "grafana-dashboard.json").read_text("utf-8"))["panels"]
    return found


def asked() -> list[str]:
    return [rule["expr"] for rule in rules()] + [target["expr"] for each in panels() for target in each["targets"]]


def unknown(expression: str) -> list[str]:
    """Return the metrics in an expression that no node shows."""
    known = set(FAMILIES)
    for family in FAMILIES.values():
        if family.kind is Kind.HISTOGRAM:
            known |= {family.name + part for part in _PARTS}
    return [name for name in NAME.findall(expression) if name not in known]


@pytest.mark.parametrize("expression", asked())
def test_only_metrics_that_exist_are_asked(expression: str) -> None:
    assert unknown(expression) == []


def test_metric_that_does_not_exist_would_be_noticed() -> None:
    assert unknown("rate(exchange_http_requests[5m]) / exchange_ready") == ["exchange_http_requests"]


def test_every_rule_is_named_once_and_says_how_urgent_it_is() -> None:
    names = [rule["alert"] for rule in rules()]

    assert len(set(names)) == len(names)
    assert {rule["labels"]["severity"] for rule in rules()} == {"page", "ticket"}
    assert all(rule["annotations"]["summary"] for rule in rules())


def test_every_rule_is_tried() -> None:
    tried = (DEPLOY / "alerts.test.yml").read_text("utf-8")

    assert [rule["alert"] for rule in rules() if rule["alert"] not in tried] == []


def test_every_rule_has_its_mend_in_the_page_of_signals() -> None:
    page = (DEPLOY.parent / "docs" / "signals.md").read_text("utf-8")

    assert [rule["alert"] for rule in rules() if f"`{rule['alert']}`" not in page] == []


def test_every_metric_is_on_the_dashboard_or_in_a_rule() -> None:
    text = " ".join(asked())

    assert [name for name in FAMILIES if name not in text] == []


def test_prometheus_asks_every_node() -> None:
    scraped = yaml.safe_load((DEPLOY / "prometheus.yml").read_text("utf-8"))["scrape_configs"]
    composed = yaml.safe_load((DEPLOY.parent / "docker-compose.yml").read_text("utf-8"))["services"]
    nodes = {f"{name}:9443" for name, found in composed.items() if "0.0.0.0:9443" in found.get("command", [])}

    assert set(scraped[0]["static_configs"][0]["targets"]) == nodes
