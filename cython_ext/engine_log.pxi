"""Part of engine.pyx: how lines of the access log are made of its records."""

from cython_ext.accesslog.format cimport (
    PIECES_MOST, PIECE_BODY_BYTES_SENT, PIECE_HTTP_HOST, PIECE_HTTP_REFERER, PIECE_HTTP_USER_AGENT, PIECE_MSEC,
    PIECE_REMOTE_ADDR, PIECE_REMOTE_PORT, PIECE_REQUEST, PIECE_REQUEST_METHOD, PIECE_REQUEST_URI,
    PIECE_SERVER_PROTOCOL, PIECE_STATUS, PIECE_TEXT, PIECE_TIME_ISO8601, PIECE_TIME_LOCAL, Format,
    format_records, line_bytes_most,
)
from cython_ext.accesslog.ring cimport LOG_WANTS_FIELDS, RING_BYTES_LEAST

LOG_VARIABLES = {
    "remote_addr": <int>PIECE_REMOTE_ADDR,
    "remote_port": <int>PIECE_REMOTE_PORT,
    "time_local": <int>PIECE_TIME_LOCAL,
    "time_iso8601": <int>PIECE_TIME_ISO8601,
    "msec": <int>PIECE_MSEC,
    "request": <int>PIECE_REQUEST,
    "request_method": <int>PIECE_REQUEST_METHOD,
    "request_uri": <int>PIECE_REQUEST_URI,
    "server_protocol": <int>PIECE_SERVER_PROTOCOL,
    "status": <int>PIECE_STATUS,
    "body_bytes_sent": <int>PIECE_BODY_BYTES_SENT,
    "http_referer": <int>PIECE_HTTP_REFERER,
    "http_user_agent": <int>PIECE_HTTP_USER_AGENT,
    "http_host": <int>PIECE_HTTP_HOST,
}
LOG_FIELD_VARIABLES = frozenset({"http_referer", "http_user_agent", "http_host"})


cdef class LogFormat:
    """Pieces of a line (see _engine.pyi)."""

    cdef Format _format
    cdef bytes _text
    cdef readonly bint wants_fields

    def __init__(self, pieces, *, bint json=False):
        cdef uint32_t i = 0
        memset(&self._format, 0, sizeof(Format))
        if not 0 < len(pieces) <= PIECES_MOST:
            raise ValueError(f"1 to {PIECES_MOST} pieces, not {len(pieces)}")
        self._text = b"".join(piece for piece in pieces if isinstance(piece, bytes))
        self._format.text = <const uint8_t *><const char *>self._text
        self._format.text_bytes = <uint32_t>len(self._text)
        self._format.json = json
        self._format.pieces = <uint32_t>len(pieces)
        first = 0
        for i, piece in enumerate(pieces):
            if isinstance(piece, bytes):
                self._format.piece[i].kind = PIECE_TEXT
                self._format.piece[i].first = first
                self._format.piece[i].bytes = <uint32_t>len(piece)
                first += len(piece)
            else:
                self._format.piece[i].kind = LOG_VARIABLES[piece]
        self.wants_fields = not LOG_FIELD_VARIABLES.isdisjoint(
            piece for piece in pieces if isinstance(piece, str)
        )
        date_make(&self._format.date, 0)

    @property
    def line_bytes_most(self):
        return line_bytes_most(&self._format)
