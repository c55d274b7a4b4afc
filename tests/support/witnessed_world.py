"""A world whose log is sequenced step by step, and real witnesses that are asked without a network between."""

import os
from dataclasses import dataclass, field, replace
from datetime import timedelta
from http import HTTPStatus
from typing import Self

from exchange.audit import NoteSigner, TreeHead, parse_note
from exchange.audit.witness import SIZE_MEDIA_TYPE, origin_hash, parse_size_line
from exchange.audit.witness_views import WitnessesView
from exchange.client.witness import Alarm, new_witness
from exchange.client.witness.desk import Desk
from exchange.client.witness.folder import WitnessFolder
from exchange.client.witness.keys import WitnessKeys, read_keys
from exchange.client.witness.logs import read_logs
from exchange.custody import LogKey, create_log_key, load_log_key
from exchange.store.log.last_signed import LastSignedFile
from exchange.store.log.sequencing import LogTree
from exchange.store.log.witness_files import WitnessedFile, WitnessPolicyFile
from exchange.store.rows.log_rows import KeptCheckpoint, LogState
from exchange.usecases import describe_caller
from exchange.usecases.log.ask_witness import Asked, Cosignatures, Declined, HeldSize, Reply, Unreachable, ask_witness
from exchange.usecases.log.receive_cosignature import ReceivedCosignatures, receive_cosignature
from exchange.usecases.log.sequence_log import Desk as SequencerDesk
from exchange.usecases.log.sequence_log import Sequencer, Step
from exchange.usecases.log.watch_witnesses import WitnessWatch
from exchange.usecases.log.witnessed_log import witnessed_outside
from exchange.usecases.log.witnesses import add_witness, show_witnesses
from exchange.usecases.steps.context import Recorded, Witnessing
from tests.support.world import Entry, World

ORIGIN = "exchange.example/log/7"
KEPT = timedelta(seconds=11)


@dataclass
class WitnessedWorld:
    """A world, its sequencer, and the files in which it keeps what it knows of witnesses."""

    world: World
    tree: LogTree
    key: LogKey
    sequencer: Sequencer
    witnessed: WitnessedFile

    @classmethod
    async def open(cls, world: World) -> Self:
        """Begin the log of a world."""
        folder = world.folder / "log"
        folder.mkdir(exist_ok=True)
        path = folder / "log.key"
        key = load_log_key(path) if path.exists() else create_log_key(path, ORIGIN, os.urandom)
        policy, witnessed = WitnessPolicyFile(folder / "witnesses"), WitnessedFile(folder / "witnessed")
        world.services = replace(world.services, witnessing=Witnessing(policy, witnessed))
        tree = await LogTree.open(world.url)
        desk = SequencerDesk(
            tree=tree,
            key=key,
            file=LastSignedFile(folder / "last-signed.json"),
            record=world.services.store.append,
            clock=world.clock,
            randomness=os.urandom,
            witnessed=witnessed_outside(witnessed),
        )
        opened = cls(world, tree, key, Sequencer(desk), witnessed)
        await opened.keep()
        return opened

    async def close(self) -> None:
        await self.tree.close()

    async def step(self) -> Step:
        """Place all that waits."""
        step = Step.MORE
        while step in {Step.MORE, Step.PLACED}:
            step = await self.sequencer.step()
        return step

    async def keep(self) -> KeptCheckpoint:
        """Place all that waits, and let enough time pass that the checkpoint is one that is kept."""
        self.world.clock.advance(KEPT)
        await self.step()
        await self.step()
        kept = await self.world.services.store.log.kept_checkpoint((await self.state()).log)
        assert kept is not None
        return kept

    async def grow(self) -> KeptCheckpoint:
        """Let something happen, and keep the checkpoint after it."""
        call = self.world.call("GBR reader")
        await describe_caller(self.world.services, call)
        return await self.keep()

    async def state(self) -> LogState:
        state = await self.world.services.store.log.state()
        assert state is not None
        return state

    def signed(self, head: TreeHead) -> bytes:
        """Return a checkpoint that nobody but the owner of the log's keys can sign."""
        return self.key.sign(head, 1_780_000_000)


