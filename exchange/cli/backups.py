"""`exchange backup`, `restore` and `restored`: the instance put aside, and put back without reviving what was ended.

A restore: (1) the backup is read to its end before a byte of it is believed, the log's keys, held from before, signed
it, and the keys here open it; (2) the kept log, where there is one, is verified and says what was ended since; (3) one
transaction fills the empty database, destroys again what was destroyed, and freezes the log; (4) the files beside the
database, the word about what ended, and what parties did since; (5) nothing is served before an operator has confirmed
the rest.
"""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from exchange.audit import Detail, EventName, Subject
from exchange.audit.note_keys import parse_verifier_key
from exchange.audit.tile_paths import bundles_of_size
from exchange.audit.verify import ERASED_AGAIN, Expectations, verify_log
from exchange.cli import output
from exchange.cli.backup_keys import UNVERIFIED, known_keys, vouched_by
from exchange.cli.instance import Host, folder_of, open_host, put_file, refuse_strange_places, unwritable
from exchange.cli.program import app
from exchange.cli.progress import ProgressBar
from exchange.cli.sealed_io import SealedWriter, identity_of, recipient_of, sealed_lines
from exchange.cli.verbs import DirOption, JsonOption, host_verb, lasting_host_verb
from exchange.client.log_folder import LogFolder
from exchange.crypto.sealed_files import Identity
from exchange.custody import FileCustodian, load_log_key
from exchange.kernel import InvalidError, rfc3339, system_clock
from exchange.services import blob_place
from exchange.settings import InstanceLayout, Settings, load_settings
from exchange.store.books.restore_claims import Claim, confirm_claim, open_claims
from exchange.store.dumping import EMPTY_IT, UNFINISHED, Since, load
from exchange.usecases.agreements.move_again import move_again
from exchange.usecases.log.recover_log import RESTORED_FROM
from exchange.usecases.log.signed_backup import Signed, read_signed, same_lines, signed_lines
from exchange.usecases.upkeep.backups import (
    After,
    Contents,
    Lacking,
    backup_lines,
    blobs_of,
    files_of,
    read_contents,
    require_its_keys,
    rows_of,
    what_came_after,
)
from exchange.usecases.upkeep.end_again import end_again
from exchange.usecases.upkeep.last_backup import written_backup

restored = typer.Typer(help="What a restore left to be confirmed before anything is served.", no_args_is_help=True)
app.add_typer(restored, name="restored")

_WITNESSES = "log/witnesses"
_BESIDE = ("log/last-signed.json", "log/verifier-keys", _WITNESSES, "log/witnessed", "tls/edges.pem")
_TRUSTED = ("tls/", _WITNESSES)
"""Whom to believe: of whom to let in, and of who stands behind the log."""
_BESIDE_FOLDERS = ("tls/authorities", "tls/crl")
_ARCHIVE = "log/archive"
_ERASED_NAMED = 1_000
"""In one entry of a restore: each takes some 50 bytes of 65,535."""

_MOST_SHOWN = 5

IdentityOption = Annotated[Path, typer.Option("--identity", help="The secret half of the recipient it was sealed to.")]


@app.command()
@lasting_host_verb
async def backup(
    host: Host,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The backup's file; nothing is overwritten.")],
    to: Annotated[str, typer.Option("--to", help="Recipient, or the file it is in: who will be able to open it.")],
    as_json: JsonOption = False,
) -> None:
    """Put the instance's data aside, signed and sealed; never its keys."""
    recipient, key = recipient_of(to), load_log_key(host.settings.log_key_file)
    await host.record(EventName.INSTANCE_BACKED_UP)
    url = host.settings.database_url_with_password()
    files, left = dict(_files_beside(host.layout)), Counter[str]()

    def archived() -> Iterator[tuple[str, bytes]]:
        for each in _files_in(host.layout, [_ARCHIVE]):
            left[_ARCHIVE] += 1
            yield each

    place = blob_place(host.settings)
    blobs = None if place is None else place.blobs
    count, lacking = 0, Lacking()
    with SealedWriter(file, recipient) as writer, ProgressBar("lines") as bar:
        node = host.settings.node
        lines = backup_lines(
            url, node=node, clock=system_clock, files=files, archived=archived, blobs=blobs, lacking=lacking
        )
        async for line in signed_lines(lines, key):
            writer.write(line)
            count += 1
            bar(count, count)
    # Another entry, now that the file stands: how old the newest backup is goes by this one.
    await host.record(EventName.INSTANCE_BACKED_UP, detail=written_backup(writer.size_bytes))
    if as_json:
        told = {"id": str(file), "bytes": writer.size_bytes, "files": len(files) + left[_ARCHIVE]}
        output.show_json({**told, "large_parts_missing": len(lacking.large_parts), "rows_altered": lacking.altered})
    else:
        output.show_line(f"{file}: {writer.size_bytes:,} bytes, for the holder of the recipient's identity alone")
    if not lacking.is_nothing:
        # The file stands, with everything else: whoever makes backups by a program must not take it for whole.
        output.warn(f"the backup is not whole: {_told_of(lacking)}; `exchange doctor` says more, and docs/backup.md")
        raise typer.Exit(1)


