"""The AF_XDP driver over rings in plain memory, while hypothesis plays the kernel.

The invariant: every frame is in exactly one place (a pool, the kernel, the application), whatever the
order of completions, the sizes of the rings, the place in the 32-bit index space, and the wakeup flags.
"""

from __future__ import annotations

import socket

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bypass._probe_driver import RingsProbe

RX_FRAMES = 6
TX_FRAMES = 5
FRAME_BYTES = 2048
HEADROOM = 256


class Kernel(RuleBasedStateMachine):
    """What the kernel and the application may do, in any order."""

    @initialize(
        start=st.sampled_from([0, 1, 2**31 - 2, 2**32 - 3]),
        rx_entries=st.sampled_from([4, 8]),
        tx_entries=st.sampled_from([2, 4, 8]),
        zero_copy=st.booleans(),
    )
    def open(self, start: int, rx_entries: int, tx_entries: int, zero_copy: bool) -> None:
        self.kernel_end, driver_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.kernel_end.setblocking(False)
        self.driver = RingsProbe(
            driver_end.fileno(),
            rx_frames=RX_FRAMES,
            tx_frames=TX_FRAMES,
            rx_entries=rx_entries,
            tx_entries=tx_entries,
            start=start,
            zero_copy=zero_copy,
        )
        driver_end.close()
        self.zero_copy = zero_copy
        self.tx_entries = tx_entries
        self.fill_flag = self.tx_flag = False
        self.buffers: list[int] = []  # addresses the device may receive into
        self.delivered: list[tuple[int, bytes]] = []  # in the RX ring
        self.submitted: list[tuple[int, bytes]] = []  # in the TX ring
        self.wire: list[int] = []  # sent, not completed
        self.serial = 0

    def teardown(self) -> None:
        if hasattr(self, "kernel_end"):
            self.kernel_end.close()

    # -- the kernel

    @rule(fill=st.booleans(), tx=st.booleans())
    def asks_for_wakeups(self, fill: bool, tx: bool) -> None:
        self.fill_flag, self.tx_flag = fill, tx
        self.driver.kernel_flags(fill=fill, tx=tx)

    @rule(most=st.integers(1, 8))
    def takes_buffers(self, most: int) -> None:
        for _ in range(most):
            address = self.driver.kernel_take_buffer()
            if address is None:
                break
            index = address // FRAME_BYTES
            assert index < RX_FRAMES, "a frame of the TX pool was lent for receiving"
            assert index not in self._with_kernel()
            assert index not in self.driver.held_indices()
            self.buffers.append(address)

    @precondition(lambda self: self.buffers)
    @rule(data=st.data(), octets=st.integers(1, FRAME_BYTES - HEADROOM))
    def delivers(self, data: st.DataObject, octets: int) -> None:
        place = data.draw(st.integers(0, len(self.buffers) - 1))
        address = self.buffers[place] + HEADROOM
        payload = self._payload(octets)
        if self.driver.kernel_deliver(address, octets):
            self.driver.kernel_write(address, payload)
            self.buffers.pop(place)
            self.delivered.append((address // FRAME_BYTES, payload))

    @rule(most=st.integers(1, 8))
    def sends(self, most: int) -> None:
        for _ in range(most):
            taken = self.driver.kernel_take_tx()
            if taken is None:
                break
            address, octets, options = taken
            assert options == 0
            assert (address // FRAME_BYTES, octets) == self.submitted.pop(0)
            self.wire.append(address)

    @precondition(lambda self: self.wire)
    @rule(data=st.data())
    def completes_in_any_order(self, data: st.DataObject) -> None:
        place = data.draw(st.integers(0, len(self.wire) - 1))
        self.driver.kernel_complete(self.wire.pop(place))

    # -- the application

    @rule(most=st.integers(1, 64))
    def receives(self, most: int) -> None:
        kicks = self.driver.stats["rx_kicks"]
        received = self.driver.rx_burst(most)
        assert received == self.delivered[: len(received)]
        assert len(received) == min(most, len(self.delivered))
        kicked = self.driver.stats["rx_kicks"] - kicks
        assert kicked == int(self.fill_flag and not self.delivered)
        del self.delivered[: len(received)]

    @rule(most=st.integers(1, TX_FRAMES + 2))
    def draws_frames(self, most: int) -> None:
        assert all(index >= RX_FRAMES for index in self.driver.alloc(most))

    @precondition(lambda self: self.driver.held_indices())
    @rule(data=st.data())
    def submits_fresh_and_turned_frames(self, data: st.DataObject) -> None:
        indices = data.draw(st.lists(st.sampled_from(self.driver.held_indices()), min_size=1, unique=True))
        payloads = {index: self._payload(64) for index in indices}
        for index in indices:
            self.driver.write(index, payloads[index])
        accepted = self.driver.submit(indices)
        self.submitted += [(index, payloads[index]) for index in indices[:accepted]]

    @precondition(lambda self: self.driver.held_indices())
    @rule(data=st.data())
    def recycles(self, data: st.DataObject) -> None:
        index = data.draw(st.sampled_from(self.driver.held_indices()))
        before = self.driver.pools
        self.driver.recycle([index])
        home = 0 if index < RX_FRAMES else 1
        assert self.driver.pools[home] == before[home] + 1
        assert self.driver.pools[1 - home] == before[1 - home]

    @rule()
    def wakes(self) -> None:
        outstanding = self.driver.outstanding
        assert self.driver.wakeup() == 0
        pending = bool(self.submitted) or (self.zero_copy and outstanding > 0)
        assert self._kicks() == int(self.tx_flag and pending)

    # -- always

    @invariant()
    def no_frame_is_lost_or_doubled(self) -> None:
        if not hasattr(self, "driver"):
            return
        assert self.driver.lost() == 0
        assert self.driver.refused == 0
        assert self.driver.outstanding <= self.tx_entries
        rx_free, tx_free = self.driver.pools
        assert rx_free <= RX_FRAMES
        assert tx_free <= TX_FRAMES

    def _with_kernel(self) -> set[int]:
        places = [address // FRAME_BYTES for address in self.buffers + self.wire]
        places += [index for index, _ in self.delivered + self.submitted]
        assert len(places) == len(set(places))
        return set(places)

    def _payload(self, octets: int) -> bytes:
        self.serial += 1
        return self.serial.to_bytes(4, "big").ljust(octets, b".")[:octets]

    def _kicks(self) -> int:
        count = 0
        while True:
            try:
                self.kernel_end.recv(1)
            except BlockingIOError:
                return count
            count += 1


TestRings = Kernel.TestCase
TestRings.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
