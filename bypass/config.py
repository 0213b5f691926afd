"""Settings of `bypass serve`: flag > environment BYPASS_* > TOML file > default.

Owns every setting's name, type, bounds and default; a ServeOptions that exists is valid. Does not
know what is done with them, nor how flags are declared.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints

import msgspec
from msgspec import Meta

from bypass.accesslog.format import parse_format
from bypass.configfile import FileSettings, first_error, read_file
from bypass.errors import ConfigError, ExitCode
from bypass.site.rules.settings import SiteConfig
from bypass.text import environment_name, parse_duration_s, parse_size_bytes

Mode = Literal["auto", "native", "generic"]
Memory = Literal["auto", "copy", "zero-copy"]
Poll = Literal["latency", "balanced", "efficient"]
Congestion = Literal["cubic", "newreno"]
WhenFull = Literal["drop", "wait"]


def _number_of(parse: Callable[[str], float]) -> dict[str, object]:
    return {"parse": lambda value: parse(value) if isinstance(value, str) else value}


def _addresses(value: object) -> object:
    if isinstance(value, list | tuple):
        return [str(ip_address(str(item).partition("%")[0])) for item in value]
    return value


def _networks(value: object) -> object:
    if isinstance(value, list | tuple):
        return [str(ip_network(str(item))) for item in value]
    return value


def _log_format(value: object) -> object:
    if isinstance(value, str):
        parse_format(value)
    return value


_DURATION = "a time such as 500ms, 30s or 5m"
_AS_SECONDS = _number_of(parse_duration_s)
Duration = Annotated[float, Meta(ge=0.0, le=86400.0, description=_DURATION, extra=_AS_SECONDS)]
PositiveDuration = Annotated[
    float, Meta(ge=0.001, le=86400.0, description=f"{_DURATION}, not zero", extra=_AS_SECONDS)
]
PortNumber = Annotated[int, Meta(ge=1, le=65535, description="a number from 1 to 65535")]
QueueNumbers = Annotated[
    tuple[Annotated[int, Meta(ge=0, le=4095)], ...],
    Meta(description="numbers of receive queues, from 0 on; none means every queue"),
]
Addresses = Annotated[
    tuple[str, ...],
    Meta(
        description="IPv4 or IPv6 addresses without prefix length; none means the interface's own",
        extra={"parse": _addresses},
    ),
]
Networks = Annotated[
    tuple[str, ...],
    Meta(
        description="IPv4 or IPv6 prefixes such as 192.0.2.0/24, or single addresses",
        extra={"parse": _networks},
    ),
]
SizeBytes = Annotated[
    int,
    Meta(
        ge=0,
        le=1 << 46,
        description="a size such as 512M or 2G; 0 means half of the memory available",
        extra=_number_of(parse_size_bytes),
    ),
]


LogFormatText = Annotated[
    str,
    Meta(
        description="common, combined, json, or text with variables such as $remote_addr",
        extra={"parse": _log_format},
    ),
]


SizeOrNone = Annotated[
    int,
    Meta(
        ge=0,
        le=1 << 46,
        description="a size such as 64M; 0 is none",
        extra=_number_of(parse_size_bytes),
    ),
]


class ServeOptions(msgspec.Struct, frozen=True, kw_only=True, rename="kebab"):
    """What `bypass serve` is told. Durations are seconds, sizes bytes."""

    site: str = ""
    interface: Annotated[str, Meta(max_length=15, description="a name of at most 15 characters")] = ""
    address: Addresses = ()
    port: PortNumber = 80
    queue: QueueNumbers = ()
    mode: Annotated[Mode, Meta(description="auto, native or generic")] = "auto"
    memory: Annotated[Memory, Meta(description="auto, copy or zero-copy")] = "auto"
    poll: Annotated[Poll, Meta(description="latency, balanced or efficient")] = "balanced"
    busy_poll: Annotated[bool, Meta(description="true or false")] = False
    tune: Annotated[bool, Meta(description="true or false")] = False
    state_dir: Annotated[str, Meta(description="a folder", min_length=1)] = "/var/lib/bypass/nic"
    connections: Annotated[int, Meta(ge=64, le=1 << 24, description="a number from 64 to 16777216")] = 65536
    congestion: Annotated[Congestion, Meta(description="cubic or newreno")] = "cubic"
    idle_timeout: PositiveDuration = 60.0
    drain_timeout: Duration = 10.0
    max_memory: SizeBytes = 0
    block: Networks = ()
    syn_rate: Annotated[
        int, Meta(ge=0, le=1_000_000, description="a number up to 1000000; 0 is no limit")
    ] = 0
    connections_per_source: Annotated[
        int, Meta(ge=0, le=1 << 24, description="a number up to 16777216; 0 is no limit")
    ] = 0
    large_file: SizeOrNone = 64 << 20
    large_memory: Annotated[
        int,
        Meta(
            ge=4 << 20,
            le=1 << 40,
            description="a size from 4M to 1T",
            extra=_number_of(parse_size_bytes),
        ),
    ] = 256 << 20
    access_log: Annotated[str, Meta(max_length=4096, description="a file, or - for stdout")] = ""
    log_format: LogFormatText = "combined"
    log_when_full: Annotated[WhenFull, Meta(description="drop or wait")] = "drop"
    log_buffer: Annotated[
        int,
        Meta(
            ge=65536,
            le=1 << 30,
            description="a size from 64K to 1G",
            extra=_number_of(parse_size_bytes),
        ),
    ] = 8 << 20
    watch: Annotated[bool, Meta(description="true or false")] = False
    runtime_folder: Annotated[str, Meta(max_length=80, description="a folder, at most 80 characters")] = ""
    cpu: Annotated[int, Meta(ge=-1, le=4095, description="the number of a CPU; -1 leaves it open")] = -1

    def __post_init__(self) -> None:
        for name, hint in HINTS.items():
            value = getattr(self, name)
            try:
                msgspec.convert(value, hint)
            except msgspec.ValidationError as error:
                raise ValueError(f"{name} = {value!r}: {error}") from None


HINTS: dict[str, Any] = get_type_hints(ServeOptions, include_extras=True)
KEYS: dict[str, str] = {name.replace("_", "-"): name for name in HINTS}
"""Key as flags and files spell it -> attribute of ServeOptions."""


class Resolved(msgspec.Struct, frozen=True):
    """The options, for each key where its value came from, and what the file says about the site."""

    options: ServeOptions
    origins: dict[str, str]
    site: SiteConfig = SiteConfig()


def resolve(
    flags: Mapping[str, object], environment: Mapping[str, str], file: Path | None = None
) -> Resolved:
    """The options from all places. ConfigError names the place, the key, the value and what is allowed.

    flags: by attribute name; None means not given.
    """
    values: dict[str, object] = {}
    origins = dict.fromkeys(KEYS, "default")
    settings = _from_file(file) if file else None
    for key, (raw, origin) in {
        **({key: (entry.value, entry.origin) for key, entry in settings.entries.items()} if settings else {}),
        **_from_environment(environment),
        **{k: (flags[n], f"--{k}") for k, n in KEYS.items() if flags.get(n) is not None},
    }.items():
        values[KEYS[key]] = judge_value(key, raw, origin)
        origins[key] = origin
    options = ServeOptions(**values)  # type: ignore[arg-type]  # checked one by one above
    return Resolved(options, origins, settings.site if settings else SiteConfig())


def _from_environment(environment: Mapping[str, str]) -> dict[str, tuple[object, str]]:
    names = {environment_name(key): key for key in KEYS}
    return {key: (environment[name], name) for name, key in names.items() if environment.get(name)}


def _from_file(path: Path) -> FileSettings:
    settings = read_file(path, KEYS, judge_value)
    if error := first_error(settings.mistakes):
        raise error
    return settings


def judge_value(key: str, raw: object, origin: str) -> object:
    """`raw` as the type of its setting; ConfigError. Text from flags and environment is read leniently."""
    hint = HINTS[KEYS[key]]
    from_file = not origin.startswith(("--", "BYPASS_"))
    value = raw
    if isinstance(value, str) and _is_list(hint) and not from_file:
        value = [part.strip() for part in value.split(",") if part.strip()]
    try:
        for meta in get_args(hint)[1:]:
            value = (meta.extra or {}).get("parse", lambda same: same)(value)
        return msgspec.convert(value, hint, strict=from_file)
    except (ValueError, msgspec.ValidationError):
        raise _bad_value(key, raw, origin, hint) from None


def _bad_value(key: str, raw: object, origin: str, hint: object) -> ConfigError:
    allowed = next((meta.description for meta in get_args(hint)[1:] if meta.description), "text")
    shown = ", ".join(map(str, raw)) if isinstance(raw, tuple) else raw
    where = {"--": f"{origin} {shown}", "BY": f"{origin}={shown}"}.get(
        origin[:2], f"{origin}: serve.{key} = {raw!r}"
    )
    error = ConfigError(where, why=f"it must be {allowed}")
    if origin.startswith("--"):
        error.exit_code = ExitCode.USAGE
    return error


def _is_list(hint: Any) -> bool:
    return getattr(get_args(hint)[0], "__origin__", None) is tuple if get_args(hint) else False
