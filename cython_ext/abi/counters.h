/* Every counter of a worker, once: name, what it counts. One counter per reason to drop. */
#ifndef BYPASS_ABI_COUNTERS_H
#define BYPASS_ABI_COUNTERS_H

#include <stdint.h>

#define COUNTER_LIST(X) \
    X(RX_FRAMES, "rx_frames", "frames received") \
    X(RX_OCTETS, "rx_octets", "octets received, without FCS") \
    X(TX_FRAMES, "tx_frames", "frames submitted") \
    X(TX_OCTETS, "tx_octets", "octets submitted, without FCS") \
    X(TX_REFUSED, "tx_refused", "frames that the driver's TX ring did not take: dropped") \
    X(TX_NO_FRAME, "tx_no_frame", "times the TX pool was empty: output put off") \
    X(DROP_SHORT, "drop_short", "frames shorter than their headers") \
    X(DROP_OTHER_MAC, "drop_other_mac", "frames to another or a group MAC address, or from a group one") \
    X(DROP_NOT_IP, "drop_not_ip", "frames that are not IPv4 or IPv6") \
    X(DROP_IP_HEADER, "drop_ip_header", "IP headers with a bad version, length or checksum") \
    X(DROP_IP_LENGTH, "drop_ip_length", "frames shorter than their IP length") \
    X(DROP_FRAGMENT, "drop_fragment", "IP fragments") \
    X(DROP_NOT_TCP, "drop_not_tcp", "IP packets that carry something else than TCP") \
    X(DROP_OTHER_ADDRESS, "drop_other_address", "packets to an address or port that is not ours") \
    X(DROP_BAD_SOURCE, "drop_bad_source", "packets from a group, unspecified or our own address") \
    X(DROP_TCP_HEADER, "drop_tcp_header", "TCP headers with a bad offset, options or port") \
    X(DROP_TCP_CHECKSUM, "drop_tcp_checksum", "TCP segments with a bad checksum") \
    X(DROP_CONTROL, "drop_control", "ARP, ICMP and neighbour discovery: malformed, or nothing we answer") \
    X(ARP_REPLIES, "arp_replies", "ARP requests for an address of our own answered") \
    X(ND_REPLIES, "nd_replies", "neighbour solicitations for an address of our own answered") \
    X(ECHO_REPLIES, "echo_replies", "ICMP and ICMPv6 echo requests to an address of our own answered") \
    X(REPLIES_LIMITED, "replies_limited", "ARP, ND and echo not answered: more than the limit per second") \
    X(ADDRESS_CONFLICTS, "address_conflicts", "frames of another station that claims an address of our own") \
    X(ADDRESS_DEFENDED, "address_defended", "announcements in answer to such a claim (RFC 5227 2.4)") \
    X(PATH_MTU_LOWERED, "path_mtu_lowered", "connections whose segments an ICMP error made smaller") \
    X(PATH_MTU_IGNORED, "path_mtu_ignored", "ICMP path MTU errors that fit no segment in flight, or change nothing") \
    X(PATH_MTU_RAISED, "path_mtu_raised", "connections whose segments became larger again after ten minutes") \
    X(SYN_RECEIVED, "syn_received", "connection requests") \
    X(COOKIES_SENT, "cookies_sent", "connection requests answered by a SYN cookie: too many half-open, or table full") \
    X(COOKIES_ACCEPTED, "cookies_accepted", "connections that a SYN cookie opened") \
    X(COOKIES_BAD, "cookies_bad", "segments without a connection, while cookies are out, that bear no sound one") \
    X(TABLE_FULL, "table_full", "completed handshakes not taken: connection table full, and nothing to give up") \
    X(SOURCE_LIMITED, "source_limited", "connection requests and handshakes refused: too many connections of the source") \
    X(SYN_DRAINING, "syn_draining", "connection requests refused while draining") \
    X(OPENED, "connections_opened", "connections that reached ESTABLISHED") \
    X(CLOSED, "connections_closed", "connections that ended with both FINs acknowledged") \
    X(RESET_BY_PEER, "connections_reset", "connections ended by the peer's RST") \
    X(ABORTED, "connections_aborted", "connections given up: timeout or too many retransmissions") \
    X(TIME_WAIT_REUSED, "time_wait_reused", "TIME-WAIT records reused by a new SYN (RFC 6191)") \
    X(TIME_WAIT_EVICTED, "time_wait_evicted", "TIME-WAIT records given up early for a new connection") \
    X(IDLE_EVICTED, "idle_evicted", "idle keep-alive connections given up for a new one, the table being full") \
    X(HALF_OPEN_EVICTED, "half_open_evicted", "handshakes under way given up for a completed one, the table being full") \
    X(NO_CONNECTION, "no_connection", "segments that belong to no connection") \
    X(RST_SENT, "rst_sent", "RST segments sent") \
    X(RST_IGNORED, "rst_ignored", "RST segments outside the window or not at its edge") \
    X(CHALLENGE_ACK, "challenge_acks", "challenge ACKs sent (RFC 5961)") \
    X(CHALLENGE_LIMITED, "challenges_limited", "answers to doubtful segments withheld: one per connection and half a second") \
    X(OUT_OF_WINDOW, "out_of_window", "segments outside the receive window") \
    X(PAWS_REJECTED, "paws_rejected", "segments with an old timestamp (RFC 7323 5.3)") \
    X(BAD_ACK, "bad_acks", "segments that acknowledge what was never sent or long ago") \
    X(NOT_TAKEN, "not_taken", "segments of a connection dropped: no ACK, or octets where none are taken any more") \
    X(OUT_OF_ORDER, "out_of_order", "segments beyond the next one expected") \
    X(NO_REASSEMBLY, "no_reassembly", "segments out of order dropped: no reassembly block, or too many holes") \
    X(REASSEMBLY_GIVEN_UP, "reassembly_given_up", "times octets held out of order were given up: no place for them") \
    X(DUP_ACKS, "duplicate_acks", "duplicate acknowledgements received") \
    X(RETRANSMITTED, "retransmitted", "segments sent again") \
    X(FAST_RETRANSMIT, "fast_retransmits", "fast retransmits begun") \
    X(RTO, "retransmission_timeouts", "retransmission timeouts") \
    X(SPURIOUS_RTO, "spurious_timeouts", "retransmission timeouts found to be in vain, and undone (RFC 4015)") \
    X(SPURIOUS_RECOVERY, "spurious_recoveries", "reductions undone: DSACKs told that nothing had been lost (RFC 3708)") \
    X(TAIL_PROBES, "tail_loss_probes", "tail loss probes sent (RFC 8985)") \
    X(TAIL_LOSS, "tail_losses_repaired", "losses that a tail loss probe repaired") \
    X(ECN_REDUCTIONS, "ecn_reductions", "window reductions because of ECN (RFC 3168)") \
    X(BLACK_HOLES, "black_holes", "times large segments went missing and were made smaller") \
    X(NO_FLIGHT_BLOCK, "no_flight_block", "connections that found no flight block: no SACK for them") \
    X(WINDOW_PROBES, "window_probes", "zero-window probes sent") \
    X(REQUESTS, "requests", "complete requests") \
    X(RESPONSES_2XX, "responses_2xx", "responses begun with a 2xx status") \
    X(RESPONSES_3XX, "responses_3xx", "responses begun with a 3xx status") \
    X(RESPONSES_4XX, "responses_4xx", "responses begun with a 4xx status") \
    X(RESPONSES_5XX, "responses_5xx", "responses begun with a 5xx status") \
    X(HEADER_TIMEOUTS, "header_timeouts", "requests whose head did not arrive in time") \
    X(IDLE_TIMEOUTS, "idle_timeouts", "connections closed after idling or making no progress") \
    X(NO_REQUEST_BUFFER, "no_request_buffer", "segments not taken: no buffer for a partial request") \
    X(NO_QUEUE_BLOCK, "no_queue_block", "times a response queue could not grow") \
    X(BODY_WAITS, "body_waits", "times a connection waited for a part of a large file to be read") \
    X(BODY_FAILED, "body_failed", "connections given up: their file could not be read, or is not what it was") \
    X(TIMERS, "timers", "connections that the timer wheel had looked at") \
    X(LOG_DROPPED, "log_dropped", "responses that the access log had no room for") \
    X(NO_NOTE, "no_note", "responses made otherwise: no room for a location, or for several ranges") \
    X(WORKER_TURNS, "worker_turns", "turns of the worker loop") \
    X(WORKER_SLEEPS, "worker_sleeps", "times the worker slept")

#define COUNTER_ENUM(symbol, name, help) C_##symbol,
enum counter { COUNTER_LIST(COUNTER_ENUM) COUNTER_COUNT };

#define COUNTER_NAME(symbol, name, help) name,
#define COUNTER_HELP(symbol, name, help) help,
static const char *const counter_names[] __attribute__((unused)) = { COUNTER_LIST(COUNTER_NAME) };
static const char *const counter_help[] __attribute__((unused)) = { COUNTER_LIST(COUNTER_HELP) };

#endif
