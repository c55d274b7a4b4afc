"""What TLS goes by, read again: nothing is new that is the same, and what one file says of others is seen with it."""

import asyncio
import logging
import os
import ssl
from datetime import timedelta
from pathlib import Path

import pytest

from exchange.crypto import issue_server, new_authority
from exchange.entrypoints.http.lain import PATIENCE, Lain
from exchange.kernel import UnsafeSettingError
from tests.entrypoints.certificates import NOW, YESTERDAY, Identity, listed
from tests.entrypoints.test_trust import Node, write_server
from tests.entrypoints.test_trust_news import Log, looked


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def der_of(who: Identity) -> bytes:
    return ssl.PEM_cert_to_DER_cert(who.certificate_pem.decode())


def asks_lists(node: Node) -> bool:
    return bool(node.trust.context.verify_flags & ssl.VERIFY_CRL_CHECK_LEAF)


async def test_what_is_written_anew_as_it_was_is_no_news(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "exchange.trust")
    (node.folder / "edges.pem").write_bytes(node.own.client("edge").certificate_pem)
    node.start()
    before, log = node.trust.context, Log()
    for path in (*node.folder.glob("*.pem"), *node.folder.glob("authorities/*.pem"), *node.folder.glob("crl/*.pem")):
        os.utime(path, ns=(1, 1))
    await looked(node, log, count=3)

    assert node.trust.context is before
    assert (log.entries, caplog.messages, node.refused) == ([], [], "")


async def test_which_authority_came_and_which_went_is_on_the_record_and_no_other(node: Node) -> None:
    came, went = Log(), Log()
    node.of_another("norway")
    await looked(node, came)
    (node.folder / "authorities" / "norway.pem").unlink()
    await looked(node, went)

    assert [each.told for each in came.entries] == [("added: cn=norway",)]
    assert [each.told for each in went.entries] == [("taken away: cn=norway",)]


def test_file_that_cannot_be_read_keeps_no_other_authority_back(node: Node) -> None:
    before = node.trust.in_use["authorities"]
    (node.folder / "authorities" / "a.pem").mkdir()
    node.of_another("norway")
    node.looks(3)

    assert node.trust.in_use["authorities"] == sorted(["cn=norway", *before])
    assert "a.pem" in node.refused


def test_lists_are_asked_for_once_the_authority_without_one_has_gone(tmp_path: Path) -> None:
    node = Node(tmp_path, lists=False)
    node.of_another("norway")
    node.start()
    node.put(listed(node.own.authority, node.client, number=1))
    node.looks()
    without = asks_lists(node)
    (node.folder / "authorities" / "norway.pem").unlink()
    node.looks()

    assert (without, asks_lists(node)) == (False, True)
    assert (node.admits(node.client), node.admits(node.other)) == (False, True)
    assert node.refused == ""


def test_no_list_is_asked_for_or_missed_where_there_is_none(tmp_path: Path) -> None:
    node = Node(tmp_path, lists=False)
    # Though no authority is left that could lack one.
    node.lead = timedelta(days=36_500)
    (node.lists / "README").write_bytes(b"")
    node.looks(3)

    assert (asks_lists(node), node.refused) == (False, "")


def test_list_goes_with_its_authority_and_one_of_nobody_enrolled_stays(node: Node) -> None:
    norway, _ = node.of_another("norway")
    stranger = new_authority("stranger", YESTERDAY, 30)
    lists = [node.put(listed(each), f"{number}.pem") for number, each in enumerate((norway, stranger))]
    node.looks()
    with_all = node.trust.in_use["revocation-lists"]
    for path in (node.folder / "authorities" / "norway.pem", *lists):
        path.unlink()
    node.looks()

    assert len(with_all) == 3
    assert [each for each in with_all if "norway" not in each] == node.trust.in_use["revocation-lists"]
    assert node.refused == ""


def test_early_server_certificate_is_shown_when_its_time_has_come(node: Node) -> None:
    before = node.trust.server_ends
    write_server(node, issue_server(node.own.authority, ["localhost"], now=NOW + timedelta(hours=1)))
    node.looks()
    early = node.trust.server_ends
    node.lead = timedelta(hours=2)
    node.looks(1)

    assert early == before
    assert node.trust.server_ends != before
    assert node.refused == ""
    assert node.trust._again_at == {}


