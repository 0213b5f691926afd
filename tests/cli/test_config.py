"""Where settings come from, and what a wrong one says."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bypass.config import KEYS, ServeOptions, resolve
from bypass.errors import ConfigError, ExitCode
from bypass.text import environment_name


def _file(folder: Path, text: str) -> Path:
    path = folder / "bypass.toml"
    path.write_text(text)
    return path


def _refused(**places: object) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        resolve(**{"flags": {}, "environment": {}, **places})  # type: ignore[arg-type]
    return caught.value


def test_without_any_place_every_value_is_the_default() -> None:
    resolved = resolve({}, {})
    assert resolved.options == ServeOptions()
    assert set(resolved.origins.values()) == {"default"}


def test_a_flag_comes_before_the_environment_before_the_file(tmp_path: Path) -> None:
    file = _file(tmp_path, '[serve]\nport = 1\nconnections = 1000\npoll = "latency"\n')
    resolved = resolve({"port": "3"}, {"BYPASS_PORT": "2", "BYPASS_CONNECTIONS": "2000"}, file)
    assert resolved.options.port == 3
    assert resolved.options.connections == 2000
    assert resolved.options.poll == "latency"
    assert resolved.origins["port"] == "--port"
    assert resolved.origins["connections"] == "BYPASS_CONNECTIONS"
    assert resolved.origins["poll"] == f"{file}:4"
    assert resolved.origins["cpu"] == "default"


def test_quantities_are_read_as_people_write_them() -> None:
    environment = {
        "BYPASS_IDLE_TIMEOUT": "500ms",
        "BYPASS_DRAIN_TIMEOUT": "2m",
        "BYPASS_MAX_MEMORY": "1.5GiB",
        "BYPASS_QUEUE": "0, 2",
        "BYPASS_ADDRESS": "10.0.0.1,fe80::1%eth0",
        "BYPASS_BLOCK": "192.0.2.0/24, 2001:db8::1",
        "BYPASS_SYN_RATE": "50",
        "BYPASS_CONGESTION": "newreno",
        "BYPASS_CONNECTIONS_PER_SOURCE": "100",
    }
    options = resolve({}, environment).options
    assert options.idle_timeout == 0.5
    assert options.drain_timeout == 120
    assert options.max_memory == 3 << 29
    assert options.queue == (0, 2)
    assert options.address == ("10.0.0.1", "fe80::1")
    assert options.block == ("192.0.2.0/24", "2001:db8::1/128")
    assert options.syn_rate == 50
    assert options.congestion == "newreno"
    assert options.connections_per_source == 100


@pytest.mark.parametrize(
    ("flag", "value", "allowed"),
    [
        ("port", "0", "from 1 to 65535"),
        ("port", "65536", "from 1 to 65535"),
        ("port", "http", "from 1 to 65535"),
        ("connections", "1", "from 64"),
        ("idle_timeout", "0", "not zero"),
        ("idle_timeout", "5 weeks", "500ms"),
        ("max_memory", "-1", "512M"),
        ("cpu", "-2", "CPU"),
        ("poll", "fast", "latency, balanced or efficient"),
        ("interface", "a-name-of-16-chrs", "at most 15"),
        ("address", ("10.0.0.1", "10.0.0.256"), "IPv4 or IPv6"),
        ("queue", ("-1",), "queues"),
        ("block", ("192.0.2.1/24",), "192.0.2.0/24"),
        ("syn_rate", "-1", "no limit"),
        ("congestion", "reno", "cubic or newreno"),
        ("connections_per_source", "-1", "no limit"),
    ],
)
def test_a_wrong_flag_is_a_usage_error_that_says_what_is_allowed(
    flag: str, value: object, allowed: str
) -> None:
    error = _refused(flags={flag: value})
    assert error.exit_code is ExitCode.USAGE
    assert f"--{flag.replace('_', '-')} " in error.what
    assert (value if isinstance(value, str) else value[-1]) in error.what  # type: ignore[index]
    assert allowed in error.why


def test_a_wrong_environment_variable_names_itself() -> None:
    error = _refused(environment={"BYPASS_PORT": "70000"})
    assert error.exit_code is ExitCode.CONFIGURATION
    assert "BYPASS_PORT=70000" in str(error)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[serve]\nport = 70000\n", ["serve.port", "70000", "from 1 to 65535"]),
        ('[serve]\nport = "80"\n', ["serve.port", "'80'"]),
        ("[serve]\nport = true\n", ["serve.port", "True"]),
        ("[serve]\nprot = 80\n", ["serve.prot", "80", "Did you mean 'port'"]),
        ("[sevre]\n", ["sevre", "Did you mean 'serve'"]),
        ("serve = 3\n", ["must be a table"]),
        ("[serve\n", ["not valid TOML", ":1: not valid TOML"]),
        ("[serve]\nqueue = [0, -1]\n", ["serve.queue", "[0, -1]"]),
        ('[serve]\naddress = ["10.0.0.0/8"]\n', ["serve.address", "10.0.0.0/8", "without prefix length"]),
    ],
)
def test_a_wrong_file_is_named_with_key_and_value(tmp_path: Path, text: str, words: list[str]) -> None:
    path = _file(tmp_path, text)
    error = _refused(file=path)
    assert error.exit_code is ExitCode.CONFIGURATION
    for word in [str(path), *words]:
        assert word in str(error)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    assert "No such file" in str(_refused(file=tmp_path / "absent.toml"))


def test_options_that_exist_are_valid() -> None:
    with pytest.raises(ValueError, match="port = 0"):
        ServeOptions(port=0)
    with pytest.raises(AttributeError):
        ServeOptions().port = 81  # type: ignore[misc]


def test_every_setting_has_its_own_environment_name() -> None:
    assert len({environment_name(key) for key in KEYS}) == len(KEYS)


def test_the_sample_file_names_every_setting_with_its_default(root: Path, tmp_path: Path) -> None:
    sample = (root / "config" / "bypass.toml").read_text()
    assert resolve({}, {}, root / "config" / "bypass.toml").options == ServeOptions()
    uncommented = [
        line.removeprefix("# ") if line.removeprefix("# ").split(" = ")[0] in KEYS else line
        for line in sample.splitlines()
    ]
    resolved = resolve({}, {}, _file(tmp_path, "\n".join(uncommented)))
    assert resolved.options == ServeOptions()
    assert "default" not in resolved.origins.values()
    assert set(msgspec.structs.asdict(resolved.options)) == set(KEYS.values())
