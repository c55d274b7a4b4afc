"""What TLS goes by is taken up while the process runs: only what is better than what is in use, and told else."""

import asyncio
import logging
import os
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from exchange.crypto import (
    KeyAndCertificate,
    issue_client,
    issue_server,
    new_authority,
    read_authorities,
    read_revocation_lists,
)
from exchange.entrypoints.http.edge import Edges, load_edges
from exchange.entrypoints.http.lain import PATIENCE
from exchange.entrypoints.http.listed import without_list
from exchange.entrypoints.http.trust import Kind, Trust, TrustFiles
from exchange.kernel import UnsafeSettingError
from exchange.settings import read_secret
from tests.entrypoints.certificates import NOW, YESTERDAY, Identity, is_let_in, listed, make_trust, write_identity
from tests.entrypoints.certificates import Trust as Authorities
from tests.entrypoints.test_edge import rfc9440


class Node:
    """A process's trust over an instance's `tls` folder, and how far its clock is ahead."""

    def __init__(self, folder: Path, *, lists: bool = True) -> None:
        self.own = make_trust(folder / "tls")
        self.folder, self.lists = self.own.folder, self.own.folder / "crl"
        self.lists.mkdir()
        self.client, self.other = self.own.client("client"), self.own.client("other")
        self.lead = timedelta(0)
        if lists:
            self.put(listed(self.own.authority, number=5))
        self.start()

    def start(self) -> None:
        edges = self.folder / "edges.pem"
        files = TrustFiles(
            self.folder / "server.pem",
            self.folder / "server.key",
            self.folder / "authorities",
            self.lists,
            edges if edges.exists() else None,
        )
        believed = load_edges(files.edges)
        self.trust = Trust(files, believed, read_secret=read_secret, clock=lambda: datetime.now(UTC) + self.lead)

    def put(self, content: bytes, name: str = "own.pem") -> Path:
        path = self.lists / name
        path.write_bytes(content)
        return path

    def looks(self, count: int = 2) -> None:
        for _ in range(count):
            asyncio.run(self.trust.look())

    def admits(self, who: Identity, own: Authorities | None = None) -> bool:
        context = (own or self.own).context(who)
        context.load_verify_locations(self.own.folder / "ca.pem")
        return is_let_in(self.trust.context, context)

    @property
    def refused(self) -> str:
        return "\n".join(told for kind in Kind for told in self.trust.refused[kind])

    def of_another(self, name: str, *, days: int = 3650) -> tuple[KeyAndCertificate, Identity]:
        """Enrol another authority, from yesterday for so many days, and return it with a client of its own."""
        authority = new_authority(name, YESTERDAY, days)
        (self.folder / "authorities" / f"{name}.pem").write_bytes(authority.certificate_pem)
        issued = issue_client(authority, "foreign", organisation="NOR/NSM", now=YESTERDAY)
        return authority, write_identity(self.folder, f"{name}-client", issued)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_what_is_newly_on_a_list_is_refused_without_a_restart(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "exchange.trust")
    assert node.admits(node.client)
    node.put(listed(node.own.authority, node.client, number=6))
    node.looks()

    assert (node.admits(node.client), node.admits(node.other)) == (False, True)
    assert node.refused == ""
    assert "taken up of revocation-lists" in caplog.text
    assert "number 6" in caplog.text


def test_a_list_is_left_alone_until_it_rests(node: Node) -> None:
    path = node.put(listed(node.own.authority, node.client, number=6))
    node.looks(1)

    assert node.admits(node.client)
    os.utime(path, ns=(1, 1))
    node.looks(1)
    assert node.admits(node.client)
    node.looks(1)
    assert not node.admits(node.client)


def named(authority: KeyAndCertificate) -> tuple[x509.ExtensionType, bool]:
    """Return what a list names its authority's key by."""
    key = x509.load_pem_x509_certificate(authority.certificate_pem).public_key()
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key), False  # type: ignore[arg-type]


def test_folder_that_never_rests_is_read_all_the_same(node: Node) -> None:
    """Something that writes there every second kept every list out, unsaid."""
    node.put(listed(node.own.authority, node.client, number=6))
    for number in range(PATIENCE + 1):
        (node.lists / f"{number}.tmp").touch()
        node.looks(1)

    assert (node.admits(node.client), node.admits(node.other)) == (False, True)


