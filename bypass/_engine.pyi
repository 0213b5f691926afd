"""Typed face of the extension `bypass._engine` (built from cython_ext/engine.pyx)."""

from collections.abc import Collection, Sequence

from typing_extensions import Buffer

def image_hash(data: Buffer) -> int: ...
def image_checksum(header: Buffer, content: Buffer) -> int: ...
def folded_sum(data: Buffer) -> int: ...
def body_sums(body: Buffer, sums: Buffer) -> None: ...
def folder_entries(path: bytes) -> bytes | None:
    """One after another, in the folder's own order: device, inode (u64), size, mtime_ns, ctime_ns (i64; of a
    folder -1, 0, 0), octets of the name (u16), the name; no padding. None: not to be told so, see to it
    otherwise."""

def move_places(words: Buffer, first: int, step: int, begins: Buffer, shifts: Buffer) -> None:
    """words, begins: "Q"; shifts: "q", one more. Adds to each word first, first + step ... the shift of the
    last beginning that is less than it."""

COUNTERS: tuple[tuple[str, str], ...]
"""Name and meaning of every counter, in the order of Engine.counters()."""

class XdpSocket:
    """One bound AF_XDP socket with its own UMEM: a driver for one queue of one interface.

    Raises OSError(errno, message, stage) when a step fails; `stage` (OSError.filename) is one of
    "memory", "socket", "umem", "rings", "bind", "map", "options".
    """

    def __init__(
        self,
        *,
        ifindex: int,
        queue: int,
        rx_frames: int,
        tx_frames: int,
        frame_bytes: int,
        zero_copy: bool | None = None,
        busy_poll_us: int = 0,
    ) -> None: ...
    @property
    def fd(self) -> int: ...
    @property
    def queue(self) -> int: ...
    @property
    def zero_copy(self) -> bool:
        """As read back from the kernel (XDP_OPTIONS), not as asked for."""
    @property
    def busy_poll(self) -> str:
        """ "no", "plain", or "preferred" to interrupts, which takes one NAPI context for both directions."""
    def verify_busy_poll(self, frame: Buffer, *, repeats: int, timeout_ms: int) -> bool:
        """Before an engine runs: sends the frame so many times, waiting `timeout_ms` for each to complete.

        Where one does not, preferred busy polling is ended and the answer is False.
        """
    def statistics(self) -> dict[str, int]:
        """XDP_STATISTICS of the kernel and the driver's own counts."""
    def close(self) -> None: ...

LOG_VARIABLES: dict[str, int]
"""What a line of the access log may show, by name."""

class LogFormat:
    """Lines of the access log: literal octets, and names of LOG_VARIABLES in between.

    json: what came from a peer is escaped as in a JSON string, and is empty where it is missing; else the
    quote, the backslash and all but visible ASCII become \\xHH, and what is missing is a hyphen.
    """

    def __init__(self, pieces: Sequence[bytes | str], *, json: bool = False) -> None: ...
    @property
    def wants_fields(self) -> bool:
        """It shows fields of the request's head."""
    @property
    def line_bytes_most(self) -> int: ...

