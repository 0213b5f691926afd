"""The classes of octets against the grammar they stand for."""

from __future__ import annotations

import string

import pytest

from bypass._probe import OCTET_CLASSES, OCTETS

ALPHA_DIGIT = string.ascii_letters + string.digits
SUB_DELIMS = "!$&'()*+,;="
UNRESERVED = ALPHA_DIGIT + "-._~"
VISIBLE = {chr(octet) for octet in range(0x21, 0x7F)}

GRAMMAR = {
    "token": set(ALPHA_DIGIT + "!#$%&'*+-.^_`|~"),  # tchar, RFC 9110 5.6.2
    "value": {"\t", " "} | VISIBLE | {chr(octet) for octet in range(0x80, 0x100)},  # RFC 9110 5.5
    "target": VISIBLE - {"#"},
    "host": set(UNRESERVED + SUB_DELIMS + "%:[]"),  # RFC 3986 3.2.2, 3.2.3
    "plain": VISIBLE - set("#%?/."),
}


@pytest.mark.parametrize("name", GRAMMAR)
def test_a_class_holds_just_the_octets_of_its_rule(name: str) -> None:
    bit = OCTET_CLASSES[name]
    assert {chr(octet) for octet in range(256) if OCTETS[octet] & bit} == GRAMMAR[name]


def test_the_classes_are_single_bits_and_there_are_no_others() -> None:
    bits = list(OCTET_CLASSES.values())
    assert sorted(bits) == [1 << place for place in range(len(bits))]
    assert set(OCTET_CLASSES) == set(GRAMMAR)
    assert all(not octet >> len(bits) for octet in OCTETS)
    assert len(OCTETS) == 256
