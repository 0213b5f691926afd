"""Formats as people write them: the names, variables, and what is refused."""

from __future__ import annotations

import re

import pytest

from bypass._engine import LOG_VARIABLES
from bypass.accesslog.format import FIELD_VARIABLES, FORMATS, PIECES_MOST, VARIABLES, parse_format
from bypass.config import resolve
from bypass.errors import ConfigError


def test_the_engine_knows_the_same_variables() -> None:
    assert set(LOG_VARIABLES) == set(VARIABLES)
    assert set(VARIABLES) > FIELD_VARIABLES


def test_text_and_variables_in_turn() -> None:
    parsed = parse_format("a $status ${request}b $$1 [$msec]")
    assert parsed.pieces == (b"a ", "status", b" ", "request", b"b $1 [", "msec", b"]")
    assert not parsed.json
    assert not parsed.wants_fields


@pytest.mark.parametrize("name", FORMATS)
def test_the_names_are_formats(name: str) -> None:
    assert parse_format(name) == parse_format(FORMATS[name])
    assert parse_format(name).json == (name == "json")
    assert parse_format(name).wants_fields == (name != "common")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("comon", "Did you mean 'common'?"),
        ("", "no format is called"),
        ("$statsu", "Did you mean 'status'?"),
        ("$x", "There are: $remote_addr"),
        ("$", "no such variable: $."),
        ("$status\n$msec", "control characters"),
        ("$status " * PIECES_MOST, "at most 64"),
    ],
)
def test_what_is_no_format_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        parse_format(text)


def test_a_setting_with_a_wrong_format_is_a_configuration_error() -> None:
    with pytest.raises(ConfigError, match=r"common, combined, json, or text with variables"):
        resolve({}, {"BYPASS_LOG_FORMAT": "$nonsense"})
    assert resolve({}, {"BYPASS_LOG_FORMAT": "$status"}).options.log_format == "$status"
