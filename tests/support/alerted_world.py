"""A world whose log is sequenced and evaluated step by step, and webhooks without a network between."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from exchange import usecases
from exchange.crypto import WebhookKey
from exchange.kernel import ExchangeError
from exchange.release.alert_rules import load_alert_rules
from exchange.store.rows.alert_rows import AlertRow
from exchange.usecases import Services
from exchange.usecases.auditors.list_alerts import AlertQuery, FoundAlerts, list_alerts
from exchange.usecases.log.deliver_alerts import AlertDelivery, Webhook
from exchange.usecases.log.watch_alerts import AlertWatch
from tests.support.witnessed_world import WitnessedWorld
from tests.support.world import Entry, World

RULES = """
hours:
  default: {zone: UTC, days: [mon, tue, wed, thu, fri], from: "06:00", until: "20:00"}
  members: {NOR: {zone: Europe/Oslo, days: [sun], from: "08:00", until: "09:00"}}
rules:
  - {name: pulls, kind: mass-pulls, severity: high, cooldown: P1D, minimum: 3, deviations: 4, baseline_days: 30}
  - {name: refusals, kind: refusal-burst, severity: medium, cooldown: PT1H, count: 3, window: PT5M}
  - {name: hours, kind: out-of-hours, severity: medium, cooldown: PT8H, level: SECRET}
  - {name: addresses, kind: two-addresses, severity: high, cooldown: PT1H, window: PT2M}
  - {name: behind, kind: log-behind, severity: high, cooldown: PT15M, objective: PT10S}
  - {name: frozen, kind: log-frozen, severity: critical, cooldown: PT1H}
  - {name: exported, kind: occurrence, severity: low, cooldown: PT1M, events: [audit.exported], outcomes: [permitted]}
  - {name: silent, kind: node-silent, severity: high, cooldown: PT1H, objective: PT3M}
  - {name: refusing, kind: occurrence, severity: critical, cooldown: PT1M, events: [witness.refused], outcomes: [refused, failed]}
  - {name: witnesses, kind: witness-behind, severity: medium, cooldown: PT1H, objective: PT15M}
"""

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
HOOK = Webhook("soc", "https://soc.example/alerts", WebhookKey(SECRET))


@dataclass
class SilentLine:
    """A line to webhooks that answers what it is told to, and keeps what was sent."""

    answers: list[str | None] = field(default_factory=list)
    sent: list[tuple[str, Mapping[str, str], bytes]] = field(default_factory=list)

    async def post(self, hook: Webhook, headers: Mapping[str, str], body: bytes) -> str | None:
        self.sent.append((hook.name, headers, body))
        return self.answers.pop(0) if self.answers else None


@dataclass(repr=False)  # as a `World` is
class AlertedWorld:
    """A world, its log, and who watches it."""

    world: World
    log: WitnessedWorld
    watch: AlertWatch
    line: SilentLine = field(default_factory=SilentLine)

    @classmethod
    async def open(cls, world: World, rules: str = RULES, hooks: tuple[Webhook, ...] = (HOOK,)) -> Self:
        """Put other rules in force and begin to watch: what was before is learned from."""
        log = await WitnessedWorld.open(world)
        alerts = load_alert_rules(rules, world.services.law.catalogue)
        world.services = replace(world.services, law=replace(world.services.law, alerts=alerts))
        opened = cls(world, log, AlertWatch(world.services, tuple(hook.name for hook in hooks)))
        await opened.settle()
        return opened

    async def close(self) -> None:
        await self.log.close()

    async def settle(self) -> None:
        """Place all that waits, and evaluate it."""
        await self.log.step()
        while await self.watch.round():
            continue

    async def pull(self, name: str, report: str, *, source: str = "192.0.2.7") -> None:
        """Pull a report; a refusal is no failure here."""
        call = replace(self.world.call(name), source=source)
        try:
            await usecases.pull_report(self.world.services, call, report)
        except ExchangeError:
            return

    def another_watch(self, services: Services) -> AlertWatch:
        """Return who watches in another process."""
        return AlertWatch(replace(services, law=self.world.services.law), self.watch.hooks)

    def delivery(self, *hooks: Webhook) -> AlertDelivery:
        """Return who delivers."""
        return AlertDelivery(self.world.services, self.line, hooks or (HOOK,))

    async def alerts(self) -> list[AlertRow]:
        """Return all alerts."""
        page = await self.world.services.store.alerts.page(after=0, limit=1000, rule=None, member=None)
        return [alert for alert, _ in page]

    async def rules_told(self) -> list[str]:
        """Return the rules that spoke, in order."""
        return [alert.rule for alert in await self.alerts()]

    async def raised(self) -> list[Entry]:
        """Return the entries about alerts."""
        return [entry for entry in await self.world.entries() if entry["type"] == "alert.raised"]

    async def seen_by(self, name: str, **query: object) -> FoundAlerts:
        """Return what an auditor is shown."""
        asked = AlertQuery(**query)  # type: ignore[arg-type]  # fields are named by each test
        return (await list_alerts(self.world.services, self.world.call(name), asked)).value