class Engine:
    """The data plane of one worker: its connections, its drivers, its site.

    `image` stays mapped while the engine looks at it. `addresses` are 4 or 16 octets each, in network
    order; those also in `own_addresses` the kernel lacks: ARP, neighbour discovery and echo about them are
    answered. `secret` is 32 random octets: flow hash and sequence number keys. `now_ns` is where the
    clock of turn() begins, `wall_offset_ns` what it lacks to the wall clock; run() sets its own.
    `windows` of 1 MiB each hold parts of bodies that are not in the image. `log_bytes`, a power of two, is
    the ring of the access log, 0: none is kept. Where the ring is full, responses are counted (log_dropped),
    or, log_lossless, requests wait. `connections_per_source` is what an IPv4 address or an IPv6 /64 may have
    open, 0: no limit.
    """

    def __init__(
        self,
        *,
        image: Buffer,
        addresses: Sequence[bytes],
        port: int,
        secret: bytes,
        own_addresses: Collection[bytes] = (),
        mtu: int = 1500,
        connections: int = 65536,
        request_buffers: int = 4096,
        flight_blocks: int = 4096,
        reassembly_blocks: int = 256,
        congestion: str = "cubic",
        connections_per_source: int = 0,
        idle_timeout_ns: int = 60_000_000_000,
        header_timeout_ns: int = 10_000_000_000,
        time_wait_ns: int = 60_000_000_000,
        now_ns: int = 0,
        wall_offset_ns: int = 0,
        accept_partial_checksums: bool = False,
        log_bytes: int = 0,
        log_lossless: bool = False,
        log_fields: bool = True,
        windows: int = 0,
    ) -> None: ...
    def add_socket(self, socket: XdpSocket, *, mac: bytes) -> int:
        """Adds a driver before run(); the engine keeps the socket alive. Returns its number.

        mac: the interface's own address, 6 octets; frames to another one are dropped.
        """
    def add_memory(self, *, rx_frames: int, tx_frames: int, frame_bytes: int = 2048, mac: bytes = ...) -> int:
        """Adds a memory driver, for tests and benchmarks. Returns its number.

        mac: 02:00:00:00:00:01 unless given.
        """
    def inject(self, driver: int, frame: bytes) -> bool:
        """Memory driver: one frame arrives. False when its receive ring is full."""
    def collect(self, driver: int) -> list[bytes]:
        """Memory driver: the frames sent since the last call; completes them."""
    def turn(self, now_ns: int) -> int:
        """One turn of the worker loop at time `now_ns`; returns how many frames were received."""
    def run(self, *, spin_ns: int, sleep_ms: int, cpu: int = -1) -> int:
        """Runs on the real clock, without the GIL, until stop(); 0, or -errno when a socket died.

        Spins for `spin_ns` after the last frame (-1: always), then sleeps in poll() for at most
        `sleep_ms` at a time.
        """
    def stop(self) -> None:
        """Ends run(), from any thread."""
    def drain(self) -> None:
        """Refuses new connections and closes idle ones; the rest finish their responses."""
    def offer_image(self, image: Buffer) -> bool:
        """Serves `image` from the next turn on, in place of the one before, which responses that have begun
        are finished from. False, and nothing done, while the last one offered is not taken up yet, or eight
        are still in use. ValueError for what is no image."""
    @property
    def image_taken(self) -> bool:
        """The image that was offered last is the one served."""
    def images_held(self) -> int:
        """Lets go of the images that no response is made from any more; how many are in use."""
    @property
    def image_serial(self) -> int:
        """Of the image that was offered last: 0 for the first, then 1 and so on."""
    def image_serials(self) -> set[int]:
        """Of the images that responses may still be made from."""
    def wake_readers(self, fd: int) -> None:
        """Before run(): an eventfd that is written when windows are wanted."""
    def next_window(self) -> tuple[int, int, int, int] | None:
        """A part of a large body to be read: number of the window, serial of the image, number of the body
        among its large ones, offset within the body. One thread at a time, as finish_window()."""
    def window_memory(self, window: int) -> memoryview:
        """Where the octets belong: 1 MiB, less at the end of a body."""
    def sum_window(self, window: int, octets: int) -> None:
        """The octets are there."""
    def finish_window(self, window: int, sound: bool) -> None:
        """Gives the window to the worker; not sound: connections that need it are given up."""
    def format_log(self, form: LogFormat, out: Buffer) -> tuple[int, int]:
        """Takes records of responses from the ring and writes lines to `out`; how many octets, and lines.

        By one thread at a time, beside run(). `out` has room for form.line_bytes_most at least.
        """
    def counters(self) -> dict[str, int]: ...
    @property
    def open_connections(self) -> int: ...
    def frames_lost(self) -> int:
        """Frames that are in no pool, ring or hand, over all drivers: 0 in a healthy engine."""
