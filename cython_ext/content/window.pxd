"""Bodies that are too large for memory: a bounded set of windows on them, filled by other threads.

A window holds WINDOW_BYTES of one body and their sums. The worker only ever copies from windows that are there: what
is not there it asks for, and goes on with other connections. No mapping of a file is touched, so that a page which
is not in memory cannot stall the loop, and a file that was cut short cannot end the process.

The worker owns the table and decides what is given up; whoever fills a window owns it between WINDOW_WANTED and
WINDOW_READY or WINDOW_FAILED.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset
from posix.unistd cimport write

from cython_ext.base.pool cimport NIL
from cython_ext.content.store cimport IMAGE_SUM_STEP, Store, edge_sum, image_response
from cython_ext.wire.checksum cimport sum_add, sum_octets, sum_subtract, sum_swap

cdef extern from "abi/atomics.h" nogil:
    uint32_t atomic_load_u32(const uint32_t *word)
    void atomic_store_u32(uint32_t *word, uint32_t value)

cdef enum:
    WINDOW_BYTES = 1 << 20
    WINDOW_SUMS = WINDOW_BYTES // 64 + 1
    WINDOWS_LEAST = 4
    WINDOWS_AHEAD = 2               # asked for when the beginning of a window is sent
    CHANCES_FRESH = 2               # rounds of the hand that a window outlives unused,
    CHANCES_USED = 1                # and after its last use
    KEPT_TICKS = 64                 # about 64 ms: one that somebody waited for, or waited for in vain, is kept

cdef enum WindowState:
    WINDOW_EMPTY
    WINDOW_WANTED
    WINDOW_READY
    WINDOW_FAILED

cdef enum WindowVerdict:
    WINDOW_HERE
    WINDOW_MISSED                   # asked for, or there is no window to be had just now
    WINDOW_BROKEN                   # cannot be read: the response cannot be finished

cdef struct Window:
    uint32_t state                  # WindowState; read and written by both sides
    uint32_t serial                 # of the image
    uint32_t body                   # number of the body among the image's large ones
    uint32_t index                  # it begins at octet index * WINDOW_BYTES
    uint32_t chain                  # next in the bucket, or NIL
    uint32_t chances
    uint32_t since                  # tick when the hand first met it filled
    bint demanded                   # somebody waits for it, and has not come back yet
    bint met                        # by the hand, since it is filled

cdef struct Windows:
    uint32_t count                  # 0: there are none
    uint32_t mask                   # of the buckets
    uint32_t hand                   # where the next search for one to give up begins
    uint32_t verdict                # WindowVerdict of the copies since it was last set
    uint32_t filled_seen
    uint32_t tick                   # of the present turn
    uint32_t unparked_at            # tick when those who wait were last looked at
    int reader_fd                   # eventfd that wakes those who fill, or -1
    bint asked                      # since they were last woken
    Window *windows
    uint8_t *memory
    uint16_t *sums                  # WINDOW_SUMS for each
    uint32_t *buckets
    uint32_t *wanted                # ring of windows to be filled: more places than there are windows
    uint32_t wanted_mask
    uint32_t wanted_head            # free-running, written by the worker
    uint32_t wanted_tail            # written by those who fill, one at a time
    uint32_t filled                 # likewise: changes with each window that is ready or failed


cdef inline int windows_init(Windows *windows, uint32_t count) noexcept nogil:
    """0, or -1 without memory. The windows' pages are first touched by those who fill them."""
    cdef uint32_t places = 8
    cdef uint32_t i
    while places < 2 * count:
        places *= 2
    memset(windows, 0, sizeof(Windows))
    windows.windows = <Window *>calloc(count, sizeof(Window))
    windows.memory = <uint8_t *>calloc(count, WINDOW_BYTES)
    windows.sums = <uint16_t *>calloc(<size_t>count * WINDOW_SUMS, sizeof(uint16_t))
    windows.buckets = <uint32_t *>calloc(places, sizeof(uint32_t))
    windows.wanted = <uint32_t *>calloc(places, sizeof(uint32_t))
    if windows.windows == NULL or windows.memory == NULL or windows.sums == NULL:
        return -1
    if windows.buckets == NULL or windows.wanted == NULL:
        return -1
    for i in range(places):
        windows.buckets[i] = NIL
    windows.mask = places - 1
    windows.wanted_mask = places - 1
    windows.count = count
    windows.reader_fd = -1
    return 0


