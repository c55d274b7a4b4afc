"""`exchange keys recipient`, `escrow`, `restore`: recipients of sealed files, and the keys put aside and back.

No backup holds the keys; without them no backup opens a report. They are sealed to whoever is to keep them, best to
somebody who does not keep the backups.
"""

import base64
import json
from pathlib import Path
from typing import Annotated

import typer

from exchange.audit import EventName
from exchange.cli import output
from exchange.cli.audit_keys import log_keys_of
from exchange.cli.instance import (
    NOTHING_YET,
    Host,
    folder_of,
    may_be_in_use,
    refuse_strange_places,
    write_all_new,
    write_new,
)
from exchange.cli.keys_group import keys
from exchange.cli.sealed_io import SealedWriter, identity_of, recipient_of, sealed_lines
from exchange.cli.verbs import DirOption, JsonOption, host_verb
from exchange.crypto.sealed_files import Identity
from exchange.custody import parse_log_key
from exchange.kernel import InvalidError, MalformedError
from exchange.kernel.files import sync_folder
from exchange.settings import InstanceLayout

_FORMAT = 1
_SETTINGS = "exchange.toml"
_FOLDERS = ("custody", "secrets", "tls")
_LOG_KEY = "secrets/log.key"
_TRUSTED = ("tls/authorities/", "tls/crl/", "tls/edges.pem")
"""Whom to believe is no key: it comes back with the backup, whose restore has a person confirm each."""


@keys.command("recipient")
def recipient(
    out: Annotated[Path, typer.Option("--out", help="File for the identity, the secret half; keep it off this host.")],
    as_json: JsonOption = False,
) -> None:
    """Make an identity and print its recipient: to whom backups and keys are sealed."""
    identity = Identity.new()
    write_new(out, identity.text.encode() + b"\n", mode=0o600)
    text = identity.recipient.text
    output.show_done({"id": text, "identity": str(out)}, text, as_json=as_json)


@keys.command("escrow")
@host_verb
async def escrow(
    host: Host,
    to: Annotated[str, typer.Option("--to", help="Recipient, or the file it is in: who is to keep the keys.")],
    out: Annotated[Path, typer.Option("--out", help="The sealed file; nothing is overwritten.")],
    as_json: JsonOption = False,
) -> None:
    """Seal the instance's keys and settings to their keeper: with a backup, that is all an instance is."""
    keeper = recipient_of(to)
    files = _secret_files(host.layout)
    await host.record(EventName.KEY_ESCROWED)
    kept = {name: base64.b64encode(content).decode() for name, content in files.items()}
    with SealedWriter(out, keeper) as writer:
        writer.write(json.dumps({"exchange_keys": _FORMAT, "files": kept}).encode() + b"\n")
    for path in (host.settings.log_key_file, host.settings.node_key_file, host.settings.server_key_file):
        if not path.exists():
            output.warn(f"`{path}` is missing here, and so not in the escrow: keep the one from before, which has it")
    told = f"{out}: {len(files)} files, for the keeper alone"
    output.show_done({"id": str(out), "files": sorted(files)}, told, as_json=as_json)


@keys.command("restore")
def restore_keys(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The sealed keys.")],
    identity: Annotated[Path, typer.Option("--identity", help="The secret half of the recipient they were sealed to.")],
    key: Annotated[
        list[str] | None,
        typer.Option(
            "--key", help="A public key of the log, or a file of them, held from before: theirs must be what is sealed."
        ),
    ] = None,
    dir: DirOption = None,  # noqa: A002
    as_json: JsonOption = False,
) -> None:
    """Put keys and settings into a folder that holds no instance; the database comes from `exchange restore`."""
    layout = InstanceLayout(folder_of(dir).absolute())
    _refuse_existing(layout)
    with sealed_lines(file, identity_of(identity)) as lines:
        # To the end: a file that was cut is not believed in its beginning.
        contents = list(lines)
    files = _without_trust(_read(contents))
    if key:
        _require_those_of(files, key)
    _put_back(layout, files)
    told = f"{layout.folder} holds the keys again; next: `exchange restore BACKUP --dir {layout.folder}`"
    output.show_done({"id": str(layout.folder), "files": sorted(files)}, told, as_json=as_json)


def _refuse_existing(layout: InstanceLayout) -> None:
    mark, names = layout.unfinished_file, (_SETTINGS, "exchange.db", *_FOLDERS)
    if mark.exists() and not layout.settings_file.exists() and not may_be_in_use(layout):
        raise InvalidError(f"`{layout.folder}` was begun and broken off, and nothing is under its keys: remove it")
    waiting = _waiting(layout)
    if waiting.exists() and not mark.exists() and not layout.settings_file.exists():
        raise InvalidError(f"`{layout.folder}` holds all keys already: rename its `{waiting.name}` to `{_SETTINGS}`")
    taken = [name for name in (mark.name, *names) if (layout.folder / name).exists()]
    if taken:
        raise InvalidError(f"`{layout.folder}` holds `{taken[0]}` already: nothing was changed; name another folder")


def _waiting(layout: InstanceLayout) -> Path:
    """Return where the settings are until all else is there."""
    return layout.folder / f".{_SETTINGS}.new"


def _put_back(layout: InstanceLayout, files: dict[str, bytes]) -> None:
    """Write all files or none; where that is killed, what is there is no instance, and says so.

    With a part of its keys one would be given new ones by `exchange migrate`.
    """
    mark, waiting = layout.unfinished_file, _waiting(layout)
    names = {name: waiting if name == _SETTINGS else layout.folder / name for name in files}
    write_all_new({mark: NOTHING_YET, **{names[name]: content for name, content in files.items()}}, mode=0o600)
    # INVARIANT: it never stands beside settings: by it whoever looks is told to remove the keys.
    mark.unlink()
    sync_folder(layout.folder)
    waiting.replace(layout.settings_file)
    sync_folder(layout.folder)


def _require_those_of(files: dict[str, bytes], given: list[str]) -> None:
    """Raise InvalidError where the sealed keys of the log are not the private halves of `given`.

    The recipient is public: whoever has it can seal keys of their own, which would then vouch for their own backup.
    """
    try:
        held = {signer.verifier for signer in parse_log_key(files[_LOG_KEY]).signers}
    except (KeyError, MalformedError) as exc:
        raise InvalidError(
            "the file holds no keys of a log, so that nothing shows whose it is: see docs/backup.md"
        ) from exc
    known = log_keys_of(given)
    if not held.issubset(known):
        name = next(iter(held)).name
        raise InvalidError(
            f"these are the keys of `{name[:200]}`, and not those that `--key` names: somebody else may have sealed "
            "them, or a newer log began: take another copy, or name its public keys"
        )


def _secret_files(layout: InstanceLayout) -> dict[str, bytes]:
    paths = [layout.settings_file]
    for name in _FOLDERS:
        paths += sorted(path for path in (layout.folder / name).rglob("*") if path.is_file())
    return _without_trust({str(path.relative_to(layout.folder)): path.read_bytes() for path in paths})


def _without_trust(files: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in files.items() if not name.startswith(_TRUSTED)}


def _read(contents: list[bytes]) -> dict[str, bytes]:
    try:
        (content,) = contents
        record = json.loads(content)
        if record["exchange_keys"] != _FORMAT:
            raise ValueError
        files = {str(name): base64.b64decode(each, validate=True) for name, each in record["files"].items()}
        _ = files[_SETTINGS]
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise InvalidError("the file holds no keys of an instance: a backup is put back by `exchange restore`") from exc
    refuse_strange_places(files, (_SETTINGS,), _FOLDERS)
    return files
