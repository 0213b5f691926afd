"""A parsed request to what answers it: a response of the image, and what is appended to its head. No TCP.

Order: framing was judged by the parser; then the host, expectations, method, path (RFC 9110 15.5); then, for
hosts that have them, who may read, who may enter, rules. A path of a host without any of them is looked up
and that is all.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memchr

from cython_ext.base.pool cimport NIL
from cython_ext.content.store cimport (
    IMAGE_CAPTURES_MOST, IMAGE_CODING_IDENTITY, IMAGE_ERROR_204, IMAGE_ERROR_400, IMAGE_ERROR_404,
    IMAGE_ERROR_405, IMAGE_ERROR_406, IMAGE_ERROR_408, IMAGE_ERROR_412, IMAGE_ERROR_413, IMAGE_ERROR_414,
    IMAGE_ERROR_417, IMAGE_ERROR_421, IMAGE_ERROR_431, IMAGE_ERROR_500, IMAGE_ERROR_501, IMAGE_ERROR_503,
    IMAGE_ERROR_505, IMAGE_HOST_AREAS, IMAGE_HOST_FORCED, IMAGE_HOST_POLICIES, IMAGE_HOST_RULES, IMAGE_NONE,
    IMAGE_RESPONSE_CARE, IMAGE_RULE_FORCED, IMAGE_RULE_KEEPS_QUERY, IMAGE_RULE_REDIRECT, Store, host_find,
    image_host, image_policy, image_resource, image_rule, index_find_hash,
)
from cython_ext.http.credentials cimport may_enter
from cython_ext.http.folder cimport folder_find, host_of
from cython_ext.http.negotiate cimport negotiate, represent
from cython_ext.http.path cimport PATH_BAD, PATH_NOWHERE, Known, Path, PathVerdict, is_known, path_of_target
from cython_ext.http.policy cimport policy_line, policy_preflight
from cython_ext.http.request cimport METHOD_OPTIONS, METHOD_OTHER, METHOD_UNKNOWN, Request
from cython_ext.http.rule cimport (
    Capture, Made, Query, location_begin, location_end, made_add, made_begin, rule_matches, run_target,
)

cdef enum Chosen:
    CHOSEN_PASS                     # no rule applies
    CHOSEN_DONE                     # the answer is found
    CHOSEN_PATH                     # found.response is that of a path: it is still to be settled

cdef struct Room:
    uint8_t *path                   # as many octets as the target
    uint8_t *key                    # KEY_EXTRA more, and KEY_ROOM_LEAST at least
    uint8_t *text                   # MADE_BYTES_MOST
    const Known *known              # of the target, found out before its turn came; NULL: nothing

cdef struct Selection:
    const image_host *host          # NULL: nobody's
    uint32_t response
    uint32_t line                   # 1 + number of the line appended to the head; 0: none
    uint32_t text_bytes             # of a field line in room.text, appended too


cdef inline int error_slot(uint16_t status) noexcept nogil:
    """500 stands in for a status that has no page."""
    if status == 204:
        return IMAGE_ERROR_204
    if status == 400:
        return IMAGE_ERROR_400
    if status == 404:
        return IMAGE_ERROR_404
    if status == 405:
        return IMAGE_ERROR_405
    if status == 406:
        return IMAGE_ERROR_406
    if status == 408:
        return IMAGE_ERROR_408
    if status == 412:
        return IMAGE_ERROR_412
    if status == 413:
        return IMAGE_ERROR_413
    if status == 414:
        return IMAGE_ERROR_414
    if status == 417:
        return IMAGE_ERROR_417
    if status == 421:
        return IMAGE_ERROR_421
    if status == 431:
        return IMAGE_ERROR_431
    if status == 501:
        return IMAGE_ERROR_501
    if status == 503:
        return IMAGE_ERROR_503
    return IMAGE_ERROR_505 if status == 505 else IMAGE_ERROR_500


cdef inline uint32_t error_response(const Store *store, uint16_t status) noexcept nogil:
    """Number of the response where no host is known: the request was refused before."""
    return store.header.errors[error_slot(status)]


cdef inline uint32_t host_error(
    const Store *store, const Request *request, const image_host *host, uint16_t status
) noexcept nogil:
    """The host's page for a status, in the form that was asked for."""
    return represent(store, host.errors[error_slot(status)], request)


