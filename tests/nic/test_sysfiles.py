"""Formats of /proc and /sys, and the names that drivers give to interrupts and counters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bypass.nic import sysfiles
from bypass.nic.counters import Counters, Interrupts, queue_counter, rates
from bypass.nic.settings import queues_text, spans
from bypass.nic.sysfiles import format_mask, parse_list, parse_mask, queue_of_interrupt

CPUS = st.sets(st.integers(0, 300), max_size=40)


@given(CPUS)
def test_lists_and_masks_of_cpus_go_both_ways(cpus: set[int]) -> None:
    ordered = tuple(sorted(cpus))
    assert parse_list(spans(ordered)) == ordered
    assert parse_mask(format_mask(ordered)) == ordered


def test_masks_are_written_in_groups_of_eight_digits() -> None:
    assert format_mask((0, 2, 32)) == "00000001,00000005"
    assert parse_mask("1,00000005\n") == (0, 2, 32)
    assert format_mask(()) == "00000000"


def test_lists_for_people() -> None:
    assert spans((0, 1, 2, 5)) == "0-2,5"
    assert queues_text({3}) == "queue 3"
    assert queues_text((1, 0)) == "queues 0-1"


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("eth0-TxRx-3", ("rx", 3)),
        ("ice-eth0-TxRx-12", ("rx", 12)),
        ("i40e-enp1s0f0-TxRx-0", ("rx", 0)),
        ("eth0-Tx-Rx-7", ("rx", 7)),
        ("eth0-rx-1", ("rx", 1)),
        ("eth0-tx-1", ("tx", 1)),
        ("virtio2-input.0", ("rx", 0)),
        ("virtio2-output.15", ("tx", 15)),
        ("mlx5_comp5@pci:0000:08:00.0", ("rx", 5)),
        ("virtio2-config", None),
        ("mlx5_async0@pci:0000:08:00.0", None),
        ("eth0", None),
        ("ena-mgmnt@pci:0000:00:05.0", None),
        ("", None),
    ],
)
def test_interrupts_are_told_by_their_names(name: str, place: tuple[str, int] | None) -> None:
    assert queue_of_interrupt(name) == place


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("rx_queue_3_packets", (3, "rx_packets")),
        ("tx_queue_0_bytes", (0, "tx_bytes")),
        ("rx_queue_1_xdp_packets", (1, "rx_packets")),
        ("rx7_packets", (7, "rx_packets")),
        ("rx-2.packets", (2, "rx_packets")),
        ("tx-2.tx_bytes", (2, "tx_bytes")),
        ("queue_4_rx_cnt", (4, "rx_packets")),
        ("rx_bytes[5]", (5, "rx_bytes")),
        ("rx_packets", None),
        ("rx0_xdp_drops", None),
        ("rx_queue_0_drops", None),
    ],
)
def test_counters_of_queues_are_told_by_their_names(name: str, place: tuple[int, str] | None) -> None:
    assert queue_counter(name) == place


def look(at_s: float, packets: int, drops: int, irq: dict[int, int]) -> Counters:
    return Counters(
        taken_at_s=at_s,
        total={"rx_packets": packets},
        queues={0: {"rx_packets": packets}},
        drops={"rx_missed_errors": drops, "rx_dropped": 7},
        interrupts={40: Interrupts(name="eth0-TxRx-0", queue=0, side="rx", by_cpu=irq)},
    )


def test_rates_are_differences_over_time() -> None:
    made = rates(look(10.0, 1000, 5, {0: 100, 1: 50}), look(12.0, 3000, 8, {0: 300, 1: 50}))
    assert made.seconds == 2.0
    assert made.total == {"rx_packets": 1000.0}
    assert made.queues == {0: {"rx_packets": 1000.0}}
    assert made.drops == {"rx_missed_errors": 3}, "a reason that lost nothing meanwhile is left out"
    assert made.interrupts == {0: {0: 100.0, 1: 0.0}}


def test_counters_that_were_reset_do_not_run_backwards() -> None:
    assert rates(look(0.0, 1000, 5, {0: 9}), look(1.0, 10, 0, {0: 4})).total == {"rx_packets": 10.0}


def test_the_machine_answers() -> None:
    assert sysfiles.online_cpus()
    assert sysfiles.numa_nodes()
    assert sysfiles.interrupts()
    assert not sysfiles.process_named("no such process")
    pages = sysfiles.hugepages()
    assert pages is None or pages[2] >= 1 << 20