@pytest.mark.parametrize("name", ["crl/pipe.pem", "server.pem", "edges.pem"])
def test_pipe_among_the_files_keeps_nobody_waiting(node: Node, name: str) -> None:
    (node.folder / "edges.pem").write_bytes((node.folder / "server.pem").read_bytes())
    node.start()
    (node.folder / name).unlink(missing_ok=True)
    os.mkfifo(node.folder / name)
    node.put(listed(node.own.authority, node.client, number=6))
    node.looks()

    assert not node.admits(node.client)
    assert "it is no plain file" in node.refused


def forged(node: Node) -> bytes:
    other = new_authority("Test authority", YESTERDAY)
    return listed(other, number=9)


UNUSABLE: dict[str, tuple[Callable[[Node], bytes], str]] = {
    "older": (lambda node: listed(node.own.authority, number=4, issued_at=NOW), "is not newer than what is in use"),
    "older, without a number": (
        lambda node: listed(node.own.authority, number=None, issued_at=YESTERDAY - timedelta(days=9)),
        "is not newer than what is in use",
    ),
    "over": (lambda node: listed(node.own.authority, number=9, ends_at=NOW - timedelta(minutes=1)), "it ran out on"),
    "early": (
        lambda node: listed(node.own.authority, number=9, issued_at=NOW + timedelta(hours=1)),
        "not valid before",
    ),
    "forged": (forged, "does not bear the signature"),
    "of another key": (
        lambda node: listed(
            node.own.authority, number=9, extensions=((x509.AuthorityKeyIdentifier(b"other", None, None), False),)
        ),
        "does not bear the signature",
    ),
    "not understood": (
        lambda node: listed(
            node.own.authority,
            number=9,
            extensions=((x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"x"), True),),
        ),
        "critical extension",
    ),
    "its number critical": (
        lambda node: listed(node.own.authority, number=None, extensions=((x509.CRLNumber(9), True),)),
        "critical extension",
    ),
    "cut off": (lambda node: listed(node.own.authority, number=9)[:-40], "cut off"),
    "empty": (lambda _: b"", "no revocation list"),
    "nothing": (lambda _: b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", "not a revocation list"),
    "a certificate": (
        lambda node: listed(node.own.authority, number=9) + node.own.authority.certificate_pem,
        "holds a certificate beside",
    ),
}


@pytest.mark.parametrize("what", UNUSABLE)
def test_what_is_no_better_list_leaves_the_former_in_use_and_is_told(
    node: Node, caplog: pytest.LogCaptureFixture, what: str
) -> None:
    node.put(listed(node.own.authority, node.client, number=5, issued_at=YESTERDAY + timedelta(minutes=1)))
    node.looks()
    made, told = UNUSABLE[what]

    node.put(made(node))
    node.looks(4)

    assert (node.admits(node.client), node.admits(node.other)) == (False, True)
    assert told in node.refused
    assert caplog.text.count("not taken up of revocation-lists") == 1
    assert str(node.lists / "own.pem") in caplog.text


def test_list_that_is_gone_or_made_way_for_another_s_stays_in_use(node: Node) -> None:
    node.put(listed(node.own.authority, node.client, number=6))
    node.looks()

    (node.lists / "own.pem").unlink()
    node.looks()
    gone = node.refused, node.admits(node.client), node.admits(node.other)
    node.put(listed(new_authority("Another", YESTERDAY), number=9))
    node.looks()

    assert gone[1:] == (False, True)
    assert "lies there no longer, and stays in use" in gone[0]
    assert "lies there no longer, and stays in use" in node.refused
    assert (node.admits(node.client), node.admits(node.other)) == (False, True)
    node.put(listed(node.own.authority, node.client, number=7))
    node.looks()
    assert node.refused == ""


def test_list_that_was_early_is_taken_up_when_its_time_has_come(node: Node) -> None:
    early = datetime.now(UTC) + timedelta(minutes=5)
    node.put(listed(node.own.authority, node.client, number=6, issued_at=early))
    node.looks()
    assert "see the clocks" in node.refused

    node.lead = timedelta(minutes=6)
    node.looks(1)

    assert node.refused == ""
    der = ssl.PEM_cert_to_DER_cert(node.client.certificate_pem.decode())
    assert node.trust.is_revoked(der)


def test_former_list_beside_the_newer_one_is_nothing_to_tell(node: Node) -> None:
    node.put(listed(node.own.authority, node.client, number=6), "own-6.pem")
    node.looks()

    assert not node.admits(node.client)
    assert node.refused == ""


