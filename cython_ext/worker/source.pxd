"""The octet stream a connection sends, made from its queued responses: any range, any time.

The stream is, for each queued response, head, tail, body. A head lies in the image with its
Date octets zero; the date of the slot's own second is patched in, so that what is sent again
is what was sent before.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from cython_ext.content.store cimport (
    IMAGE_RESPONSE_LARGE, Store, head_bytes, image_line, image_response, response_front, store_copy_body,
)
from cython_ext.content.window cimport windows_copy_body
from cython_ext.http.byterange cimport Extent, Parts
from cython_ext.http.date cimport DATE_BYTES, Date, date_make
from cython_ext.wire.checksum cimport sum_add, sum_octets, sum_swap
from cython_ext.worker.queue cimport (
    made_head_bytes, session_slot, slot_bytes, slot_extent, slot_is_plain, slot_note, slot_parts,
    slot_store, tail_bytes,
)
from cython_ext.worker.service cimport (
    SLOT_CLOSE, SLOT_KEEP_ALIVE, SLOT_NOT_MODIFIED, SLOT_PARTIAL, SLOT_PARTS, SLOT_TEXT,
    SLOT_UNSATISFIABLE, Service, Session, Slot,
)
from cython_ext.worker.variant cimport (
    multipart_head, not_modified_head, part_text, part_text_bytes, partial_head, parts_end, unsatisfiable_head,
)


cdef inline uint16_t source_fill(
    Service *service, Session *session, uint64_t offset, uint32_t octets, uint8_t *out
) noexcept nogil:
    """Writes octets [offset, offset + octets) of the stream, counted from the oldest octet not
    acknowledged, and returns their sum. The queue holds at least that many. Nothing is written that may be
    sent unless service.windows.verdict stays WINDOW_HERE."""
    cdef uint32_t i = 0
    cdef uint32_t done = 0
    cdef uint32_t step
    cdef uint64_t position = session.first_offset + offset
    cdef uint64_t whole
    cdef uint16_t total = 0
    cdef uint16_t part
    cdef Slot *slot
    while done < octets and i < session.slot_count:
        slot = session_slot(service, session, i)
        whole = slot_bytes(service, slot)
        if position >= whole:
            position -= whole
            i += 1
            continue
        step = <uint32_t>min(<uint64_t>(octets - done), whole - position)
        part = response_fill(service, slot, position, step, out + done)
        total = sum_add(total, sum_swap(part) if done & 1 else part)
        done += step
        position += step
    return total


cdef inline uint16_t response_fill(
    Service *service, const Slot *slot, uint64_t position, uint32_t octets, uint8_t *out
) noexcept nogil:
    """A range within one response; the sum's words count from its first octet."""
    cdef const Store *store = slot_store(service, slot)
    cdef const image_response *response = &store.responses[slot.response]
    cdef uint32_t lead_bytes = head_bytes(response) + tail_bytes(slot.flags)
    cdef uint32_t step = 0
    cdef uint16_t total = 0
    cdef uint16_t part
    if not slot_is_plain(slot):
        return made_fill(service, slot, position, octets, out)
    if position < lead_bytes:
        step = <uint32_t>min(<uint64_t>octets, lead_bytes - position)
        if position == 0 and step == lead_bytes:
            total = lead_fill(service, response, slot, out)
        else:
            total = lead_fill_part(service, response, slot, <uint32_t>position, step, out)
    if step < octets:
        part = body_fill(service, store, response, position + step - lead_bytes, octets - step, out + step)
        total = sum_add(total, sum_swap(part) if step & 1 else part)
    return total


cdef inline uint16_t made_fill(
    Service *service, const Slot *slot, uint64_t position, uint32_t octets, uint8_t *out
) noexcept nogil:
    """response_fill() of a slot whose head or content is not as it lies in the image."""
    cdef const Store *store = slot_store(service, slot)
    cdef const image_response *response = &store.responses[slot.response]
    cdef uint32_t lead_bytes = made_head_bytes(service, slot)
    cdef uint64_t first = slot_extent(service, slot).first if slot.flags & SLOT_PARTIAL else 0
    cdef uint32_t step = 0
    cdef uint16_t total = 0
    cdef uint16_t part
    if position < lead_bytes:
        step = <uint32_t>min(<uint64_t>octets, lead_bytes - position)
        total = made_fill_part(service, response, slot, <uint32_t>position, step, out)
    if step < octets:
        position = position + step - lead_bytes
        if slot.flags & SLOT_PARTS:
            part = parts_fill(service, store, response, slot_parts(service, slot), position, octets - step, out + step)
        else:
            part = body_fill(service, store, response, first + position, octets - step, out + step)
        total = sum_add(total, sum_swap(part) if step & 1 else part)
    return total


cdef inline uint16_t body_fill(
    Service *service, const Store *store, const image_response *response, uint64_t start, uint32_t octets,
    uint8_t *out,
) noexcept nogil:
    if response.flags & IMAGE_RESPONSE_LARGE:
        return windows_copy_body(&service.windows, store, response, start, octets, out)
    return store_copy_body(store, response, start, octets, out)