cdef inline void windows_release(Windows *windows) noexcept nogil:
    free(windows.windows)
    free(windows.memory)
    free(windows.sums)
    free(windows.buckets)
    free(windows.wanted)
    memset(windows, 0, sizeof(Windows))


cdef inline uint32_t window_bucket(
    const Windows *windows, uint32_t serial, uint32_t body, uint32_t index
) noexcept nogil:
    cdef uint64_t mixed = (<uint64_t>body << 32 | index) * 0x9e3779b97f4a7c15ULL + serial * 0xd1b54a33ULL
    return <uint32_t>(mixed >> 33) & windows.mask


cdef inline uint32_t window_find(
    const Windows *windows, uint32_t serial, uint32_t body, uint32_t index
) noexcept nogil:
    """Number of the window, whatever its state, or NIL."""
    cdef uint32_t number = windows.buckets[window_bucket(windows, serial, body, index)]
    cdef const Window *window
    while number != NIL:
        window = &windows.windows[number]
        if window.serial == serial and window.body == body and window.index == index:
            return number
        number = window.chain
    return NIL


cdef inline void window_forget(Windows *windows, uint32_t number) noexcept nogil:
    """Takes a window that nobody fills out of the table."""
    cdef Window *window = &windows.windows[number]
    cdef uint32_t *link = &windows.buckets[window_bucket(windows, window.serial, window.body, window.index)]
    while link[0] != NIL:
        if link[0] == number:
            link[0] = window.chain
            break
        link = &windows.windows[link[0]].chain
    window.state = WINDOW_EMPTY


cdef inline uint32_t window_victim(Windows *windows) noexcept nogil:
    """A window to be used anew: empty, or not used for a round of the hand. NIL while all are being filled."""
    cdef uint32_t _i, number, state
    cdef Window *window
    for _i in range((CHANCES_FRESH + 1) * windows.count):
        number = windows.hand
        windows.hand = 0 if number + 1 == windows.count else number + 1
        window = &windows.windows[number]
        state = atomic_load_u32(&window.state)
        if state == WINDOW_EMPTY:
            return number
        if state == WINDOW_WANTED:
            continue
        if window_is_kept(windows, window):
            continue
        if window.chances == 0:
            window_forget(windows, number)
            return number
        window.chances -= 1
    return NIL


cdef inline bint window_is_kept(const Windows *windows, Window *window) noexcept nogil:
    """Else many who want different places could take each other's windows away for ever."""
    if not window.met:
        window.met = True
        window.since = windows.tick
    return window.demanded and windows.tick - window.since < KEPT_TICKS


cdef inline void window_want(
    Windows *windows, uint32_t serial, uint32_t body, uint32_t index, bint demanded
) noexcept nogil:
    """Asks for a window that is not in the table; does nothing while there is none to be had."""
    cdef uint32_t number
    cdef uint32_t bucket
    cdef Window *window
    if window_find(windows, serial, body, index) != NIL:
        return
    number = window_victim(windows)
    if number == NIL:
        return
    bucket = window_bucket(windows, serial, body, index)
    window = &windows.windows[number]
    window.serial = serial
    window.body = body
    window.index = index
    window.chain = windows.buckets[bucket]
    window.chances = CHANCES_FRESH
    window.demanded = demanded
    window.met = False
    windows.buckets[bucket] = number
    atomic_store_u32(&window.state, WINDOW_WANTED)
    windows.wanted[windows.wanted_head & windows.wanted_mask] = number
    atomic_store_u32(&windows.wanted_head, windows.wanted_head + 1)
    windows.asked = True


cdef inline void windows_ask(Windows *windows) noexcept nogil:
    """Wakes those who fill, once a turn in which something was asked for."""
    cdef uint64_t one = 1
    if windows.asked:
        windows.asked = False
        if windows.reader_fd >= 0 and write(windows.reader_fd, &one, sizeof(one)) < 0:
            windows.asked = True                    # its counter is full, which wakes as well


cdef inline uint16_t window_copy(
    const Windows *windows, uint32_t number, uint32_t start, uint32_t octets, uint8_t *out
) noexcept nogil:
    """Copies octets of a window and returns their sum, words counted from the first of them."""
    cdef const uint8_t *body = windows.memory + <size_t>number * WINDOW_BYTES
    cdef const uint16_t *sums = windows.sums + <size_t>number * WINDOW_SUMS
    cdef uint32_t end = start + octets
    cdef uint32_t first = (start + IMAGE_SUM_STEP - 1) // IMAGE_SUM_STEP
    cdef uint32_t last = end // IMAGE_SUM_STEP
    cdef uint16_t total
    memcpy(out, body + start, octets)
    if first >= last:
        return sum_octets(out, octets)
    total = sum_subtract(sums[last], sums[first])
    if first * IMAGE_SUM_STEP > start:
        total = sum_add(total, edge_sum(body + start, first * IMAGE_SUM_STEP - start))
    if end > last * IMAGE_SUM_STEP:
        total = sum_add(total, sum_octets(body + last * IMAGE_SUM_STEP, end - last * IMAGE_SUM_STEP))
    return sum_swap(total) if start & 1 else total


