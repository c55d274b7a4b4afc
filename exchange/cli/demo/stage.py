"""What the demo works on: its folder, its inputs, and what came of it so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from exchange.cli.demo.cast import Player
from exchange.cli.demo.inputs import Input
from exchange.cli.demo.record import Entry
from exchange.cli.demo.script import Script
from exchange.client import Endpoint, ExchangeClient
from exchange.crypto import ObjectSigningKey
from exchange.kernel import system_clock


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that was refused, and the reason that the log must give for it."""

    who: str
    request_id: str
    reason: str


@dataclass(slots=True)
class Stage:
    """`inputs` are files by the names of their parts; `url` is where it is served; `clients` are client ids by player.

    `names` tell ids as people know them (clients, reports, agreements), `keys` are the signatories' own, by player.
    `began_on` is the day (UTC) on which it began; another one may come before it ends.
    """

    folder: Path
    inputs: Mapping[str, Input]
    script: Script
    url: str = ""
    names: dict[str, str] = field(default_factory=dict)
    clients: dict[str, str] = field(default_factory=dict)
    keys: dict[str, ObjectSigningKey] = field(default_factory=dict)
    agreement: str = ""
    reports: list[str] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    entries: tuple[Entry, ...] = ()
    began_on: date = field(default_factory=lambda: system_clock().date())

    def days(self) -> list[date]:
        """Return the days on which something of it was done, the first one first."""
        return sorted({self.began_on, system_clock().date()})

    def contents(self) -> dict[str, bytes]:
        """Return the bytes of the inputs by the names of their parts."""
        return {name: each.content for name, each in self.inputs.items()}

    def files_of(self, name: str) -> Path:
        """Return the folder with somebody's certificate and key."""
        return self.folder / "clients" / name

    def endpoint(self, name: str) -> Endpoint:
        """Return where the exchange is, as somebody goes there."""
        files = self.files_of(name)
        return Endpoint(self.url, files / "client.pem", files / "client.key", files / "ca.pem")

    def connect(self, player: Player) -> ExchangeClient:
        """Return a player's own connection."""
        return ExchangeClient.at(self.endpoint(player.name))
