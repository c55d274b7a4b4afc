"""What a member may put in force for its own reports: guards as text, bounded before anything parses them.

Whoever uploads them is not trusted to mean well: the parser recurses, so depth is bounded by counting words first; what
a decision costs is bounded by the same count. `resource.originator` is not asked about: guards of a member are put to
its own reports and to no others.
"""

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping

from exchange.kernel import Fault, InvalidError
from exchange.kernel.errors import MOST_FAULTS_TOLD
from exchange.release.guard_files import MAX_GUARD_FILE_BYTES, Guard, read_guards, records

MAX_NATIONAL_BYTES = MAX_GUARD_FILE_BYTES
"""For the guards, and as much again for their examples."""

MAX_NATIONAL_GUARDS = 200
"""More than anybody can keep in mind; 200 plain ones add some 0.2 ms to a decision about the member's reports."""

MAX_WORDS = 8_000
"""Words and signs in all; 200 plain guards have some 7,000. With `MAX_JOINTS` it bounds what a decision can cost."""

MAX_JOINTS = 800
"""Operators in all: the dearest that fit in cost 1.3 ms for a decision, of the member's own reports and no others."""

MAX_GUARD_JOINTS = 40
"""Operators in one guard. Each makes the tree one deeper, and the engine reads at most 128 levels of JSON."""

MAX_GUARD_WORDS = 1_000
"""In one guard. What makes a tree deep without an operator (`a.b.c`) is bounded by it."""

MAX_NESTING = 16
"""Brackets in brackets: at 2,000 the parser's stack ends, and the process with it."""

MAX_WILDCARDS = 8
"""In one `like` pattern."""

MAX_LITERAL_CHARACTERS = 256
"""Longer than any word that a report or client can hold."""

_WORD = re.compile(r'"(?:\\.|[^"\\])*"|//[^\n]*|\w+|&&|\|\||[<>!=]=|::|\S')
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")
_JOINTS = frozenset({"&&", "||", "+", "-", "*", "if", "when", "unless", "!"})


def read_national(member: str, text: str, schema: str) -> tuple[Guard, ...]:
    """Return the guards that `member` would put in force, sorted by id.

    Raises InvalidError with every fault: what `load_guards` refuses, what is too large, too deep or not plain text, an
    id outside the member's own, a question about the originator.
    """
    faults = list(text_faults(text, "/guards"))
    if not faults:
        words = [word for word in _WORD.findall(text) if not word.startswith("//")]
        faults = list(_shape_faults(words))
    if faults:
        raise _invalid(faults)
    try:
        guards = read_guards({f"{member}.cedar": text}, schema)
    except InvalidError as exc:
        raise _invalid([Fault("/guards", each.code, each.message) for each in exc.faults]) from exc
    except RecursionError as exc:
        raise _invalid([_fault("too-deep", "an expression is nested too deeply: split the guard")]) from exc
    faults = [fault for guard in guards for fault in _guard_faults(member, guard)]
    if len(guards) > MAX_NATIONAL_GUARDS:
        faults.append(_fault("too-many", f"{len(guards)} guards: at most {MAX_NATIONAL_GUARDS}"))
    if faults:
        raise _invalid(faults)
    return guards


def text_faults(text: str, pointer: str) -> Iterator[Fault]:
    """Yield why `text` is not plain text of a bearable size: what shows other than it reads is none."""
    if len(text.encode(errors="surrogatepass")) > MAX_NATIONAL_BYTES:
        yield Fault(pointer, "too-large", f"more than {MAX_NATIONAL_BYTES} bytes")
        return
    # A bare carriage return lets a terminal show another text than the one that is confirmed.
    plain = text.replace("\r\n", "\n").replace("\n", " ").replace("\t", " ")
    hidden = next((place for place, each in enumerate(plain) if not each.isprintable()), None)
    if hidden is not None:
        yield Fault(pointer, "not-plain", f"the character U+{ord(plain[hidden]):04X} does not show: leave it out")
    if not unicodedata.is_normalized("NFC", text):
        message = "the text is not in Unicode's composed form (NFC): what looks equal would differ"
        yield Fault(pointer, "not-plain", message)


def _shape_faults(words: list[str]) -> Iterator[Fault]:
    if len(words) > MAX_WORDS:
        yield _fault("too-large", f"{len(words)} words and signs: at most {MAX_WORDS}")
    depth = deepest = 0
    for word in words:
        depth += (word in _OPENING) - (word in _CLOSING)
        deepest = max(deepest, depth)
    in_all = sum(word in _JOINTS for word in words)
    if in_all > MAX_JOINTS:
        yield _fault("too-large", f"{in_all} operators: at most {MAX_JOINTS}")
    longest, most = _per_guard(words)
    if deepest > MAX_NESTING:
        yield _fault("too-deep", f"brackets stand {deepest} deep: at most {MAX_NESTING}")
    if most > MAX_GUARD_JOINTS:
        yield _fault("too-deep", f"{most} operators in one guard: at most {MAX_GUARD_JOINTS}, so split it")
    if longest > MAX_GUARD_WORDS:
        yield _fault("too-deep", f"{longest} words and signs in one guard: at most {MAX_GUARD_WORDS}, so split it")
    if "has" in words:
        yield _fault("needless", "every attribute is always there: leave `has` out")


def _per_guard(words: list[str]) -> tuple[int, int]:
    """Return the most words, and the most operators, that one guard has."""
    longest = most = length = joints = 0
    for word in words:
        length += 1
        joints += word in _JOINTS
        longest, most = max(longest, length), max(most, joints)
        if word == ";":
            length = joints = 0
    return longest, most


def _guard_faults(member: str, guard: Guard) -> Iterator[Fault]:
    prefix = f"{member.lower()}."
    if not guard.id.startswith(prefix):
        yield _fault("bad-id", f"`{guard.id}`: ids of your guards begin with `{prefix}`")
    tree = json.loads(guard.policy_json)
    if any(each.get("attr") == "originator" for each in records(tree)):
        yield _fault(
            "names-an-originator", f"`{guard.id}`: it is asked about your reports alone; leave `originator` out"
        )
    texts = list(_texts(tree))
    if any(len(text) > MAX_LITERAL_CHARACTERS for text in texts):
        yield _fault("too-large", f"`{guard.id}`: a text of more than {MAX_LITERAL_CHARACTERS} characters")
    if not all(text.isprintable() and unicodedata.is_normalized("NFC", text) for text in texts):
        yield _fault("not-plain", f"`{guard.id}`: a text holds characters that do not show")
    if any(_wildcards(each) > MAX_WILDCARDS for each in records(tree)):
        yield _fault("too-large", f"`{guard.id}`: more than {MAX_WILDCARDS} `*` in one pattern")


def _wildcards(record: Mapping[str, object]) -> int:
    pattern = record.get("pattern")
    return pattern.count("Wildcard") if isinstance(pattern, list) else 0


def _texts(tree: object) -> Iterator[str]:
    for record in records(tree):
        for value in record.values():
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, str):
                    yield each


def _fault(code: str, message: str) -> Fault:
    return Fault("/guards", code, message)


def _invalid(faults: list[Fault]) -> InvalidError:
    return InvalidError("the caveats cannot be put in force", tuple(faults[:MOST_FAULTS_TOLD]))