cdef inline uint32_t path_error(
    const Store *store, const Request *request, const image_host *host, uint16_t status, const Path *path,
    const Room *room,
) noexcept nogil:
    """The page of the nearest folder around the path."""
    cdef int slot = error_slot(status)
    cdef uint32_t found = NIL
    if host.pages >> slot & 1:
        found = folder_find(store, host, 69, <uint8_t>(65 + slot), path, room.key)
    return represent(store, host.errors[slot] if found == NIL else found, request)


cdef inline void http_select(
    const Store *store, const Request *request, const Room *room, Selection *found
) noexcept nogil:
    """The answer to a well-framed request."""
    cdef Path path
    cdef PathVerdict verdict
    found.line = 0
    found.text_bytes = 0
    found.host = host_of(store, request, room.key) if store.header.names_count else store.default_host
    if found.host == NULL:
        found.response = error_response(store, 421)
        return
    found.response = NIL
    if refuse_method(store, request, room, found):
        return
    verdict = path_of_target(request.target, request.target_bytes, room.known, room.path, &path)
    if verdict == PATH_BAD:
        found.response = host_error(store, request, found.host, 400)
        return
    if verdict != PATH_NOWHERE:
        found.response = path_find(store, found.host, &path, room.known)
    if found.host.features == 0 and request.method != METHOD_OPTIONS and found.response != NIL:
        if store.responses[found.response].flags & IMAGE_RESPONSE_CARE:
            settle(store, request, NIL, &path, room, found)
        return
    select_with_care(store, request, &path, verdict, room, found)


cdef inline uint32_t path_find(
    const Store *store, const image_host *host, const Path *path, const Known *known
) noexcept nogil:
    """host_find() of a request's path."""
    if is_known(known, path.octets, path.bytes) and known.bytes == path.bytes:
        return index_find_hash(store, host.slots_first, host.slots_count, path.octets, path.bytes, known.hash)
    return host_find(store, host, path.octets, path.bytes)


cdef inline bint refuse_method(
    const Store *store, const Request *request, const Room *room, Selection *found
) noexcept nogil:
    """Expectations, methods, and the target that is no path (RFC 9110 9.3.7)."""
    cdef Path path
    cdef uint16_t status = 0
    if request.expects_other:
        status = 417
    elif request.method == METHOD_UNKNOWN:
        status = 501
    elif request.method == METHOD_OTHER:
        status = 405
    elif request.target_bytes == 1 and request.target[0] == 42:
        status = 204 if request.method == METHOD_OPTIONS else 400
    if status == 0:
        return False
    found.response = host_error(store, request, found.host, status)
    if found.host.features & IMAGE_HOST_POLICIES:
        if path_of_target(request.target, request.target_bytes, room.known, room.path, &path) != PATH_BAD:
            say_policy(store, request, &path, room, found)
    return True


cdef inline uint32_t say_policy(
    const Store *store, const Request *request, const Path *path, const Room *room, Selection *found
) noexcept nogil:
    """Adds who may read what lies at the path. Number of the policy, or NIL."""
    cdef uint32_t number = folder_find(store, found.host, 67, 46, path, room.key)
    if number != NIL:
        found.line = 1 + policy_line(store, &store.policies[number], request)
    return number


cdef inline void query_of(const Request *request, Path *query) noexcept nogil:
    """What follows the first question mark of the target."""
    cdef const uint8_t *mark = <const uint8_t *>memchr(request.target, 63, request.target_bytes)
    query.octets = NULL
    query.bytes = 0
    if mark != NULL:
        query.octets = mark + 1
        query.bytes = <uint32_t>(request.target + request.target_bytes - mark) - 1


