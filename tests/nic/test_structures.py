"""Sizes, offsets and numbers of the kernel's structures, as its own headers have them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bypass.nic import ethtool, ntuple
from bypass.nic.ethtool import Ethtool

SIZES = {
    "struct ethtool_drvinfo": ethtool.DRVINFO.size,
    "struct ethtool_ringparam": ethtool.RINGPARAM.size,
    "struct ethtool_coalesce": ethtool.COALESCE.size,
    "struct ethtool_channels": ethtool.CHANNELS.size,
    "struct ethtool_rxfh": ethtool.RXFH.size,
    "struct ethtool_rxfh_indir": ethtool.RXFH_INDIR.size,
    "struct ethtool_sset_info": ethtool.SSET_INFO.size,
    "struct ethtool_gstrings": ethtool.STRINGS.size,
    "struct ethtool_stats": ethtool.STATS.size,
    "struct ethtool_gfeatures": ethtool.FEATURES.size,
    "struct ethtool_get_features_block": ethtool.FEATURES_BLOCK.size,
    "struct ethtool_set_features_block": ethtool.SET_FEATURES_BLOCK.size,
    "struct ethtool_link_settings": ethtool.LINK_SETTINGS.size,
    "struct ethtool_rxnfc": ntuple.RXNFC.size,
}
NUMBERS = {
    f"ETHTOOL_{name}": getattr(ethtool, name)
    for name in (
        *("GDRVINFO", "GCOALESCE", "SCOALESCE", "GRINGPARAM", "SRINGPARAM", "GSTRINGS", "GSTATS"),
        *("GRXFH", "SRXFH", "GRXCLSRLCNT", "GRXCLSRULE", "GRXCLSRLALL", "SRXCLSRLDEL", "SRXCLSRLINS"),
        *("GSSET_INFO", "GRXFHINDIR", "SRXFHINDIR", "GFEATURES", "SFEATURES", "GCHANNELS", "SCHANNELS"),
        *("GRSSH", "GLINKSETTINGS"),
    )
} | {
    "SIOCETHTOOL": ethtool.SIOCETHTOOL,
    "ETH_SS_STATS": ethtool.SS_STATS,
    "ETH_SS_FEATURES": ethtool.SS_FEATURES,
    "ETH_GSTRING_LEN": ethtool.STRING_BYTES,
    "RX_CLS_LOC_ANY": ntuple.LOCATION_ANY,
    "RX_CLS_LOC_SPECIAL": ntuple.LOCATIONS_SPECIAL,
    "RXH_IP_SRC": ntuple.HASH_FIELDS["ip-source"],
    "RXH_IP_DST": ntuple.HASH_FIELDS["ip-destination"],
    "RXH_L4_B_0_1": ntuple.HASH_FIELDS["port-source"],
    "RXH_L4_B_2_3": ntuple.HASH_FIELDS["port-destination"],
    "RXH_VLAN": ntuple.HASH_FIELDS["vlan"],
    "RXH_L2DA": ntuple.HASH_FIELDS["l2-destination"],
    "RXH_L3_PROTO": ntuple.HASH_FIELDS["protocol"],
    "TCP_V4_FLOW": ntuple.FLOWS["tcp4"],
    "UDP_V4_FLOW": ntuple.FLOWS["udp4"],
    "TCP_V6_FLOW": ntuple.FLOWS["tcp6"],
    "UDP_V6_FLOW": ntuple.FLOWS["udp6"],
    "IP_USER_FLOW": ntuple.FLOWS["ip4"],
    "IPV6_USER_FLOW": ntuple.FLOWS["ip6"],
    "ETHER_FLOW": ntuple.FLOWS["ether"],
}
OFFSETS = {
    "struct ethtool_drvinfo, fw_version": 4 + 2 * 32,
    "struct ethtool_drvinfo, bus_info": 4 + 3 * 32,
    "struct ethtool_ringparam, rx_max_pending": 4,
    "struct ethtool_ringparam, tx_max_pending": 16,
    "struct ethtool_ringparam, rx_pending": 20,
    "struct ethtool_ringparam, tx_pending": 32,
    "struct ethtool_channels, max_combined": 16,
    "struct ethtool_channels, rx_count": 20,
    "struct ethtool_channels, combined_count": 32,
    "struct ethtool_rxfh, indir_size": 8,
    "struct ethtool_rxfh, key_size": 12,
    "struct ethtool_rxfh, hfunc": 16,
    "struct ethtool_rxfh, rss_config": ethtool.RXFH.size,
    "struct ethtool_link_settings, speed": 4,
    "struct ethtool_link_settings, link_mode_masks_nwords": 15,
    "struct ethtool_rxnfc, data": 8,
    "struct ethtool_rxnfc, fs.h_u": 20,
    "struct ethtool_rxnfc, fs.m_u": 20 + 52 + 20,
    "struct ethtool_rxnfc, fs.ring_cookie": 168,
    "struct ethtool_rxnfc, fs.location": 176,
    "struct ethtool_rxnfc, rule_cnt": 184,
    "struct ethtool_rxnfc, rule_locs": ntuple.RXNFC.size - 4,
    "struct ethtool_tcpip4_spec, pdst": 10,
    "struct ethtool_tcpip6_spec, pdst": 34,
} | {
    f"struct ethtool_coalesce, {field}": 4 * ethtool.COALESCE_FIELDS[name]
    for name, field in {
        "rx_usecs": "rx_coalesce_usecs",
        "rx_frames": "rx_max_coalesced_frames",
        "tx_usecs": "tx_coalesce_usecs",
        "tx_frames": "tx_max_coalesced_frames",
        "adaptive_rx": "use_adaptive_rx_coalesce",
        "adaptive_tx": "use_adaptive_tx_coalesce",
    }.items()
}


def test_structures_are_the_kernels(tmp_path: Path) -> None:
    asked = [
        *((f"sizeof({name})", value) for name, value in SIZES.items()),
        *((f"offsetof({name})", value) for name, value in OFFSETS.items()),
        *(NUMBERS.items()),
    ]
    lines = "\n".join(f'printf("%llu\\n", (unsigned long long)({text}));' for text, _ in asked)
    source = tmp_path / "ask.c"
    headers = ("stddef.h", "stdio.h", "linux/ethtool.h", "linux/sockios.h")
    includes = "\n".join(f"#include <{header}>" for header in headers)
    source.write_text(f"{includes}\nint main(void) {{\n{lines}\nreturn 0;\n}}\n")
    subprocess.run(["cc", "-o", str(tmp_path / "ask"), str(source)], check=True)
    said = subprocess.run([str(tmp_path / "ask")], capture_output=True, text=True, check=True).stdout.split()
    answers = {text: int(line) for (text, _), line in zip(asked, said, strict=True)}
    wrong = {text: (value, answers[text]) for text, value in asked if value != answers[text]}
    assert wrong == {}
    assert len(said) > 60


def test_the_loopback_answers_what_it_has() -> None:
    tool = Ethtool("lo")
    assert tool.channels() is None and tool.rings() is None and tool.rss() is None
    assert tool.features()["rx-gro"].active
    assert not tool.features()["loopback"].changeable
    with pytest.raises(OSError, match="no offload"):
        tool.set_feature("rx-nonsense", on=True)


def test_an_interface_that_does_not_exist_has_nothing() -> None:
    tool = Ethtool("no-such-nic")
    assert tool.driver() is None and tool.features() == {} and tool.statistics() == {}
