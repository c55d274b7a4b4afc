"""A live feed against a real TLS receiver: killed and restarted on either side, no entry is lost."""

import errno
import itertools
import json
import os
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from exchange.audit.export import Place, Statement, parse_place
from exchange.audit.export.syslog import message
from exchange.client import UnsafeKeyError
from exchange.client.errors import AnswerError, ConnectionFailedError, ProblemError
from exchange.client.feeding import Feed, FeedState
from exchange.client.syslog import Receiver, ReceiverError, SyslogSession, _context
from exchange.kernel import InvalidError, UnavailableError
from tests.core.audit.export.exported import FULL, at_place
from tests.support.syslog_receiver import SyslogReceiver, make_receiver_files


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_receiver_files(tmp_path_factory.mktemp("receiver"))


@pytest.fixture
def receiver(files: Path) -> Iterator[SyslogReceiver]:
    with SyslogReceiver(files) as one:
        yield one


def session_to(receiver: SyslogReceiver, files: Path, ca: str = "ca.pem") -> SyslogSession:
    return SyslogSession(Receiver("127.0.0.1", receiver.port, files / ca), timeout_seconds=5)


def log_of(count: int) -> Callable[[Place | None], Iterator[object]]:
    def read(after: Place | None) -> Iterator[object]:
        start = 0 if after is None else after.position + 1
        for position in range(start, count):
            yield at_place(FULL, position=position)
        yield Statement("2026-03-01T12:00:00Z", None, None, None, count - start, f"1.{count}")

    return read


def feeding(read, session, path: Path, **others) -> Feed:
    given = {"clock": time.monotonic, "pause": lambda _: None, **others}
    return Feed(read, message, session, FeedState(path), **given)


def reached(path: Path) -> Place:
    return parse_place(json.loads(path.read_text())["after"])


def test_every_entry_arrives_once_where_nothing_breaks(receiver, files, tmp_path):
    feed = feeding(log_of(50), session_to(receiver, files), tmp_path / "state")
    feed.run()

    assert receiver.positions == list(range(50))
    assert receiver.sessions == 1
    assert reached(tmp_path / "state") == (1, 49)
    assert feed.delivered == 50


def test_feed_that_is_started_again_goes_on_where_it_was(receiver, files, tmp_path):
    for count in (20, 20, 45):
        feeding(log_of(count), session_to(receiver, files), tmp_path / "state").run()

    assert receiver.positions == list(range(45))


@pytest.mark.parametrize("limit", [0, 1, 7, 29])
def test_receiver_that_drops_dead_gets_again_what_it_did_not_confirm(receiver, files, tmp_path, limit):
    receiver.limit = limit
    told: list[str] = []
    feeding(log_of(30), session_to(receiver, files), tmp_path / "state", told=told.append).run()

    assert receiver.positions == [*range(limit), *range(30)]
    assert len(told) == 1
    assert reached(tmp_path / "state") == (1, 29)


def test_receiver_that_only_closes_its_side_has_read_all(receiver, files, tmp_path):
    receiver.answers_close = False
    told: list[str] = []
    feeding(log_of(30), session_to(receiver, files), tmp_path / "state", told=told.append).run()

    assert (receiver.positions, told) == (list(range(30)), [])


def test_nothing_is_written_down_before_the_receiver_has_it(receiver, files, tmp_path):
    receiver.limit = 5
    session = session_to(receiver, files)

    def read(after):
        assert not (tmp_path / "state").exists()
        yield from log_of(6 if receiver.limit else 10)(after)

    feeding(read, session, tmp_path / "state").run()

    assert set(receiver.positions) == set(range(10))


def test_receiver_that_is_restarted_is_found_again(files, tmp_path):
    with SyslogReceiver(files) as first:
        port = first.port
        session = session_to(first, files)
        feeding(log_of(10), session, tmp_path / "state").run()
    started: list[SyslogReceiver] = []

    def restart(_: float) -> None:
        if len(waits) == 2:
            started.append(SyslogReceiver(files, port).__enter__())

    waits: list[str] = []
    feeding(log_of(25), session, tmp_path / "state", pause=restart, told=waits.append).run()
    started[0].__exit__()

    assert len(waits) == 2
    assert started[0].positions == list(range(10, 25))