def _told_of(lacking: Lacking) -> str:
    told = "rows of `{}` that hold what does not belong there: {}"
    rows = [told.format(name, count) for name, count in sorted(lacking.altered.items())]
    gone, some = len(lacking.large_parts), output.listed(lacking.large_parts[:_MOST_SHOWN])
    parts = [f"large parts that are not in the blob store: {gone}, such as {some}"] if gone else []
    return "; ".join([*parts, *rows])


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The backup.")],
    identity: IdentityOption,
    log: Annotated[
        Path | None,
        typer.Option(
            "--log", help="The log as somebody kept it (`exchange audit tiles`): what was ended since the backup."
        ),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(
            "--key",
            help="A public key of the log, or a file of them, held from before; those of this instance unless named.",
        ),
    ] = None,
    unverified: Annotated[
        bool, typer.Option("--unverified", help="Restore though no known key signed it: you know whose it is.")
    ] = False,
    dir: DirOption = None,  # noqa: A002
    as_json: JsonOption = False,
) -> None:
    """Fill an empty instance from a backup."""
    folder = folder_of(dir)
    settings, opened, signed = load_settings(folder), identity_of(identity), Signed()
    # (1) whole, or nothing; and signed
    with sealed_lines(file, opened) as lines:
        contents = read_contents(read_signed(lines, signed))
    refuse_strange_places(contents.files, _BESIDE, _BESIDE_FOLDERS)
    # INVARIANT: whom to believe comes back by the first line alone, which says what is to be confirmed.
    refuse_strange_places(contents.archived, (), (_ARCHIVE,))
    signer = vouched_by(signed, known_keys(settings, key or ()), is_unverified_taken=unverified)
    asyncio.run(require_its_keys(contents, FileCustodian.load(settings.roots_file)))
    # (2) what came after
    after = what_came_after(contents, None if log is None else _kept_entries(log, contents))
    replay = after.replay
    layout = InstanceLayout(folder.absolute())
    returned = _what_returns(layout, contents)
    returns = [*map(_returning, returned), *_what_was_altered(contents)]
    claims = [*([UNVERIFIED] if signer is None else []), *returns, *after.claims]
    unfinished = _unfinished()
    why = f"{RESTORED_FROM} {contents.made_at}: begin the next log with `exchange audit recover`"
    # (3) the blobs of large parts, which nothing names yet, and the database
    asyncio.run(_put_blobs(settings, contents, lambda: _again(file, opened, signed)))
    url, since = settings.database_url_with_password(), Since(why, replay, [unfinished, *claims])
    with _again(file, opened, signed) as lines:
        loaded = asyncio.run(load(url, rows_of(lines), since, clock=system_clock))
    # (4) beside it
    put_file(_mark(layout), json.dumps(returned).encode(), mode=0o600)
    _put_beside(layout, contents.files.items())
    with _again(file, opened, signed) as lines:
        _put_beside(layout, files_of(lines))
    asyncio.run(_finish_restore(folder, contents, after, signer, unfinished))
    _mark(layout).unlink()
    told = {
        "id": str(folder),
        "made_at": contents.made_at,
        "signed_by": signer,
        "rows": loaded,
        "large_parts": contents.blobs,
        "large_parts_missing": contents.missing,
        "rows_altered": sum(contents.altered.values()),
        "log_size": 0 if contents.log is None else contents.log.size,
        "destroyed_again": len(replay.recalled) + len(replay.erased),
        "to_confirm": len(asyncio.run(open_claims(url))),
    }
    output.show_record(
        told, title="restored; next: `exchange audit recover`, `exchange restored list`", as_json=as_json
    )


