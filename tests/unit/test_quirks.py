"""The table of drivers, and the flow table of a NIC where there is none."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from bypass.nic.ethtool import Ethtool
from bypass.nic.quirks import QUIRKS, leaves_partial_checksums, needs_full_page_frames, quirks_of

DOCUMENT = Path(__file__).parents[2] / "docs" / "drivers.md"


def test_a_driver_that_is_not_listed_has_no_quirks() -> None:
    unknown = quirks_of("some_new_driver")
    assert unknown == type(unknown)()
    assert not leaves_partial_checksums("some_new_driver")
    assert not needs_full_page_frames("some_new_driver")


def test_every_driver_of_the_table_is_in_the_document() -> None:
    text = DOCUMENT.read_text()
    assert [driver for driver in QUIRKS if driver not in text] == []


def test_refusals_of_virtio_net_name_the_feature_that_is_missing() -> None:
    refusals = quirks_of("virtio_net").zero_copy_refusals
    assert "iommu_platform" in refusals[errno.EINVAL]
    assert "reset a single queue" in refusals[errno.ENOENT]


def test_the_loopback_has_no_flow_table() -> None:
    assert Ethtool("lo").indirection() is None
    with pytest.raises(OSError, match=r"Operation not (supported|permitted)"):
        Ethtool("lo").set_indirection((0, 0))