def test_next_list_brings_back_whom_a_list_had_shut_out_by_its_end(tmp_path: Path) -> None:
    node = Node(tmp_path, lists=False)
    node.put(listed(node.own.authority, number=5, ends_at=NOW - timedelta(minutes=1)))
    node.start()
    assert not node.admits(node.other)

    node.put(listed(node.own.authority, node.client, number=6))
    node.looks()

    assert (node.admits(node.client), node.admits(node.other)) == (False, True)


def test_list_that_says_more_of_itself_follows_one_that_said_less(node: Node) -> None:
    """Another program of the authority names its key on lists."""
    node.put(listed(node.own.authority, node.client, number=6, extensions=(named(node.own.authority),)))
    node.looks()

    assert (node.admits(node.client), node.admits(node.other)) == (False, True)
    assert node.refused == ""


def test_two_keys_of_one_name_have_a_list_each(tmp_path: Path) -> None:
    """An authority that moves over to another key has both for a while."""
    node = Node(tmp_path)
    second = new_authority("Test authority", YESTERDAY)
    (node.folder / "authorities" / "second.pem").write_bytes(second.certificate_pem)
    issued = issue_client(second, "moved", organisation="GBR/NCSC", now=YESTERDAY)
    moved = write_identity(node.folder, "moved", issued)
    # The first one's list is none of the second one's.
    assert without_list(node.trust._held.lists, node.trust._held.roots, NOW) == []
    both = (*node.trust._held.roots, *read_authorities(second.certificate_pem))
    assert without_list(node.trust._held.lists, both, NOW) == ["cn=test authority"]
    node.put(listed(second, number=9), "second.pem")
    node.looks()
    # TLS would take it for the other key's as well.
    assert (node.admits(moved), node.admits(node.other)) == (False, True)
    assert "does not say by which it is signed" in node.refused
    node.put(listed(node.own.authority, number=6, extensions=(named(node.own.authority),)))
    node.put(listed(second, number=1, extensions=(named(second),)), "second.pem")
    node.looks()
    assert (node.admits(moved), node.admits(node.other), node.refused) == (True, True, "")

    node.put(listed(second, moved, number=2, extensions=(named(second),)), "second.pem")
    node.looks()

    assert (node.admits(moved), node.admits(node.other), node.refused) == (False, True, "")


def test_links_that_are_exchanged_as_mounted_secrets_are_are_seen(tmp_path: Path) -> None:
    """Kubernetes links each file through `..data`, and exchanges that one link."""
    node = Node(tmp_path, lists=False)
    for name, list_pem in (
        ("..1", listed(node.own.authority, number=5)),
        ("..2", listed(node.own.authority, node.client, number=6)),
    ):
        (node.lists / name).mkdir()
        (node.lists / name / "own.pem").write_bytes(list_pem)
    (node.lists / "..data").symlink_to("..1")
    (node.lists / "own.pem").symlink_to("..data/own.pem")
    node.start()
    assert node.admits(node.client)

    (node.lists / "..new").symlink_to("..2")
    (node.lists / "..new").replace(node.lists / "..data")
    node.looks()

    assert not node.admits(node.client)


def test_first_list_shuts_out_no_authority_that_has_none_yet(tmp_path: Path) -> None:
    node = Node(tmp_path, lists=False)
    authority, foreign = node.of_another("NOR")
    node.start()

    node.put(listed(node.own.authority, node.client, number=1))
    node.looks()

    der = ssl.PEM_cert_to_DER_cert(node.client.certificate_pem.decode())
    assert (node.admits(foreign), node.admits(node.other)) == (True, True)
    # The handshake asks no list yet, and whoever is on one is refused behind it.
    assert not node.trust.admits(der, node.trust.context)
    assert "without one: cn=nor" in node.refused
    node.put(listed(authority, number=1), "nor.pem")
    node.looks()
    assert (node.admits(foreign), node.admits(node.other), node.admits(node.client)) == (True, True, False)
    assert node.refused == ""


def test_authority_is_taken_up_and_let_go(tmp_path: Path) -> None:
    node = Node(tmp_path, lists=False)
    _, foreign = node.of_another("NOR")
    der = ssl.PEM_cert_to_DER_cert(foreign.certificate_pem.decode())
    assert not node.admits(foreign)

    node.looks()
    assert node.admits(foreign)
    before = node.trust.context
    (node.folder / "authorities" / "NOR.pem").unlink()
    node.looks()

    assert (node.admits(foreign), node.admits(node.other)) == (False, True)
    # A handshake that was begun before ends behind it.
    assert not node.trust.admits(der, before)