cdef inline uint16_t windows_copy_body(
    Windows *windows, const Store *store, const image_response *response, uint64_t start, uint32_t octets,
    uint8_t *out,
) noexcept nogil:
    """As store_copy_body, of a large body. What is not there is asked for, and `verdict` says so: then nothing
    of `out` may be sent."""
    cdef uint32_t body = <uint32_t>response.body_offset
    cdef uint32_t done = 0
    cdef uint32_t index, within, step, number, state
    cdef uint16_t total = 0
    cdef uint16_t part
    while done < octets:
        index = <uint32_t>((start + done) // WINDOW_BYTES)
        within = <uint32_t>((start + done) % WINDOW_BYTES)
        step = min(octets - done, <uint32_t>WINDOW_BYTES - within)
        number = window_find(windows, store.serial, body, index)
        state = WINDOW_EMPTY if number == NIL else atomic_load_u32(&windows.windows[number].state)
        if state == WINDOW_READY:
            windows.windows[number].chances = CHANCES_USED
            windows.windows[number].demanded = False
            part = window_copy(windows, number, within, step, out + done)
            total = sum_add(total, sum_swap(part) if done & 1 else part)
            if within < step:
                windows_read_ahead(windows, store.serial, response, body, index)
        else:
            windows_miss(windows, store.serial, response, body, index, number, state)
        done += step
    return total


cdef inline void windows_read_ahead(
    Windows *windows, uint32_t serial, const image_response *response, uint32_t body, uint32_t index
) noexcept nogil:
    cdef uint32_t next_index
    for next_index in range(index + 1, index + 1 + WINDOWS_AHEAD):
        if <uint64_t>next_index * WINDOW_BYTES < response.body_bytes:
            window_want(windows, serial, body, next_index, False)


cdef inline void windows_miss(
    Windows *windows, uint32_t serial, const image_response *response, uint32_t body, uint32_t index,
    uint32_t number, uint32_t state,
) noexcept nogil:
    if state == WINDOW_FAILED:
        if windows.windows[number].demanded and window_is_kept(windows, &windows.windows[number]):
            windows.verdict = WINDOW_BROKEN         # for all who waited: not one attempt for each
            return
        window_forget(windows, number)              # whoever asks later has it tried again
        number = NIL
    if windows.verdict != WINDOW_BROKEN:
        windows.verdict = WINDOW_MISSED
        if number != NIL:
            windows.windows[number].demanded = True
        else:
            window_want(windows, serial, body, index, True)
            windows_read_ahead(windows, serial, response, body, index)


# ---- the side of those who fill ----

cdef inline uint32_t windows_next_wanted(Windows *windows) noexcept nogil:
    """The next window to be filled, or NIL. One thread at a time."""
    cdef uint32_t number
    if windows.wanted_tail == atomic_load_u32(&windows.wanted_head):
        return NIL
    number = windows.wanted[windows.wanted_tail & windows.wanted_mask]
    windows.wanted_tail += 1
    return number


cdef inline void window_sum_up(Windows *windows, uint32_t number, uint32_t octets) noexcept nogil:
    """The sums of a window of which so many octets are there."""
    cdef const uint8_t *body = windows.memory + <size_t>number * WINDOW_BYTES
    cdef uint16_t *sums = windows.sums + <size_t>number * WINDOW_SUMS
    cdef uint16_t running = 0
    cdef uint32_t k
    sums[0] = 0
    for k in range(octets // IMAGE_SUM_STEP):
        running = sum_add(running, sum_octets(body + <size_t>k * IMAGE_SUM_STEP, IMAGE_SUM_STEP))
        sums[k + 1] = running


cdef inline void window_finish(Windows *windows, uint32_t number, bint sound) noexcept nogil:
    """Hands the window back to the worker. One thread at a time."""
    atomic_store_u32(&windows.windows[number].state, WINDOW_READY if sound else WINDOW_FAILED)
    atomic_store_u32(&windows.filled, windows.filled + 1)