@dataclass
class DeskLine:
    """The way to real witnesses by their addresses; a test may take one away, or answer for it."""

    desks: dict[str, Desk] = field(default_factory=dict)
    answers: dict[str, list[Reply]] = field(default_factory=dict)
    shows: dict[str, bytes | None] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def add_checkpoint(self, url: str, body: bytes) -> Reply:
        self.asked.append(url)
        if self.answers.get(url):
            return self.answers[url].pop(0)
        if url not in self.desks:
            return Unreachable("no connection: ConnectError")
        answer = self.desks[url].add_checkpoint(body)
        if answer.status == HTTPStatus.OK:
            return Cosignatures(answer.content)
        if answer.content_type == SIZE_MEDIA_TYPE:
            return HeldSize(parse_size_line(answer.content))
        return Declined(answer.status, answer.content.decode().strip())

    async def newest(self, url: str, origin: str) -> bytes | None:
        if url in self.shows:
            return self.shows[url]
        answer = self.desks[url].newest(origin_hash(origin)) if url in self.desks else None
        return answer.content if answer is not None and answer.status == HTTPStatus.OK else None


class MadeWitness:
    """A member's witness of the world's log, in a folder of its own."""

    def __init__(self, opened: WitnessedWorld, name: str) -> None:
        path = opened.world.folder / "witnesses" / name
        keys = tuple(opened.key.verifier_keys.splitlines())
        new_witness(path, f"witness.example/{name}", keys, os.urandom)
        self.name, self.url, self.path = name, f"https://witness.example/{name}", path
        self.alarm = Alarm()
        self.folder = WitnessFolder(path)
        self.folder.__enter__()
        self.keys: WitnessKeys = read_keys(self.folder.key_file)
        self._clock = opened.world.clock
        self.desk = Desk(self.folder, self.keys, read_logs(self.folder.logs_file), alarm=self.alarm, now=self._now)

    def close(self) -> None:
        self.folder.__exit__(None, None, None)

    @property
    def signer(self) -> NoteSigner:
        """The key that is enrolled: ML-DSA-44."""
        return self.keys.signers[1]

    def cosigned(self, note: bytes) -> str:
        """Return a checkpoint with this witness's line, however it came to that."""
        parsed = parse_note(note)
        return parsed.with_signatures(self.signer.sign(parsed.text, self._now())).render().decode()

    def _now(self) -> int:
        return int(self._clock.now.timestamp())


class Watched:
    """The witnessed world, its witnesses by name, the line to them, and the watch over them."""

    def __init__(self, opened: WitnessedWorld) -> None:
        self.opened, self.world = opened, opened.world
        self.line = DeskLine()
        self.made: dict[str, MadeWitness] = {}
        self.seconds = 0.0
        self.watch = WitnessWatch(self.world.services, self.line, lambda: self.seconds)

    async def enrol(self, name: str, *, key: int = 1) -> MadeWitness:
        witness = self.made[name] = MadeWitness(self.opened, name)
        self.line.desks[witness.url] = witness.desk
        verifier = str(witness.keys.verifiers[key])
        await add_witness(self.world.services, self.world.call(None), name, verifier, witness.url)
        await self.opened.keep()
        return witness

    @property
    def policy(self) -> WitnessPolicyFile:
        """The file of the policy."""
        found = self.world.services.witnessing.policy
        assert found is not None
        return found

    async def ask(self, name: str) -> Asked:
        (witness,) = [each for each in self.policy.read().witnesses if each.name == name]
        return await ask_witness(self.world.services, witness, self.line)

    async def view(self) -> WitnessesView:
        return (await show_witnesses(self.world.services, self.world.call(None))).value

    async def entries(self, event: str) -> list[Entry]:
        return [entry for entry in await self.world.entries() if entry["type"] == event]

    async def bring(self, checkpoint: str, who: str = "auditor") -> Recorded[ReceivedCosignatures]:
        return await receive_cosignature(self.world.services, self.world.call(who), checkpoint)