def test_start_refuses_a_key_that_others_can_read(node: Node) -> None:
    (node.folder / "server.key").chmod(0o640)

    with pytest.raises(UnsafeSettingError, match="can be read by others"):
        node.start()


def test_what_is_the_same_is_not_read_again(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"")
    lain = Lain(lambda: [path])
    before = lain.has_changed(), lain.has_changed()
    os.utime(path, ns=(1, 1))
    changed = lain.has_changed(), lain.has_changed(), lain.take()

    assert before == (False, False)
    assert changed == (False, True, True)
    assert (lain.has_changed(), lain.has_changed()) == (False, False)


def test_what_never_rests_is_read_after_so_many_looks(tmp_path: Path) -> None:
    path, looks = tmp_path / "file", list[bool]()
    path.write_bytes(b"")
    lain = Lain(lambda: [path])
    for number in range(PATIENCE - 1):
        os.utime(path, ns=(number, number))
        looks.append(lain.has_changed())
    os.utime(path, ns=(PATIENCE, PATIENCE))
    early = lain.take()
    looks.append(lain.has_changed())
    os.utime(path, ns=(0, 0))

    assert looks == [*[False] * (PATIENCE - 1), True]
    assert (early, lain.take()) == (False, True)


async def test_what_is_refused_is_told_once_and_so_is_that_nothing_is_any_more(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "exchange.trust")
    log, forged = Log(), node.put(b"nothing", "forged.pem")
    await looked(node, log)
    for number in (6, 7):
        node.put(listed(node.own.authority, number=number))
        await looked(node, log)
    refused = [each.count for each in log.entries if each.is_refused]
    early = caplog.text.count("is refused any more")
    forged.unlink()
    await looked(node, log, count=3)

    assert (refused, caplog.text.count("not taken up of revocation-lists")) == ([1], 1)
    assert (early, caplog.text.count("nothing of revocation-lists is refused any more")) == (0, 1)


async def test_who_waits_is_let_in_between_while_many_connections_are_looked_at(node: Node) -> None:
    turns, asked = [0], list[int]()

    class Opened:
        def reconsider(self, *, has_shrunk: bool) -> None:
            asked.append(turns[0])

    async def wait_in_line() -> None:
        while len(asked) < len(node.trust.opened):
            turns[0] += 1
            await asyncio.sleep(0)

    node.trust.opened.update(Opened() for _ in range(250))
    waiting = asyncio.create_task(wait_in_line())
    await node.trust._end_refused(has_shrunk=True)
    await waiting

    assert len(asked) == 250
    assert len(set(asked)) == 3


def test_who_began_by_a_former_context_is_let_in_where_the_authority_is_one_still(node: Node) -> None:
    before = node.trust.context
    node.put(listed(node.own.authority, node.client, number=6))
    node.looks()

    assert node.trust.context is not before
    assert [node.trust.admits(der_of(each), before) for each in (node.client, node.other)] == [False, True]


def test_what_is_no_certificate_is_on_no_list(node: Node) -> None:
    assert not node.trust.is_revoked(b"no certificate")


def test_server_certificate_that_is_over_is_told_once(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    write_server(node, issue_server(node.own.authority, ["localhost"], now=YESTERDAY, days=3))
    node.looks()
    in_time = list(caplog.messages)
    node.lead = timedelta(days=3)
    node.looks(3)

    assert in_time == []
    told = [each for each in caplog.messages if "no client connects until there is another" in each]
    assert len(told) == 1
    assert told[0].startswith(f"`{node.folder / 'server.pem'}` ended on ")


def test_server_certificate_that_was_over_at_the_start_is_told(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    node.lead = timedelta(days=3)
    write_server(node, issue_server(node.own.authority, ["localhost"], now=YESTERDAY, days=2))
    node.start()
    node.looks(1)

    assert [each for each in caplog.messages if "no client connects until there is another" in each]
