import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.audit import KnownLog, KnownWitness, LogPolicy, WitnessGroup, parse_log_policy, render_log_policy
from exchange.audit.log_policy_text import LARGEST_POLICY_BYTES
from exchange.kernel import MalformedError
from tests.core.audit.signers import LOG, LOG_ML_DSA, OTHER_LOG, W1, W2, W3

LOG_KEY, K1, K2, K3 = (str(each.verifier) for each in (LOG, W1, W2, W3))
WITNESSES = f"witness one {K1}\nwitness two {K2}\nwitness three {K3}\n"


def parsed(text):
    return parse_log_policy(text.encode())


def test_policy_is_read():
    policy = parsed(
        f"""# the log, by its Ed25519 key
log {LOG_KEY}
 \t# and by the other one
log\t{LOG_ML_DSA.verifier} \t https://exchange.example/v1/audit
\t
witness one {K1} https://witness.example/one
witness two {K2}
group pair all one two
witness three {K3}
group both 2 pair three
quorum both
"""
    )

    assert policy == LogPolicy(
        (KnownLog(LOG.verifier), KnownLog(LOG_ML_DSA.verifier, "https://exchange.example/v1/audit")),
        (
            KnownWitness("one", W1.verifier, "https://witness.example/one"),
            KnownWitness("two", W2.verifier),
            KnownWitness("three", W3.verifier),
        ),
        (WitnessGroup("pair", 2, ("one", "two")), WitnessGroup("both", 2, ("pair", "three"))),
        "both",
    )


@pytest.mark.parametrize(("word", "threshold"), [("all", 3), ("any", 1), ("1", 1), ("2", 2), ("3", 3)])
def test_threshold_is_a_number_or_a_word(word, threshold):
    policy = parsed(f"{WITNESSES}group g {word} one two three\nquorum g\n")

    assert policy.groups == (WitnessGroup("g", threshold, ("one", "two", "three")),)


def test_quorum_may_be_one_witness_or_none():
    assert parsed(f"{WITNESSES}quorum two\n").quorum == "two"
    assert parsed("quorum none\n") == LogPolicy((), (), (), "none")


def test_group_may_have_one_member():
    assert parsed(f"{WITNESSES}group g any two\nquorum g\n").groups == (WitnessGroup("g", 1, ("two",)),)


def test_names_are_octets():
    content = b"witness \xff\xfe " + K1.encode() + b" \x80\nquorum \xff\xfe\n"
    policy = parse_log_policy(content)

    assert policy.quorum == policy.witnesses[0].name
    assert render_log_policy(policy) == content
    # Two spellings of what looks like one letter, and a space that is none here.
    kelvin = parsed(f"witness K {K1}\nwitness \u212a {K2}\nwitness a\u00a0b {K3}\nquorum K\n")
    assert [witness.name for witness in kelvin.witnesses] == ["K", "\u212a", "a\u00a0b"]


@given(
    st.lists(st.sampled_from([LOG, LOG_ML_DSA, OTHER_LOG]), unique=True),
    st.integers(1, 2),
    st.sampled_from(["one", "g", "none"]),
)
def test_policy_comes_back_from_its_text(logs, threshold, quorum):
    policy = LogPolicy(
        tuple(KnownLog(each.verifier) for each in logs),
        (KnownWitness("one", W1.verifier, "https://one.example"), KnownWitness("two", W2.verifier)),
        (WitnessGroup("g", threshold, ("one", "two")),),
        quorum,
    )

    assert parse_log_policy(render_log_policy(policy)) == policy


def test_policy_is_written_with_numbers():
    policy = parsed(f"log {LOG_KEY} url\n{WITNESSES}group g any two one\nquorum g\n")

    assert render_log_policy(policy).decode() == f"log {LOG_KEY} url\n{WITNESSES}group g 1 two one\nquorum g\n"


