"""Which addresses are public, embedded ones included."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from monitor.base.errors import BlockedAddress, FetchFailed
from monitor.intake.addresses import refusal, resolve, vet

PUBLIC = ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "2620:4f:8000::1", "64:ff9b::1.1.1.1"]
PRIVATE = [
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3"),
    *("10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1", "169.254.0.1", "198.18.0.1"),
    *("192.0.2.1", "192.88.99.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd12::1", "ff02::1", "100::1", "5f00::1"),
    *("2001:db8::1", "3fff::1", "2001::1"),
    *("::ffff:1.1.1.1", "::ffff:10.0.0.1", "::10.0.0.1", "2002:0a00:1::1", "2002:0101:0101::1"),
    *("64:ff9b::10.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b:1::1.1.1.1"),
]
METADATA = [
    "169.254.169.254",
    "169.254.170.2",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "fd00:ec2::254",
    "::ffff:169.254.169.254",
]
METADATA += ["64:ff9b::169.254.169.254", "2002:a9fe:a9fe::1"]


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_are_let_through(text: str) -> None:
    assert refusal(ip_address(text), allow_private=False) is None


@pytest.mark.parametrize("text", PRIVATE)
def test_others_only_by_setting(text: str) -> None:
    assert refusal(ip_address(text), allow_private=False)
    assert refusal(ip_address(text), allow_private=True) is None


@pytest.mark.parametrize("text", METADATA)
def test_metadata_services_never(text: str) -> None:
    assert "metadata" in (refusal(ip_address(text), allow_private=True) or "")


def test_one_bad_address_spoils_the_name() -> None:
    with pytest.raises(BlockedAddress, match=r"clips\.example \(::1\) is a loopback address"):
        vet("clips.example", 80, allow_private=False, resolver=lambda _host, _port: ["1.1.1.1", "::1"], source="http://clips.example/")


def test_a_name_without_addresses_fails() -> None:
    with pytest.raises(FetchFailed, match="no address"):
        vet("clips.example", 80, allow_private=False, resolver=lambda _host, _port: [], source="http://clips.example/")


def test_a_name_no_resolver_takes_fails() -> None:
    with pytest.raises(FetchFailed, match="cannot be resolved"):
        vet("a" * 300 + ".example", 80, allow_private=False, resolver=resolve, source="http://clips.example/")


def test_the_order_of_the_resolver_is_kept() -> None:
    found = vet("clips.example", 80, allow_private=False, resolver=lambda _host, _port: ["2606:4700::1", "1.1.1.1"], source="x")
    assert [str(address) for address in found] == ["2606:4700::1", "1.1.1.1"]