cdef inline void select_with_care(
    const Store *store, const Request *request, const Path *path, PathVerdict verdict, const Room *room,
    Selection *found,
) noexcept nogil:
    """For hosts with more than paths, and for what is not there."""
    cdef const image_host *host = found.host
    cdef Chosen chosen = CHOSEN_PASS
    cdef uint32_t area = NIL
    cdef uint32_t number
    if host.features & IMAGE_HOST_POLICIES:
        number = say_policy(store, request, path, room, found)
        if number != NIL and policy_preflight(request):
            found.response = store.policies[number].preflight
            return
    if request.method == METHOD_OPTIONS:
        found.response = host_error(store, request, host, 204)
        return
    if host.features & IMAGE_HOST_AREAS:
        area = folder_find(store, host, 65, 46, path, room.key)
        if area != NIL and not enter(store, request, area, found):
            return
    if host.features & IMAGE_HOST_FORCED or (found.response == NIL and host.features & IMAGE_HOST_RULES):
        if verdict != PATH_NOWHERE:
            chosen = apply_rules(store, request, path, room, found)
    if chosen == CHOSEN_DONE:
        return
    if found.response == NIL:
        found.response = path_error(store, request, host, 404, path, room)
    elif store.responses[found.response].flags & IMAGE_RESPONSE_CARE:
        settle(store, request, area, path, room, found)


cdef inline bint enter(const Store *store, const Request *request, uint32_t area, Selection *found) noexcept nogil:
    """False: the answer is the area's 401."""
    if may_enter(store, area, request):
        return True
    found.response = represent(store, store.areas[area].response, request)
    return False


cdef inline void settle(
    const Store *store, const Request *request, uint32_t entered, const Path *path, const Room *room,
    Selection *found,
) noexcept nogil:
    """The response of a path whose resource has more to say: who may have it, in which form, and with which
    query behind its location. entered: the area whose credentials were right."""
    cdef const image_resource *resource = &store.resources[store.responses[found.response].resource]
    cdef Path query
    cdef Made made
    if resource.area != IMAGE_NONE and resource.area != entered:
        if not enter(store, request, resource.area, found):
            return
    if resource.bare != IMAGE_NONE:
        query_of(request, &query)
        if query.bytes == 0:
            return
        location_begin(&made, room.text)
        made_add(&made, store.texts + resource.location_offset, resource.location_bytes)
        location_end(&made, &query, memchr(store.texts + resource.location_offset, 63, resource.location_bytes) != NULL)
        take_made(store, request, resource.bare, &made, found)
        return
    if resource.count > 1 or store.responses[resource.first].coding != IMAGE_CODING_IDENTITY:
        found.response = negotiate(store, resource, request)
        if found.response == NIL:
            found.response = path_error(store, request, found.host, 406, path, room)


cdef inline void take_made(
    const Store *store, const Request *request, uint32_t bare, const Made *made, Selection *found
) noexcept nogil:
    """A redirect with the Location made; one that grew too long is the fault of its target."""
    if made.full:
        found.response = host_error(store, request, found.host, 414)
        return
    found.response = bare
    found.text_bytes = made.bytes


cdef inline Chosen apply_rules(
    const Store *store, const Request *request, const Path *path, const Room *room, Selection *found
) noexcept nogil:
    """The first rule that matches, of those that come before what the path has where it has something."""
    cdef Capture captures[IMAGE_CAPTURES_MOST]
    cdef const image_rule *rule
    cdef Query query
    cdef uint32_t i
    query_of(request, &query.text)
    query.divided = False
    for i in range(<uint32_t>IMAGE_CAPTURES_MOST):
        captures[i].bytes = 0
        captures[i].octets = path.octets
        captures[i].encoded = False
    for i in range(found.host.rules_count):
        rule = &store.rules[found.host.rules_first + i]
        if found.response != NIL and not rule.flags & IMAGE_RULE_FORCED:
            continue
        if rule_matches(store, rule, path, &query, captures):
            return run_rule(store, request, rule, captures, &query.text, room, found)
    return CHOSEN_PASS


cdef inline Chosen run_rule(
    const Store *store, const Request *request, const image_rule *rule, const Capture *captures,
    const Path *query, const Room *room, Selection *found,
) noexcept nogil:
    cdef Made made
    cdef Path none
    if rule.flags & IMAGE_RULE_REDIRECT:
        none.octets = NULL
        none.bytes = 0
        location_begin(&made, room.text)
        run_target(store, rule, captures, &made)
        location_end(&made, query if rule.flags & IMAGE_RULE_KEEPS_QUERY else &none, False)
        take_made(store, request, rule.answer, &made, found)
        return CHOSEN_DONE
    found.response = rule.answer
    if rule.answer == IMAGE_NONE:
        made_begin(&made, room.text)
        run_target(store, rule, captures, &made)
        found.response = NIL if made.full else host_find(store, found.host, made.out, made.bytes)
    return CHOSEN_PATH
