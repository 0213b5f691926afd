"""A socket that cannot be opened becomes one message with remedy; a queue not yet free is waited for."""

from __future__ import annotations

import errno
import os
import resource

import pytest

from bypass.errors import BypassError, ExitCode, PrivilegeError, UnavailableError, errno_name
from bypass.xdp.socket_errors import SocketRequest, explain, open_with_retry

REQUEST = SocketRequest("eth7", 3, umem_bytes=64 << 20, driver="igb")
ZERO_COPY = SocketRequest("eth7", 3, zero_copy=True, driver="igb")


def _os_error(code: int, stage: str) -> OSError:
    return OSError(code, os.strerror(code), stage)


class Clock:
    """Time that passes only in sleep()."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, pause_s: float) -> None:
        self.pauses.append(pause_s)
        self.now_s += pause_s


@pytest.mark.parametrize(
    ("code", "stage", "request_", "kind", "words"),
    [
        (errno.EBUSY, "bind", REQUEST, UnavailableError, ["another AF_XDP socket holds", "--queue"]),
        (errno.EPERM, "socket", REQUEST, PrivilegeError, ["CAP_NET_RAW", "root"]),
        (errno.EAFNOSUPPORT, "socket", REQUEST, UnavailableError, ["no AF_XDP", "CONFIG_XDP_SOCKETS"]),
        (errno.EOPNOTSUPP, "bind", ZERO_COPY, UnavailableError, ["igb has no AF_XDP zero-copy", "--copy"]),
        (errno.EINVAL, "bind", ZERO_COPY, UnavailableError, ["zero-copy", "MTU", "--copy"]),
        (errno.ENOENT, "bind", ZERO_COPY, UnavailableError, ["reset a single queue", "--copy"]),
        (errno.EINVAL, "bind", REQUEST, UnavailableError, ["queue does not exist", "ethtool -l eth7"]),
        (errno.ENODEV, "bind", REQUEST, UnavailableError, ["interface is gone"]),
        (errno.ENETDOWN, "bind", REQUEST, UnavailableError, ["down", "ip link set dev eth7 up"]),
        (errno.ENOMEM, "bind", REQUEST, UnavailableError, ["short of memory"]),
        (errno.EPROTONOSUPPORT, "rings", REQUEST, UnavailableError, ["5.4"]),
        (errno.EIO, "options", REQUEST, BypassError, ["Input/output error"]),
    ],
)
def test_each_failure_says_what_failed_why_and_what_to_do(
    code: int, stage: str, request_: SocketRequest, kind: type[BypassError], words: list[str]
) -> None:
    error = explain(_os_error(code, stage), request_)
    assert type(error) is kind
    text = str(error)
    assert text.startswith("eth7 queue 3: ")
    assert f"({errno_name(code)})" in text
    for word in words:
        assert word in text


def test_virtio_net_without_zero_copy_is_told_about_iommu_platform() -> None:
    request = SocketRequest("eth7", 0, zero_copy=True, driver="virtio_net")
    assert "iommu_platform" in str(explain(_os_error(errno.EINVAL, "bind"), request))


@pytest.mark.parametrize("code", [errno.ENOBUFS, errno.ENOMEM])
def test_a_low_memlock_limit_is_named_with_both_figures(code: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (8 << 20, hard))
    try:
        error = explain(_os_error(code, "umem"), REQUEST)
    finally:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (soft, hard))
    assert isinstance(error, PrivilegeError)
    assert error.exit_code is ExitCode.NO_PERMISSION
    assert "64.0 MiB" in str(error)
    assert "8.0 MiB" in str(error)
    assert "LimitMEMLOCK" in str(error)


def test_a_queue_that_becomes_free_is_waited_for() -> None:
    clock = Clock()
    answers = [_os_error(errno.EBUSY, "bind")] * 4

    def factory() -> str:
        if answers:
            raise answers.pop()
        return "socket"

    assert open_with_retry(factory, REQUEST, clock=clock, sleep=clock.sleep) == "socket"
    assert len(clock.pauses) == 4
    assert clock.pauses == sorted(clock.pauses)


def test_a_queue_that_stays_taken_is_given_up_after_two_seconds() -> None:
    clock = Clock()
    attempts = []

    def factory() -> str:
        attempts.append(clock.now_s)
        raise _os_error(errno.EBUSY, "bind")

    with pytest.raises(UnavailableError, match="eth7 queue 3: binding failed"):
        open_with_retry(factory, REQUEST, clock=clock, sleep=clock.sleep)
    assert 1.5 <= clock.now_s - 100.0 <= 2.0
    assert len(attempts) > 5


@pytest.mark.parametrize(("code", "stage"), [(errno.ENODEV, "bind"), (errno.EBUSY, "umem")])
def test_other_failures_are_not_tried_again(code: int, stage: str) -> None:
    clock = Clock()

    def factory() -> str:
        raise _os_error(code, stage)

    with pytest.raises(BypassError):
        open_with_retry(factory, REQUEST, clock=clock, sleep=clock.sleep)
    assert clock.pauses == []


def test_without_a_request_the_os_error_itself_is_raised() -> None:
    def factory() -> str:
        raise _os_error(errno.ENODEV, "bind")

    with pytest.raises(OSError, match="No such device"):
        open_with_retry(factory)