cdef inline uint16_t parts_fill(
    Service *service, const Store *store, const image_response *response, const Parts *parts, uint64_t position,
    uint32_t octets, uint8_t *out,
) noexcept nogil:
    """A range of a multipart content: made anew each time, from the extents. `parts` lies in a note."""
    cdef const uint8_t *front = response_front(store, response)
    cdef const Extent *extent
    cdef uint32_t i, step, text_bytes
    cdef uint32_t done = 0
    cdef uint16_t total = 0
    cdef uint16_t sum
    for i in range(parts.count + 1):
        if i < parts.count:
            extent = &parts.extent[i]
            text_bytes = part_text_bytes(front, response, extent)
            if position < text_bytes and done < octets:
                part_text(front, response, extent, service.lead)
        else:
            extent = NULL
            text_bytes = parts_end(response, service.lead)
        if position < text_bytes and done < octets:
            step = min(octets - done, text_bytes - <uint32_t>position)
            memcpy(out + done, service.lead + position, step)
            sum = sum_octets(out + done, step)
            total = sum_add(total, sum_swap(sum) if done & 1 else sum)
            done += step
            position += step
        if position < text_bytes or extent == NULL:
            break
        position -= text_bytes
        if position < extent.bytes and done < octets:
            step = <uint32_t>min(<uint64_t>(octets - done), extent.bytes - position)
            sum = body_fill(service, store, response, extent.first + position, step, out + done)
            total = sum_add(total, sum_swap(sum) if done & 1 else sum)
            done += step
            position += step
        if position < extent.bytes:
            break
        position -= extent.bytes
    return total


cdef inline const uint8_t *tail_text(uint32_t flags) noexcept nogil:
    if flags & SLOT_CLOSE:
        return <const uint8_t *>b"Connection: close\r\n\r\n"
    if flags & SLOT_KEEP_ALIVE:
        return <const uint8_t *>b"Connection: keep-alive\r\n\r\n"
    return <const uint8_t *>b"\r\n"


cdef inline const Date *slot_date(const Service *service, const Slot *slot, Date *room) noexcept nogil:
    """The slot's date: the current one, or made again for a late retransmission."""
    if slot.second == service.date.second:
        return &service.date
    date_make(room, slot.second)
    return room


cdef inline uint16_t lead_fill(
    Service *service, const image_response *response, const Slot *slot, uint8_t *out
) noexcept nogil:
    """Head and tail as a whole, the usual case: sums from the image and the date cache."""
    cdef Date room
    cdef const Date *date = slot_date(service, slot, &room)
    cdef uint32_t head = head_bytes(response)
    cdef uint32_t tail = tail_bytes(slot.flags)
    cdef uint16_t total
    cdef uint16_t part
    memcpy(out, response_front(slot_store(service, slot), response), response.front_bytes)
    memcpy(out + response.date_offset, date.text, DATE_BYTES)
    memcpy(out + response.front_bytes, response.card, response.own_bytes)
    memcpy(out + head, tail_text(slot.flags), tail)
    part = sum_octets(out + head, tail)
    total = sum_add(response.head_sum, date.sum_odd if response.date_offset & 1 else date.sum_even)
    return sum_add(total, sum_swap(part) if head & 1 else part)


cdef inline uint16_t lead_fill_part(
    Service *service, const image_response *response, const Slot *slot,
    uint32_t position, uint32_t octets, uint8_t *out,
) noexcept nogil:
    """Part of head and tail, for small segments: piece by piece, summed as written."""
    cdef Date room
    cdef const Date *date = slot_date(service, slot, &room)
    cdef uint32_t end = position + octets
    copy_overlap(
        out, position, end, response_front(slot_store(service, slot), response), 0, response.front_bytes
    )
    copy_overlap(out, position, end, date.text, response.date_offset, DATE_BYTES)
    copy_overlap(out, position, end, response.card, response.front_bytes, response.own_bytes)
    copy_overlap(out, position, end, tail_text(slot.flags), head_bytes(response), tail_bytes(slot.flags))
    return sum_octets(out, octets)


cdef inline uint16_t made_fill_part(
    Service *service, const image_response *response, const Slot *slot,
    uint32_t position, uint32_t octets, uint8_t *out,
) noexcept nogil:
    """Head and tail that are not as in the image, or part of them: made whole each time, summed as written."""
    cdef Date room
    cdef const uint8_t *date = &slot_date(service, slot, &room).text[0]
    cdef const Store *store = slot_store(service, slot)
    cdef const uint8_t *front = response_front(store, response)
    cdef const image_line *line
    cdef uint8_t *lead = service.lead
    cdef uint32_t size
    if slot.flags & SLOT_NOT_MODIFIED:
        size = not_modified_head(front, response, date, lead)
    elif slot.flags & SLOT_UNSATISFIABLE:
        size = unsatisfiable_head(front, response, date, lead)
    elif slot.flags & SLOT_PARTIAL:
        size = partial_head(front, response, date, slot_extent(service, slot), lead)
    elif slot.flags & SLOT_PARTS:
        size = multipart_head(front, response, date, slot_extent(service, slot).bytes, lead)
    else:
        size = head_bytes(response)
        memcpy(lead, front, response.front_bytes)
        memcpy(lead + response.front_bytes, response.card, response.own_bytes)
        memcpy(lead + response.date_offset, date, DATE_BYTES)
    if slot.line:
        line = &store.lines[slot.line - 1]
        memcpy(lead + size, store.texts + line.offset, line.bytes)
        size += line.bytes
    if slot.flags & SLOT_TEXT:
        memcpy(lead + size, slot_note(service, slot), slot_extent(service, slot).bytes)
        size += <uint32_t>slot_extent(service, slot).bytes
    memcpy(lead + size, tail_text(slot.flags), tail_bytes(slot.flags))
    memcpy(out, lead + position, octets)
    return sum_octets(out, octets)


cdef inline void copy_overlap(
    uint8_t *out, uint32_t position, uint32_t end, const uint8_t *text, uint32_t at, uint32_t octets
) noexcept nogil:
    """Copies what of `text`, which stands at `at` of the stream, falls into [position, end)."""
    cdef uint32_t first = max(position, at)
    cdef uint32_t last = min(end, at + octets)
    if first < last:
        memcpy(out + (first - position), text + (first - at), last - first)