def test_feed_killed_before_it_wrote_down_sends_again(receiver, files, tmp_path):
    session = session_to(receiver, files)

    class KilledState(FeedState):
        def write(self, place: Place) -> None:
            raise KeyboardInterrupt

    feed = Feed(log_of(10), message, session, KilledState(tmp_path / "state"), time.monotonic, lambda _: None)
    with pytest.raises(KeyboardInterrupt):
        feed.run()
    feeding(log_of(12), session_to(receiver, files), tmp_path / "state").run()

    assert receiver.positions == [*range(10), *range(12)]


def test_window_is_confirmed_when_it_is_full(receiver, files, tmp_path, monkeypatch):
    monkeypatch.setattr("exchange.client.feeding._LARGEST_WINDOW", 10)
    feeding(log_of(35), session_to(receiver, files), tmp_path / "state").run()

    assert receiver.positions == list(range(35))
    assert receiver.sessions == 4


def test_followed_log_is_confirmed_after_some_seconds(receiver, files, tmp_path):
    seconds = itertools.count(0, 3)
    states: list[Place] = []

    def read(after):
        yield at_place(FULL, position=0)
        for _ in range(3):
            yield Statement("2026-03-01T12:00:00Z", None, None, None, 0, "1.1")
        states.append(reached(tmp_path / "state"))
        yield at_place(FULL, position=1)

    feeding(read, session_to(receiver, files), tmp_path / "state", clock=lambda: float(next(seconds))).run()

    assert states == [(1, 0)]
    assert receiver.positions == [0, 1]
    assert receiver.sessions == 2


def test_slow_receiver_slows_the_feed_and_loses_nothing(receiver, files, tmp_path):
    receiver.delay_seconds = 0.001
    feeding(log_of(300), session_to(receiver, files), tmp_path / "state").run()

    assert receiver.positions == list(range(300))


def test_exchange_that_is_away_is_tried_again(receiver, files, tmp_path):
    faults = iter([ConnectionFailedError("away"), ProblemError(status=503, code="unavailable", detail="away"), None])

    def read(after):
        yield from itertools.islice(log_of(10)(after), 2)
        fault = next(faults)
        if fault is not None:
            raise fault
        yield from log_of(10)(Place(1, 1) if after is None else Place(1, after.position + 2))

    feeding(read, session_to(receiver, files), tmp_path / "state").run()

    assert set(receiver.positions) == set(range(10))


@pytest.mark.parametrize(
    "fault", [ProblemError(status=403, code="client-suspended", detail="no"), AnswerError("damaged")]
)
def test_refusal_ends_the_feed(receiver, files, tmp_path, fault):
    def read(_):
        yield from ()
        raise fault

    with pytest.raises(type(fault)):
        feeding(read, session_to(receiver, files), tmp_path / "state").run()


def test_receiver_of_another_authority_is_not_believed(receiver, files):
    with pytest.raises(ReceiverError, match="certificate"):
        session_to(receiver, files, "other.pem").send(b"x")

    assert receiver.positions == []


def test_session_that_was_never_opened_has_nothing_to_confirm(receiver, files):
    session_to(receiver, files).confirm()

    assert receiver.sessions == 0


@pytest.mark.parametrize("content", ["", "{", "[]", '{"after": "x"}', '{"after": 3}'])
def test_damaged_state_is_no_beginning(tmp_path, content):
    (tmp_path / "state").write_text(content)

    with pytest.raises(InvalidError, match="how far"):
        FeedState(tmp_path / "state").read()


def test_state_comes_back_and_is_its_owners_alone(tmp_path):
    state = FeedState(tmp_path / "state")
    assert state.read() is None
    state.write(Place(2, 7))

    assert state.read() == (2, 7)
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_state_and_its_name_are_on_the_disk_before_the_feed_goes_on(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(Path(f"/proc/self/fd/{handle}").readlink()))
    FeedState(tmp_path / "state").write(Place(2, 7))

    content, name = synced
    assert (content.parent, name) == (tmp_path, tmp_path)