CONTROL = "line 2: holds a control character other than tab and newline"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "policy does not end in a newline: is it whole?"),
        ("quorum none", "policy does not end in a newline: is it whole?"),
        ("\n", "policy has no quorum line: write `quorum none` to ask for no witness"),
        (WITNESSES, "policy has no quorum line: write `quorum none` to ask for no witness"),
        ("\nquorum none\r\n", CONTROL),
        ("\n#\0\n", CONTROL),
        ("\n#\x08\n", CONTROL),
        ("\n#\x0b\n", CONTROL),
        ("\n#\x1f\n", CONTROL),
        ("\n#\x7f\n", CONTROL),
        ("quorom none\n", "line 1: 'quorom' is no word that a line begins with: log, witness, group, quorum"),
        ("Quorum none\n", "line 1: 'Quorum' is no word that a line begins with: log, witness, group, quorum"),
        ("quorum\u00a0none\n", "line 1: 'quorum\\xa0none' is no word that a line begins with: log, witness, group, quorum"),
        (f"{'q' * 50}\n", f"line 1: '{'q' * 40}' is no word that a line begins with: log, witness, group, quorum"),
        ("log\n", "line 1: write `log <key> [<url>]`"),
        (f"log {LOG_KEY} url more\n", "line 1: write `log <key> [<url>]`"),
        ("log key\n", "line 1: `key` is no verifier key: write `<name>+<id>+<base64>`"),
        (f"log {LOG_KEY}\nlog {LOG_KEY}\n", f"line 2: the key of `{LOG.name}` stands above, as that of `{LOG.name}`"),
        ("witness one\n", "line 1: write `witness <name> <key> [<url>]`"),
        (f"witness one {K1} url more\n", "line 1: write `witness <name> <key> [<url>]`"),
        (f"witness none {K1}\n", "line 1: 'none' has a meaning already: give another name"),
        (f"witness one {K1}\nwitness one {K2}\n", "line 2: 'one' has a meaning already: give another name"),
        (f"witness one {K1}\nwitness two {K1}\n", f"line 2: the key of `{W1.name}` stands above, as that of `{W1.name}`"),
        (f"witness one {LOG_KEY}\n", "line 1: type 0x01 makes no cosignatures: witnesses need 0x04 or 0x06"),
        (f"log {K2}\nwitness two {K2}\n", f"line 2: the key of `{W2.name}` stands above, as that of `{W2.name}`"),
        (f"{WITNESSES}group g all\n", "line 4: write `group <name> all|any|<k> <member>...`"),
        (f"{WITNESSES}group none all one\n", "line 4: 'none' has a meaning already: give another name"),
        (f"{WITNESSES}group two all one\n", "line 4: 'two' has a meaning already: give another name"),
        (f"{WITNESSES}group g all one\ngroup g all two\n", "line 5: 'g' has a meaning already: give another name"),
        (f"{WITNESSES}group g all none\n", "line 4: 'none' is no witness or group of a line above"),
        (f"{WITNESSES}group g all four\n", "line 4: 'four' is no witness or group of a line above"),
        (f"{WITNESSES}group g all g\n", "line 4: 'g' is no witness or group of a line above"),
        (f"{WITNESSES}group g all one one\n", "line 4: 'one' is a member already: it would count twice"),
        (f"{WITNESSES}group g all one\ngroup h all one\n", "line 5: 'one' is a member already: it would count twice"),
        (f"{WITNESSES}group g 0 one two\n", "line 4: a threshold of 0 for 2 members: it must be from 1 to 2"),
        (f"{WITNESSES}group g 3 one two\n", "line 4: a threshold of 3 for 2 members: it must be from 1 to 2"),
        (f"{WITNESSES}group g 01 one two\n", "line 4: threshold: `01` is no number as it must be written: 0 to 9223372036854775807"),
        (f"{WITNESSES}group g ALL one two\n", "line 4: threshold: `ALL` is no number as it must be written: 0 to 9223372036854775807"),
        ("quorum\n", "line 1: write `quorum <name>`"),
        (f"{WITNESSES}quorum one two\n", "line 4: write `quorum <name>`"),
        (f"quorum one\n{WITNESSES}", "line 1: 'one' is no witness or group of a line above"),
        ("quorum none\nquorum none\n", "line 2: a second quorum: there is exactly one"),
        (f"{WITNESSES}quorum one\n\nquorum none\n", "line 6: a second quorum: there is exactly one"),
    ],
)  # fmt: skip
def test_other_text_is_no_policy(text, message):
    with pytest.raises(MalformedError) as caught:
        parsed(text)

    assert str(caught.value) == message


def test_one_key_of_two_types_is_one_key():
    key = type(W1)(LOG.name, W1.type, LOG.key).verifier
    with pytest.raises(
        MalformedError, match=rf"^line 2: the key of `{LOG.name}` stands above, as that of `{LOG.name}`$"
    ):
        parsed(f"log {LOG_KEY}\nwitness one {key}\nquorum none\n")


def test_long_names_are_quoted_in_brief():
    name = "n" * 81
    for text in (
        f"quorum {name}\n",
        f"witness {name} {K1}\nwitness {name} {K2}\n",
        f"witness {name} {K1}\ngroup g all {name} {name}\n",
    ):
        with pytest.raises(MalformedError, match=r": '?n{80}'? "):
            parsed(text)


def test_long_key_name_is_quoted_in_brief():
    key = type(W1)("n" * 81, W1.type, W1.key).verifier
    with pytest.raises(MalformedError, match=r"^line 2: the key of `n{80}` stands above, as that of `n{80}`$"):
        parsed(f"witness one {key}\nwitness two {key}\n")


def test_policy_has_at_most_512_kib():
    assert LARGEST_POLICY_BYTES == 512 * 1024
    filled = b"#" * (LARGEST_POLICY_BYTES - 13) + b"\nquorum none\n"
    assert len(filled) == LARGEST_POLICY_BYTES
    assert parse_log_policy(filled).quorum == "none"
    with pytest.raises(MalformedError, match=r"^policy has 524289 bytes: at most 524288 are read$"):
        parse_log_policy(b"#" + filled)


@pytest.mark.parametrize(
    "policy",
    [
        LogPolicy((), (), (), "stranger"),
        LogPolicy((KnownLog(LOG.verifier), KnownLog(LOG.verifier)), ()),
        LogPolicy((), (KnownWitness("one", LOG.verifier),)),
        LogPolicy((), (KnownWitness("two words", W1.verifier, "url"),)),
        LogPolicy((), (KnownWitness("one", W1.verifier),), (WitnessGroup("g", 2, ("one",)),)),
        LogPolicy((), (KnownWitness("one", W1.verifier),), (WitnessGroup("g", 0, ("one",)),)),
        LogPolicy((), (KnownWitness("one", W1.verifier),), (WitnessGroup("g", 1, ()),)),
    ],
)
def test_policy_that_no_reader_would_take_is_not_written(policy):
    with pytest.raises(MalformedError):
        render_log_policy(policy)


def test_policy_that_would_be_read_as_another_is_told():
    with pytest.raises(
        MalformedError, match=r"^the policy would be read as another one: a name or URL holds what it must"
    ):
        render_log_policy(LogPolicy((KnownLog(LOG.verifier, "url\n"),), ()))
