"""What verbs share: where they act, given as options, and `--json`.

`host_verb` hands a verb the opened instance (`--dir`), `member_verb` a connection to an exchange (`--url --cert
--key --ca` or `--profile`), `either_verb` whichever of the two the caller named.
"""

import asyncio
import inspect
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from exchange.cli.instance import Host, folder_of, open_host
from exchange.cli.profiles import Door, endpoint_of
from exchange.cli.usage import UsageError
from exchange.client import ExchangeClient
from exchange.kernel import InvalidError
from exchange.wire import faults_of

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

DirOption = Annotated[
    Path | None,
    typer.Option(
        "--dir", metavar="DIR", help="Folder of the instance on this host [EXCHANGE_DIR].", show_default=False
    ),
]
_DOOR: Mapping[str, object] = {
    "url": Annotated[str | None, typer.Option("--url", help="Address of the exchange [EXCHANGE_URL].")],
    "cert": Annotated[Path | None, typer.Option("--cert", help="Your certificate, PEM [EXCHANGE_CERT].")],
    "key": Annotated[Path | None, typer.Option("--key", help="Its private key, PEM [EXCHANGE_KEY].")],
    "ca": Annotated[Path | None, typer.Option("--ca", help="The exchange's authority, PEM [EXCHANGE_CA].")],
    "profile": Annotated[str | None, typer.Option("--profile", help="A saved connection instead of these four.")],
    "receipts": Annotated[
        Path | None,
        typer.Option(
            "--receipts", help="Keep every answer's receipt in this file [EXCHANGE_RECEIPTS; a profile has its own]."
        ),
    ],
}
_DIR: Mapping[str, object] = {"dir": DirOption}

Where = Host | ExchangeClient
Connect = Callable[[], ExchangeClient]


def host_verb(act: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Give `act` the opened instance of `--dir` as its first argument."""
    return _host_verb(act, is_lasting=False)


def lasting_host_verb(act: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Do as `host_verb` for long work that may be killed: what it records is signed for from its first entry on."""
    return _host_verb(act, is_lasting=True)


def member_verb(act: Callable[..., None]) -> Callable[..., None]:
    """Give `act` a client connected as the options say as its first argument."""

    @wraps(act)
    def verb(**given: object) -> None:
        with ExchangeClient.at(endpoint_of(_door(given))) as client, _words_of_the_wire():
            act(client, **given)

    return _with_options(verb, act, _DOOR)


def perhaps_member_verb(act: Callable[..., None]) -> Callable[..., None]:
    """Give `act` what connects as the options say, for a verb that needs a connection in some uses only."""

    @wraps(act)
    def verb(**given: object) -> None:
        door = _door(given)
        with _words_of_the_wire():
            act(lambda: ExchangeClient.at(endpoint_of(door)), **given)

    return _with_options(verb, act, _DOOR)


def either_verb(act: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Give `act` the instance where `--dir` (or EXCHANGE_DIR) names one, else the connection."""

    @wraps(act)
    def verb(**given: object) -> None:
        folder, door = _path(given.pop("dir")), _door(given)
        if folder is not None and door.is_named:
            raise UsageError("as operator (`--dir`) or as member (`--url` or `--profile`)? give one of the two")
        if folder is not None or (not door.is_named and os.environ.get("EXCHANGE_DIR")):
            asyncio.run(_on_host(act, folder_of(folder), given))
            return
        with ExchangeClient.at(endpoint_of(door)) as client, _words_of_the_wire():
            asyncio.run(_awaited(act(client, **given)))

    return _with_options(verb, act, {**_DIR, **_DOOR})


@contextmanager
def _words_of_the_wire() -> Iterator[None]:
    """Tell what does not fit a request by its field; the client tells what does not fit an answer by itself."""
    try:
        yield
    except ValidationError as exc:
        raise InvalidError("what was given has faults", faults_of(exc)) from exc
    except (UnicodeEncodeError, PydanticSerializationError) as exc:
        # What comes from the command line as other bytes stands in a text as halves of characters.
        raise InvalidError("what was given is not text in UTF-8: look at the terminal's settings (`locale`)") from exc


def _host_verb(act: Callable[..., Awaitable[None]], *, is_lasting: bool) -> Callable[..., None]:
    @wraps(act)
    def verb(**given: object) -> None:
        folder = folder_of(_path(given.pop("dir")))
        asyncio.run(_on_host(act, folder, given, is_lasting=is_lasting))

    return _with_options(verb, act, _DIR)


async def _on_host(
    act: Callable[..., Awaitable[None]], folder: Path, given: Mapping[str, object], *, is_lasting: bool = False
) -> None:
    async with open_host(folder, is_lasting=is_lasting) as host:
        await act(host, **given)


async def _awaited(act: Awaitable[None]) -> None:
    await act


def _door(given: dict[str, object]) -> Door:
    url, profile = given.pop("url"), given.pop("profile")
    cert, key, ca, receipts = (_path(given.pop(name)) for name in ("cert", "key", "ca", "receipts"))
    return Door(_text(url), cert, key, ca, _text(profile), receipts)


def _path(value: object) -> Path | None:
    return value if isinstance(value, Path) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _with_options(
    verb: Callable[..., None], act: Callable[..., object], options: Mapping[str, object]
) -> Callable[..., None]:
    """Return `verb` with the signature of `act` but for its first argument, and `options` behind."""
    own = list(inspect.signature(act).parameters.values())[1:]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        for name, kind in options.items()
    ]
    named = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in own]
    verb.__signature__ = inspect.Signature([*named, *added])  # type: ignore[attr-defined]  # what Typer reads
    verb.__annotations__ = {}
    return verb