@restored.command("list")
def claims_list(dir: DirOption = None, as_json: JsonOption = False) -> None:  # noqa: A002
    """List what is to be seen to before this instance serves."""
    claims = asyncio.run(open_claims(load_settings(folder_of(dir)).database_url_with_password()))
    told = [{"id": claim.id, "kind": claim.kind, "subject": claim.subject, "told": claim.told} for claim in claims]
    rows = ((claim.id, claim.kind, claim.told) for claim in claims)
    output.show_list(told, ("id", "what", "do"), rows, as_json=as_json)


@restored.command("confirm")
@host_verb
async def claims_confirm(
    host: Host,
    claim: Annotated[str, typer.Argument(metavar="ID", help="What you have seen to.")],
    as_json: JsonOption = False,
) -> None:
    """Say that you have seen to it: it is on the record as yours."""
    url = host.settings.database_url_with_password()
    if claim not in {found.id for found in await open_claims(url)}:
        raise InvalidError(f"nothing called `{claim[:64]}` is to be confirmed: see `exchange restored list`")
    await host.record(EventName.RESTORE_CONFIRMED, subject=Subject("restore-claim", claim))
    await confirm_claim(url, claim, clock=system_clock)
    left = len(await open_claims(url))
    output.show_done({"id": claim, "left": left}, f"confirmed; {left} left", as_json=as_json)


@contextmanager
def _again(file: Path, identity: Identity, signed: Signed) -> Iterator[Iterator[bytes]]:
    """Give the lines once more; an error at their end where they are not those that were verified."""
    with sealed_lines(file, identity) as lines:
        yield same_lines(lines, signed)


async def _put_blobs(
    settings: Settings, contents: Contents, opened: Callable[[], AbstractContextManager[Iterator[bytes]]]
) -> None:
    """Put the backup's blobs where large parts are kept; InvalidError, before anything, where no such place is set."""
    place = blob_place(settings)
    if not contents.blobs:
        return
    if place is None:
        raise InvalidError("the backup holds large parts of a blob store: set `blob_store_url`, then restore again")
    with opened() as lines:
        for location, pieces in blobs_of(lines):
            await place.blobs.add_pieces(location, _arriving(pieces))