def test_what_an_authority_has_opened_ends_with_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Opened:
        asked: tuple[bool, ...] = ()

        def reconsider(self, *, has_shrunk: bool) -> None:
            self.asked += (has_shrunk,)

    node, opened = Node(tmp_path, lists=False), Opened()
    _, foreign = node.of_another("NOR", days=8)
    node.looks()
    node.trust.opened.add(opened)
    der, own = (ssl.PEM_cert_to_DER_cert(each.certificate_pem.decode()) for each in (foreign, node.client))
    node.lead = timedelta(days=9)
    node.looks()

    assert (node.trust.is_issued(der), node.trust.is_issued(own)) == (False, True)
    # Each connection is asked about, once, whether another authority has issued its certificate.
    assert opened.asked == (True,)
    assert caplog.messages.count("the authority `cn=nor` is over: what it alone issued is let in no longer") == 1


@pytest.mark.parametrize("content", [b"", b"nothing", b"-----BEGIN CERTIFICATE-----\nAAA"])
def test_broken_authority_stays_what_it_was_and_keeps_no_list_back(node: Node, content: bytes) -> None:
    (node.folder / "authorities" / "ca.pem").write_bytes(content)
    node.put(listed(node.own.authority, node.client, number=6))
    node.looks()

    assert (node.admits(node.client), node.admits(node.other)) == (False, True)
    assert str(node.folder / "authorities" / "ca.pem") in node.refused


