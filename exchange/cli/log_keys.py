"""The keys of the log, as the command line makes them: with a new instance, or for one from before there was a log."""

import os
from datetime import datetime
from pathlib import Path

from exchange.cli.instance import unwritable
from exchange.custody import LogKey, create_log_key, load_log_key, replace_log_key
from exchange.kernel import UnsafeSettingError, new_id, system_clock
from exchange.kernel.files import keep_file, may_lie_there, sync_folder
from exchange.settings import InstanceLayout, Settings
from exchange.store import Store

_PUBLIC = 0o644
_NAMELESS = "exchange.example"


def make_log_key(layout: InstanceLayout, now: datetime, *, host_name: str | None = None) -> str:
    """Make the keys of a new log and return its origin, which begins with the name that clients use for the server."""
    origin = f"{host_name or _NAMELESS}/log/{new_id(now, os.urandom)}"
    key = create_log_key(layout.log_key_file, origin, os.urandom)
    _show(layout, key)
    return origin


def next_log_key(settings: Settings, origin: str) -> LogKey:
    """Return the keys of the log that a recovery is to begin, kept beside those in use, which they are not yet to be.

    Until that log has begun the one before it may be signed again: its keys stay where they are.
    """
    path = _prepared(settings)
    if not may_lie_there(path):
        return create_log_key(path, origin, os.urandom)
    key = load_log_key(path)
    return key if key.origin == origin else replace_log_key(path, origin, os.urandom)


def take_log_key(settings: Settings, origin: str) -> bool:
    """Put the keys of the log that began in the place of those before it; return whether anything was left to do.

    Whoever recovered the log may have been killed before that, or before their public half was shown.
    """
    path = _prepared(settings)
    is_prepared = may_lie_there(path) and load_log_key(path).origin == origin
    if is_prepared:
        path.replace(settings.log_key_file)
        sync_folder(path.parent)
    elif not has_log_key(settings):
        return False
    key = load_log_key(settings.log_key_file)
    was_hidden = key.origin == origin and _show(InstanceLayout(settings.instance_folder), key)
    return is_prepared or was_hidden


def is_log_key_prepared(settings: Settings) -> bool:
    """Return whether keys lie there that a recovery was to put in the place of those in use."""
    return may_lie_there(_prepared(settings))


def _prepared(settings: Settings) -> Path:
    return settings.log_key_file.with_name(f"{settings.log_key_file.name}.next")


def show_log_key(settings: Settings) -> None:
    """Put the public half of the log's keys behind those of logs before it, where it is not there yet.

    Whoever made the keys may have been killed before that, and then nobody could verify the log.
    """
    _show(InstanceLayout(settings.instance_folder), load_log_key(settings.log_key_file))


def _show(layout: InstanceLayout, key: LogKey) -> bool:
    path = layout.log_verifier_file
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        shown = path.read_text(encoding="utf-8") if path.exists() else ""
        missing = [line for line in key.verifier_keys.splitlines() if line not in shown.splitlines()]
        if missing:
            rest = "" if shown.endswith("\n") or not shown else "\n"
            keep_file(path, (shown + rest + "".join(f"{line}\n" for line in missing)).encode(), mode=_PUBLIC)
        return bool(missing)
    except OSError as exc:
        raise unwritable(path, exc) from exc
    except UnicodeDecodeError as exc:
        raise UnsafeSettingError(f"`{path}` holds no keys: put it aside, then run `exchange migrate` again") from exc


def has_log_key(settings: Settings) -> bool:
    """Return whether there is a key file, sound or not: nothing is put in its place."""
    return may_lie_there(settings.log_key_file)


async def make_missing_log_key(settings: Settings) -> str | None:
    """Make the keys where there are none and return the log's origin, None where they are there.

    Raises UnsafeSettingError where the database has a log already: another node has its keys.
    """
    if has_log_key(settings):
        return None
    url = settings.database_url_with_password()
    identity = settings.node_key()
    store = await Store.open(url, node=settings.node, clock=system_clock, randomness=os.urandom, identity=identity)
    try:
        state = await store.log.state()
    finally:
        await store.close()
    if state is not None:
        raise UnsafeSettingError(
            f"`{settings.log_key_file}` is missing and the database has the log `{state.origin}` already: "
            "copy the file from the node that has it"
        )
    return make_log_key(InstanceLayout(settings.instance_folder), system_clock())
