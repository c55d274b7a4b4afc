"""A trust policy as text (C2SP tlog-policy): read whole, or refused with the line at fault."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from exchange.audit.log_policy import NO_QUORUM, KnownLog, KnownWitness, LogPolicy, WitnessGroup
from exchange.audit.note_keys import VerifierKey, parse_verifier_key
from exchange.audit.strict_text import parse_decimal
from exchange.crypto import VerifyingKey
from exchange.kernel import MalformedError

# 32 logs and 32 witnesses with ML-DSA-44 keys, which readers should take, are 120 KB.
LARGEST_POLICY_BYTES: Final = 512 * 1024

# "Character set": tab and newline are the only control characters.
_FORBIDDEN = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_SPACES = re.compile("[ \t]+")

# A name, a threshold and one member.
_FEWEST_GROUP_WORDS = 3

_ALL = "all"
_ANY = "any"


def parse_log_policy(content: bytes) -> LogPolicy:
    """Return the policy that a file spells.

    Octets beyond ASCII are opaque, as the format has it. Raises MalformedError with the number of the first
    line at fault.
    """
    if len(content) > LARGEST_POLICY_BYTES:
        raise MalformedError(f"policy has {len(content)} bytes: at most {LARGEST_POLICY_BYTES} are read")
    # A file cut short could ask for less than it did: `quorum all-of-them` ends in `quorum all`.
    if not content.endswith(b"\n"):
        raise MalformedError("policy does not end in a newline: is it whole?")
    reader = _Reader()
    for number, line in enumerate(content[:-1].split(b"\n"), start=1):
        try:
            reader.read(line)
        except MalformedError as exc:
            raise MalformedError(f"line {number}: {exc}") from exc
    return reader.policy()


def render_log_policy(policy: LogPolicy) -> bytes:
    """Return the policy's file. Raises MalformedError for what no reader would take."""
    lines = [_line("log", str(log.key), log.url) for log in policy.logs]
    lines += [_line("witness", witness.name, str(witness.key), witness.url) for witness in policy.witnesses]
    lines += [_line("group", group.name, str(group.threshold), *group.members) for group in policy.groups]
    lines.append(_line("quorum", policy.quorum))
    content = "".join(lines).encode(errors="surrogateescape")
    if parse_log_policy(content) != policy:
        raise MalformedError("the policy would be read as another one: a name or URL holds what it must not")
    return content


class _Reader:
    def __init__(self) -> None:
        self._logs: list[KnownLog] = []
        self._witnesses: list[KnownWitness] = []
        self._groups: list[WitnessGroup] = []
        self._quorum: str | None = None
        self._defined: set[str] = set()
        self._grouped: set[str] = set()
        self._keys: dict[VerifyingKey, str] = {}
        self._readers: Mapping[str, Callable[[Sequence[str]], None]] = {
            "log": self._log,
            "witness": self._witness,
            "group": self._group,
            "quorum": self._quorum_line,
        }

    def read(self, line: bytes) -> None:
        if _FORBIDDEN.search(line) is not None:
            raise MalformedError("holds a control character other than tab and newline")
        words = [word for word in _SPACES.split(line.decode(errors="surrogateescape")) if word]
        if not words or words[0].startswith("#"):
            return
        reader = self._readers.get(words[0])
        if reader is None:
            raise MalformedError(f"{words[0][:40]!r} is no word that a line begins with: {', '.join(self._readers)}")
        reader(words[1:])

    def policy(self) -> LogPolicy:
        if self._quorum is None:
            raise MalformedError("policy has no quorum line: write `quorum none` to ask for no witness")
        return LogPolicy(tuple(self._logs), tuple(self._witnesses), tuple(self._groups), self._quorum)

    def _log(self, words: Sequence[str]) -> None:
        if len(words) not in {1, 2}:
            raise MalformedError("write `log <key> [<url>]`")
        self._logs.append(KnownLog(self._new_key(words[0]), *words[1:]))

    def _witness(self, words: Sequence[str]) -> None:
        if len(words) not in {2, 3}:
            raise MalformedError("write `witness <name> <key> [<url>]`")
        self._define(words[0])
        key = self._new_key(words[1])
        if not key.type.is_cosignature:
            raise MalformedError(f"type {key.type.value:#04x} makes no cosignatures: witnesses need 0x04 or 0x06")
        self._witnesses.append(KnownWitness(words[0], key, *words[2:]))

    def _group(self, words: Sequence[str]) -> None:
        if len(words) < _FEWEST_GROUP_WORDS:
            raise MalformedError("write `group <name> all|any|<k> <member>...`")
        name, threshold, *members = words
        for member in members:
            self._join(member)
        self._define(name)
        self._groups.append(WitnessGroup(name, _threshold(threshold, len(members)), tuple(members)))

    def _quorum_line(self, words: Sequence[str]) -> None:
        if len(words) != 1:
            raise MalformedError("write `quorum <name>`")
        if self._quorum is not None:
            raise MalformedError("a second quorum: there is exactly one")
        if words[0] != NO_QUORUM:
            self._check_defined(words[0])
        self._quorum = words[0]

    def _new_key(self, text: str) -> VerifierKey:
        key = parse_verifier_key(text)
        # One key under two names would count twice; a log's among the witnesses would vouch for itself.
        if key.key in self._keys:
            raise MalformedError(f"the key of `{key.name[:80]}` stands above, as that of `{self._keys[key.key][:80]}`")
        self._keys[key.key] = key.name
        return key

    def _define(self, name: str) -> None:
        if name == NO_QUORUM or name in self._defined:
            raise MalformedError(f"{name[:80]!r} has a meaning already: give another name")
        self._defined.add(name)

    def _join(self, name: str) -> None:
        self._check_defined(name)
        if name in self._grouped:
            raise MalformedError(f"{name[:80]!r} is a member already: it would count twice")
        self._grouped.add(name)

    def _check_defined(self, name: str) -> None:
        if name not in self._defined:
            raise MalformedError(f"{name[:80]!r} is no witness or group of a line above")


def _threshold(text: str, members: int) -> int:
    if text in {_ALL, _ANY}:
        return members if text == _ALL else 1
    threshold = parse_decimal(text, "threshold")
    if not 1 <= threshold <= members:
        raise MalformedError(f"a threshold of {threshold} for {members} members: it must be from 1 to {members}")
    return threshold


def _line(*words: str | None) -> str:
    return " ".join(word for word in words if word is not None) + "\n"
