import pytest

from exchange.kernel import MalformedError
from exchange.kernel.addresses import is_address, is_loopback, is_public, lies_in, networks_of, outgoing_problem


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111"])
def test_addresses_of_the_internet_are_public(address):
    assert is_public(address)
    assert is_address(address)


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.1.2.3", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
        *("100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.88.99.1"),
        *("192.0.0.1", "192.0.0.9", "192.0.0.192", "192.0.0.255", "::ffff:192.0.0.192"),
        *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fec0::1", "ff02::1", "2001:db8::1", "3fff::1"),
        *(
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::7f00:1",
            "2002:7f00:1::",
            "2002:808:808::1",
        ),
        # Teredo: the client's address is in the last 32 bits, inverted.
        *("2001:0:808:808:0:0:80ff:fffe",),
    ],
)
def test_what_only_we_can_reach_is_not_public(address):
    assert not is_public(address)


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "2130706433", "0x7f000001", "256.1.1.1", "example.org"])
def test_what_is_no_address_is_not_public(text):
    assert not is_public(text)
    assert not is_address(text)


def test_address_lies_in_the_networks_that_are_named():
    networks = networks_of(["10.1.0.0/16", "fd00::/8"])

    assert lies_in("10.1.2.3", networks)
    assert lies_in("fd12::1", networks)
    assert not any(lies_in(text, networks) for text in ("10.2.0.1", "::ffff:10.1.2.3", "10.1", "", "fe80::1"))


@pytest.mark.parametrize("text", ["10.1.0.0/33", "10.1.2.3/16", "desk.example", ""])
def test_what_is_no_network_is_refused(text):
    with pytest.raises(MalformedError, match="no network"):
        networks_of(["10.1.0.0/16", text])


@pytest.mark.parametrize(
    "url",
    ["https://desk.example", "https://desk.example:8443/a?b=c", "https://8.8.8.8/", "https://[2606:4700::1111]/x"],
)
def test_addresses_outside_may_be_sent_to(url):
    assert outgoing_problem(url) is None


@pytest.mark.parametrize(
    "url",
    [
        *("http://desk.example", "https:///x", "https://desk.example:0", "https://desk example", "https://[::1"),
        *(
            "https://desk.example/#part",
            "https://a:b@desk.example",
            "https://d\u00e9sk.example",
            "https://desk.example/\n",
        ),
        *("https://desk.example:99999/", ""),
    ],
)
def test_what_is_no_plain_https_address_is_refused_wherever_it_leads(url):
    assert "https://HOST/PATH" in (outgoing_problem(url, is_inside_allowed=True) or "")


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost.",
        "a.local",
        "metadata.google.internal",
        "x.localdomain",
        "127.0.0.1",
        "127.1",
        "0x7f000001",
    ],
)
def test_host_that_names_the_inside_is_refused_unless_all_of_it_is_allowed(host):
    assert outgoing_problem(f"https://{host}/") == f"`{host}` is not on the public internet"
    assert outgoing_problem(f"https://{host}/", is_inside_allowed=True) is None


def test_address_inside_is_allowed_by_its_network_alone():
    networks = networks_of(["10.1.0.0/16"])

    assert outgoing_problem("https://10.1.2.3/", networks=networks) is None
    assert outgoing_problem("https://10.2.2.3/", networks=networks) is not None


@pytest.mark.parametrize(
    ("host", "is_here"),
    [
        *(("localhost", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True)),
        *(("10.0.0.1", False), ("fe80::1", False), ("exchange.example", False), ("", False)),
    ],
)
def test_what_goes_to_loopback_stays_on_this_machine(host, is_here):
    assert is_loopback(host) is is_here
