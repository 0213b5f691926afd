"""The order in which a server is put together and taken apart, also when a step fails."""

from __future__ import annotations

import errno

import pytest

from bypass.errors import UnavailableError
from bypass.serve.server import open_server
from tests.serve.conftest import Boom, FakeParts, plan_for

STEPS = [
    "claim 0",
    "load 64",
    "look",
    "attach eth7 auto",
    "settle",
    "open 0",
    "open 1",
    "engine",
    "register 0",
    "register 1",
    "limit 0 0",
    "own 0",
    "targets 2 80",
    "announce",
]
IMAGE = memoryview(b"image")


def test_targets_are_named_last_and_detaching_comes_before_closing(fake: FakeParts) -> None:
    with open_server(plan_for(), IMAGE, fake.parts()) as server:
        assert fake.log == STEPS
        assert server.mode == "native"
        assert server.running
        assert not server.zero_copy
    assert fake.log[len(STEPS) :] == [
        *("stop", "detach", "close 1", "close 0", "detach", "undo", "unload", "give up")
    ]


@pytest.mark.parametrize("step", STEPS)
def test_a_failed_step_leaves_nothing_open(step: str) -> None:
    fake = FakeParts(fail_at=step)
    with pytest.raises(Boom), open_server(plan_for(), IMAGE, fake.parts()):
        pytest.fail("opened in spite of the failure")
    opened = [line.split()[1] for line in fake.log if line.startswith("open ") and line != step]
    closed = [line.split()[1] for line in fake.log if line.startswith("close ")]
    assert closed == opened[::-1]
    if step == STEPS[0]:
        assert fake.log == STEPS[:1]
        return
    assert fake.log[-2:] == ["unload", "give up"]
    if step in STEPS[3:]:
        assert fake.log[-4:] == ["detach", "undo", "unload", "give up"]
    if step in STEPS[-2:]:
        assert fake.log[-8:-4] == ["stop", "detach", "close 1", "close 0"]


def test_sources_to_keep_out_and_own_addresses_are_known_before_targets(fake: FakeParts) -> None:
    plan = plan_for(address=("10.0.0.1", "10.9.9.9"), block=("192.0.2.0/24", "2001:db8::/32"), syn_rate=20)
    with open_server(plan, IMAGE, fake.parts()):
        asked = fake.log[: fake.log.index("announce")]
    assert asked[0] == "claim 1"
    assert asked[-5:] == ["block 192.0.2.0/24", "block 2001:db8::/32", "limit 20 20", "own 1", "targets 2 80"]


@pytest.mark.parametrize("number", [errno.ENXIO, errno.ENETDOWN, errno.EIO])
def test_a_dead_socket_is_said_to_be_one(fake: FakeParts, number: int) -> None:
    fake.engine_status = -number
    with open_server(plan_for(), IMAGE, fake.parts()) as server:
        server._worker._thread.join(5)
        assert not server.running
        with pytest.raises(UnavailableError, match=errno.errorcode[number]):
            server.require_alive()


def test_a_failure_inside_leaves_nothing_open(fake: FakeParts) -> None:
    with pytest.raises(Boom), open_server(plan_for(), IMAGE, fake.parts()):
        raise Boom
    assert fake.log[-2:] == ["unload", "give up"]
    assert "detach" in fake.log


def test_queues_that_attaching_brings_about_get_sockets_too(fake: FakeParts) -> None:
    fake.settled_queues = (0, 1, 2)
    with open_server(plan_for(), IMAGE, fake.parts()) as server:
        assert server.plan.queues == (0, 1, 2)
        assert [step for step in fake.log if step.startswith("register")] == [
            "register 0",
            "register 1",
            "register 2",
        ]


def test_a_generic_program_means_copies_and_is_said(fake: FakeParts) -> None:
    fake.attached_as = "generic"
    notices: list[str] = []
    with open_server(plan_for(driver="virtio_net"), IMAGE, fake.parts(), notices.append) as server:
        assert server.mode == "generic"
        assert fake.socket_plan.zero_copy is False
    assert notices[0].startswith("eth7: virtio_net refused native XDP (receive offloads are on")


def test_who_insists_on_zero_copy_gets_no_generic_program(fake: FakeParts) -> None:
    with open_server(plan_for(memory="zero-copy"), IMAGE, fake.parts()):
        assert "attach eth7 native" in fake.log