async def _arriving(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def _files_beside(layout: InstanceLayout) -> Iterator[tuple[str, bytes]]:
    for path in (layout.folder / name for name in _BESIDE):
        if path.is_file():
            yield str(path.relative_to(layout.folder)), path.read_bytes()
    yield from _files_in(layout, _BESIDE_FOLDERS)


def _files_in(layout: InstanceLayout, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    for path in sorted(path for name in names for path in (layout.folder / name).rglob("*")):
        # Others write there: what is not whole yet is under a name that is gone a moment later.
        with suppress(FileNotFoundError):
            if path.is_file():
                yield str(path.relative_to(layout.folder)), path.read_bytes()


def _what_was_altered(contents: Contents) -> list[Claim]:
    """Return a claim for each table of which rows had been altered before they were put aside: they come back so."""
    told = "{} rows of `{}` held what does not belong there when the backup was made, and do still: look at them"
    return [
        Claim(f"altered-{table}", "rows-altered", table, told.format(count, table))
        for table, count in sorted(contents.altered.items())
    ]


def _what_returns(layout: InstanceLayout, contents: Contents) -> list[str]:
    """Return what says whom to believe and comes back, or came back by a restore that was broken off."""
    # INVARIANT: what that one had put in its place was not there before, though it is now, and nobody confirmed it.
    before: list[str] = json.loads(_mark(layout).read_bytes()) if _mark(layout).exists() else []
    names = {name for name in contents.files if name.startswith(_TRUSTED) and not (layout.folder / name).exists()}
    return sorted(names.union(name for name in before if (layout.folder / name).exists()))


def _mark(layout: InstanceLayout) -> Path:
    """Return the file that names, from before they are there until the restore has come to its end, what comes back."""
    return layout.folder / "restore.unfinished"


def _returning(name: str) -> Claim:
    """Return the claim about an authority, a list or the witnesses: whoever took one away had a reason."""
    told = "`{}` comes back with the backup: take it away again where it was removed, or a newer list holds"
    if name == _WITNESSES:
        told = "`{}` comes back with the backup: look with `exchange audit witnesses` whom it asks, and for how many"
    return Claim(name, "file.returned", name, told.format(name))


def _unfinished() -> Claim:
    """Return what stands until a restore has come to its end, and after it where it never did."""
    told = f"the restore was broken off: its files, its entries and what was done since may be missing: {EMPTY_IT}"
    return Claim(f"unfinished-{rfc3339(system_clock())}", UNFINISHED, "", told)


def _put_beside(layout: InstanceLayout, files: Iterable[tuple[str, bytes]]) -> None:
    for name, content in files:
        path = (layout.folder / name).resolve()
        if not path.is_relative_to(layout.folder.resolve()):
            raise InvalidError(f"the backup names a file outside the instance: `{name[:80]}`")
        if not path.exists():
            try:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as exc:
                raise unwritable(path.parent, exc) from exc
            # Whole or not at all: a half one would be in the way of the restore that is run again.
            put_file(path, content, mode=0o600)


@dataclass(frozen=True, slots=True)
class _Kept:
    """The entries of a kept log from a position on, for whoever goes through them more than once."""

    folder: LogFolder
    start: int
    size: int

    def __iter__(self) -> Iterator[bytes]:
        """Yield them from the first one on."""
        return islice(_entries(self.folder, self.size), self.start, None)


def _kept_entries(root: Path, contents: Contents) -> Iterable[bytes]:
    """Return the entries of a kept log behind the backup's last; InvalidError where it is another log, or damaged."""
    if contents.log is None:
        raise InvalidError("the backup holds no log: leave out `--log`")
    folder = LogFolder(root)
    keys = tuple(parse_verifier_key(line) for line in contents.log.keys.split())
    verified = verify_log(folder, Expectations(keys))
    if not verified.is_sound or verified.origin != contents.log.origin:
        raise InvalidError(f"`{root}` is not the log of the backup, or damaged: try it with `exchange audit verify`")
    if verified.size < contents.log.size:
        raise InvalidError(
            f"`{root}` is older than the backup: it ends at {verified.size}, the backup at {contents.log.size}"
        )
    return _Kept(folder, contents.log.size, verified.size)


def _entries(folder: LogFolder, size: int) -> Iterator[bytes]:
    for path in bundles_of_size(size):
        found: Sequence[bytes | None] = folder.entries(path) or ()
        for content in found:
            if content is None:
                raise InvalidError("the kept log lacks entries: it cannot tell what came after the backup")
            yield content


async def _finish_restore(
    folder: Path, contents: Contents, after: After, signer: str | None, unfinished: Claim
) -> None:
    """Record the restore, tell anew what ended, and do again what parties did, which settles the claims about that."""
    async with open_host(folder) as host:
        for detail in _told_of_restore(contents, after, signer):
            await host.record(EventName.INSTANCE_RESTORED, detail=detail)
        await end_again(host.services, host.call(), after.ends)
        done = await move_again(host.services, host.call(), after.moves)
        url = host.settings.database_url_with_password()
        for each in (*done, unfinished.id):
            await confirm_claim(url, each, clock=system_clock)


def _told_of_restore(contents: Contents, after: After, signer: str | None) -> Iterator[Detail]:
    """Yield what the entries of a restore say: whose personal data it erased again, so that its log is not accused."""
    size = 0 if contents.log is None else contents.log.size
    told: Detail = {"made_at": contents.made_at, "log_size": size, "node": contents.node}
    told["signed_by"] = signer or "nobody who is known"
    again = sorted({" ".join(erased) for erased in after.replay.erased})
    for start in range(0, max(1, len(again)), _ERASED_NAMED):
        named = again[start : start + _ERASED_NAMED]
        yield {**told, ERASED_AGAIN: named} if named else {**told}