def test_state_is_written_through_no_link_and_what_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    """It lay beside under a name that anybody could guess, which two feeds in containers of their own had both."""
    folder, other = tmp_path / "states", tmp_path / "other"
    folder.mkdir()
    other.write_text("another's")
    (folder / f".state.{os.getpid()}").symlink_to(other)
    FeedState(folder / "state").write(Place(2, 7))
    held = sorted(path.name for path in folder.iterdir())
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UnavailableError, match="cannot be written"):
        FeedState(folder / "state").write(Place(2, 8))

    assert other.read_text() == "another's"
    assert FeedState(folder / "state").read() == (2, 7)
    assert sorted(path.name for path in folder.iterdir()) == held


def full(_: int) -> None:
    raise OSError(errno.ENOSPC, "no space left on device")


class Road:
    """A session that keeps what it was told to do."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def send(self, _: bytes) -> None:
        self.told.append("send")

    def confirm(self) -> None:
        self.told.append("confirm")

    def abandon(self) -> None:
        self.told.append("abandon")


def test_feed_waits_longer_each_time_as_long_as_it_is_asked_to_and_from_the_first_again_once_it_moved(tmp_path):
    away, busy = ConnectionFailedError("away"), ProblemError(status=503, code="busy", detail="", retry_after_seconds=40)
    faults = iter([away, away, None, busy, ReceiverError("gone"), None])
    waits: list[float] = []

    def read(after):
        if (fault := next(faults)) is not None:
            raise fault
        yield from log_of(2)(after)
        if after is None:
            raise away

    road, seconds = Road(), itertools.count(0, 10)
    feeding(read, road, tmp_path / "state", pause=waits.append, clock=lambda: float(next(seconds))).run()

    assert waits == [1.0, 2.0, 1.0, 40.0, 5.0]
    assert road.told == [*["abandon"] * 2, "send", "send", "confirm", *["abandon"] * 3]


def test_feed_that_follows_confirms_nothing_twice_and_no_oftener_than_after_some_seconds(tmp_path):
    """Each time costs the receiver a handshake."""
    road, now = Road(), [0.0]

    def read(_):
        yield from log_of(0)(None)
        yield at_place(FULL, position=0)
        for now[0] in (4.9, 5.0, 20.0):
            yield from log_of(0)(None)
            road.told.append(f"{now[0]:g}")

    feeding(read, road, tmp_path / "state", clock=lambda: now[0]).run()

    assert road.told == ["send", "4.9", "confirm", "5", "20"]


@pytest.mark.parametrize(
    ("address", "place"),
    [("syslog+tls://siem.example:7000", ("siem.example", 7000)), ("syslog+tls://[::1]", ("::1", 6514))],
)
def test_address_of_a_receiver(address, place):
    receiver = Receiver.parse(address, Path("ca"), None, None)

    assert (receiver.host, receiver.port) == place


@pytest.mark.parametrize(
    "address",
    [
        "",
        "siem.example",
        "syslog://siem",
        "https://siem",
        "syslog+tls://",
        "syslog+tls://a:x",
        "syslog+tls://a/b",
        "syslog+tls://a?c",
        "syslog+tls://a#d",
        "syslog+tls://me@a",
    ],
)
def test_other_address_is_refused(address):
    assert Receiver.parse("syslog+tls://a/", Path("ca"), None, None).host == "a"

    with pytest.raises(InvalidError, match="is no receiver"):
        Receiver.parse(address, Path("ca"), None, None)


def test_certificate_needs_its_key():
    with pytest.raises(InvalidError, match="give both"):
        Receiver.parse("syslog+tls://a", Path("ca"), Path("cert"), None)


def test_missing_authority_is_said(tmp_path):
    with pytest.raises(UnsafeKeyError):
        SyslogSession(Receiver("a", 1, tmp_path / "none.pem"))


def test_receiver_is_shown_the_certificate_and_is_spoken_to_in_no_old_version(files, certificates, tmp_path):
    names = certificates / "client.pem", certificates / "client.key"

    assert _context(Receiver("a", 1, files / "ca.pem", *names)).minimum_version is ssl.TLSVersion.TLSv1_2
    with pytest.raises(UnsafeKeyError, match="cannot be used"):
        _context(Receiver("a", 1, files / "ca.pem", names[0], tmp_path / "absent"))