def test_fault_of_ours_in_one_list_or_kind_keeps_no_other_back(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(content: bytes) -> object:
        if content == b"odd":
            raise RuntimeError
        return read_revocation_lists(content)

    def fail(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("exchange.entrypoints.http.listed.read_revocation_lists", read)
    monkeypatch.setattr("exchange.entrypoints.http.trust.require_pair", fail)
    write_server(node, issue_server(node.own.authority, ["localhost"], now=YESTERDAY))
    node.put(b"odd", "a.pem")
    node.put(listed(node.own.authority, node.client, number=6))
    node.looks()

    assert (node.admits(node.client), node.admits(node.other)) == (False, True)
    assert "a fault: RuntimeError" in node.refused
    assert "it cannot be read here: RuntimeError" in node.refused


def test_fault_with_one_connection_keeps_no_other_open(node: Node) -> None:
    class Odd:
        def reconsider(self, *, has_shrunk: bool) -> None:
            raise RuntimeError

    class Asked:
        count = 0

        def reconsider(self, *, has_shrunk: bool) -> None:
            self.count += 1

    asked = Asked()
    node.trust.opened |= {Odd(), asked, Odd()}
    node.put(listed(node.own.authority, node.client, number=6))
    node.looks()

    assert asked.count == 1


def test_last_authority_stays(node: Node) -> None:
    (node.folder / "authorities" / "ca.pem").unlink()
    node.looks()

    assert node.admits(node.other)
    assert "holds no authority" in node.refused


def shown_by(node: Node) -> bytes | None:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = node.trust.context.wrap_bio(to_server, to_client, server_side=True)
    theirs = node.own.context(node.other).wrap_bio(to_client, to_server, server_hostname="localhost")
    for side in (theirs, ours, theirs):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return theirs.getpeercert(binary_form=True)


def write_server(node: Node, pair: KeyAndCertificate) -> bytes:
    (node.folder / "server.key").write_bytes(pair.key_pem)
    (node.folder / "server.pem").write_bytes(pair.certificate_pem)
    return ssl.PEM_cert_to_DER_cert(pair.certificate_pem.decode())


def test_server_certificate_is_shown_without_a_restart(node: Node) -> None:
    der = write_server(node, issue_server(node.own.authority, ["localhost"], now=YESTERDAY))
    node.looks()

    assert shown_by(node) == der
    assert node.refused == ""


def test_certificate_without_its_key_is_not_shown_and_keeps_no_list_back(node: Node) -> None:
    before = shown_by(node)
    pair = issue_server(node.own.authority, ["localhost"], now=YESTERDAY)
    (node.folder / "server.pem").write_bytes(pair.certificate_pem)
    node.put(listed(node.own.authority, node.client, number=6))
    node.looks()

    assert shown_by(node) == before
    assert "its key cannot be used" in node.refused
    assert not node.admits(node.client)
    (node.folder / "server.key").write_bytes(pair.key_pem)
    node.looks()
    assert shown_by(node) == ssl.PEM_cert_to_DER_cert(pair.certificate_pem.decode())


def test_server_certificate_that_is_over_or_early_is_not_shown(node: Node) -> None:
    before = shown_by(node)
    write_server(node, issue_server(node.own.authority, ["localhost"], now=YESTERDAY - timedelta(hours=1), days=1))
    node.looks()
    over = node.refused
    write_server(node, issue_server(node.own.authority, ["localhost"], now=NOW + timedelta(hours=1)))
    node.looks()

    assert "is not valid now" in over
    assert "is not valid now" in node.refused
    assert shown_by(node) == before


def test_key_that_others_may_read_is_not_taken_up_and_told(node: Node) -> None:
    before = shown_by(node)
    write_server(node, issue_server(node.own.authority, ["localhost"], now=YESTERDAY))
    (node.folder / "server.key").chmod(0o644)
    node.looks()

    assert shown_by(node) == before
    assert "can be read by others" in node.refused
    (node.folder / "server.key").chmod(0o600)
    node.looks()
    assert shown_by(node) != before


def test_edges_are_believed_as_the_file_names_them(node: Node) -> None:
    old, new = node.own.client("edge"), node.own.client("edge-next")
    (node.folder / "edges.pem").write_bytes(old.certificate_pem)
    node.start()
    (node.folder / "edges.pem").write_bytes(old.certificate_pem + new.certificate_pem)
    node.looks()
    both = {old.thumbprint, new.thumbprint} <= node.trust.edges.thumbprints
    (node.folder / "edges.pem").write_bytes(new.certificate_pem)
    node.looks()
    one = node.trust.edges.thumbprints
    (node.folder / "edges.pem").write_bytes(b"")
    node.looks()

    assert both
    assert one == {new.thumbprint}
    assert node.trust.edges.thumbprints == {new.thumbprint}
    assert "holds no certificate" in node.refused


def test_edge_names_nobody_whom_a_list_has_that_lay_there_at_the_start(node: Node) -> None:
    (node.folder / "edges.pem").write_bytes(node.own.client("edge").certificate_pem)
    node.put(listed(node.own.authority, node.client, number=6))
    node.start()
    named = [
        node.trust.edges.forwarded([(b"client-cert", rfc9440(each).encode())]) for each in (node.client, node.other)
    ]

    assert [each is not None for each in named] == [False, True]


def test_start_tells_of_edges_though_there_is_no_list(tmp_path: Path) -> None:
    node = Node(tmp_path, lists=False)
    without = node.trust.in_use
    edge = node.own.client("edge")
    (node.folder / "edges.pem").write_bytes(edge.certificate_pem)
    node.start()

    assert without == {}
    assert set(node.trust.in_use) == {"authorities", "edges"}
    assert node.trust.in_use["edges"] == [edge.thumbprint]


def test_context_is_made_where_the_system_has_no_files_in_memory(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")
    node.put(listed(node.own.authority, node.client, number=6))
    node.looks()
    without = node.admits(node.client), node.admits(node.other)
    monkeypatch.undo()
    # Where a process may not look into its own descriptors, as one that must not be dumped.
    monkeypatch.setattr("exchange.entrypoints.http.contexts.os.access", lambda *_: False)
    node.put(listed(node.own.authority, node.other, number=7))
    node.looks()

    assert without == (False, True)
    assert (node.admits(node.client), node.admits(node.other)) == (True, False)


def test_start_refuses_a_list_that_cannot_be_read(node: Node) -> None:
    node.put(b"nothing")

    with pytest.raises(UnsafeSettingError, match=r"own\.pem"):
        node.start()


def test_start_begins_with_the_newest_list_that_is_valid(node: Node) -> None:
    node.put(listed(node.own.authority, node.client, number=6), "a.pem")
    node.put(listed(node.own.authority, number=7, ends_at=NOW - timedelta(minutes=1)), "b.pem")
    node.start()

    assert (node.admits(node.client), node.admits(node.other)) == (False, True)


async def test_fault_of_ours_does_not_end_the_looking(node: Node, monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    looks, enough = [0], asyncio.Event()

    async def fail() -> None:
        looks[0] += 1
        if looks[0] == 3:
            enough.set()
        raise RuntimeError("a fault")

    monkeypatch.setattr(node.trust, "look", fail)
    async with node.trust.kept_up(0.001):
        await asyncio.wait_for(enough.wait(), 30)

    assert caplog.text.count("the files of TLS cannot be looked at") == 1
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_edges_of_none_stay_none(node: Node) -> None:
    assert node.trust.edges.thumbprints == Edges().thumbprints == frozenset()
