"""Part of engine.pyx: a folder's entries at the price of its system calls, and places that move all together."""

from libc.errno cimport errno

cdef extern from "<dirent.h>" nogil:
    ctypedef struct DIR:
        pass
    struct dirent:
        char d_name[256]
    DIR *fdopendir(int fd)
    dirent *readdir(DIR *folder)
    int closedir(DIR *folder)

cdef extern from "<fcntl.h>" nogil:
    int AT_SYMLINK_NOFOLLOW, O_RDONLY, O_DIRECTORY, O_CLOEXEC
    int open(const char *path, int flags)

cdef extern from "<sys/stat.h>" nogil:
    int S_IFMT, S_IFREG, S_IFDIR
    struct timespec:
        int64_t tv_sec
        int64_t tv_nsec
    struct stat:
        uint64_t st_dev
        uint64_t st_ino
        uint32_t st_mode
        int64_t st_size
        timespec st_mtim
        timespec st_ctim
    int fstatat(int folder, const char *name, stat *about, int flags)

cdef extern from "<stdlib.h>" nogil:
    void *realloc(void *memory, size_t bytes)

cdef extern from "<string.h>" nogil:
    size_t strlen(const char *text)

cdef int64_t SECONDS_MOST = 8_000_000_000   # from 1970, either way: in nanoseconds still 64 bits

cdef packed struct _Entry:
    uint64_t device
    uint64_t inode
    int64_t size                    # -1: a folder, of which no more is told
    int64_t mtime_ns
    int64_t ctime_ns
    uint16_t name_bytes             # which follow

cdef struct _Entries:
    uint8_t *octets
    size_t count
    size_t room


def folder_entries(bytes path not None):
    """What is in a folder, as octets: the same as long as no entry of it differs (_engine.pyi). None where that
    cannot be told: it cannot be read, or holds something else than files and folders."""
    cdef _Entries entries
    cdef const char *name = path
    cdef bint whole
    memset(&entries, 0, sizeof(entries))
    try:
        with nogil:
            whole = _read_entries(&entries, name)
        return (<char *>entries.octets)[:entries.count] if whole else None
    finally:
        free(entries.octets)


cdef bint _read_entries(_Entries *entries, const char *path) noexcept nogil:
    cdef int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    cdef DIR *folder
    cdef dirent *found
    cdef bint whole = True
    if fd < 0:
        return False
    folder = fdopendir(fd)
    if folder == NULL:
        close(fd)
        return False
    while whole:
        errno = 0
        found = readdir(folder)
        if found == NULL:
            whole = errno == 0
            break
        whole = _add_entry(entries, fd, found.d_name)
    closedir(folder)
    return whole


cdef bint _add_entry(_Entries *entries, int fd, const char *name) noexcept nogil:
    cdef stat about
    cdef _Entry entry
    cdef size_t octets = strlen(name)
    if name[0] == b'.' and (octets == 1 or (octets == 2 and name[1] == b'.')):
        return True
    if fstatat(fd, name, &about, AT_SYMLINK_NOFOLLOW) != 0:
        return False
    memset(&entry, 0, sizeof(entry))
    entry.device = about.st_dev
    entry.inode = about.st_ino
    entry.name_bytes = <uint16_t>octets
    if about.st_mode & S_IFMT == S_IFDIR:
        entry.size = -1
    elif about.st_mode & S_IFMT == S_IFREG and -SECONDS_MOST < about.st_mtim.tv_sec < SECONDS_MOST:
        entry.size = about.st_size
        entry.mtime_ns = about.st_mtim.tv_sec * 1_000_000_000 + about.st_mtim.tv_nsec
        entry.ctime_ns = about.st_ctim.tv_sec * 1_000_000_000 + about.st_ctim.tv_nsec
    else:
        return False
    return _append(entries, &entry, sizeof(entry)) and _append(entries, name, octets)


cdef bint _append(_Entries *entries, const void *octets, size_t count) noexcept nogil:
    cdef uint8_t *larger
    if entries.count + count > entries.room:
        larger = <uint8_t *>realloc(entries.octets, 2 * entries.room + count + 4096)
        if larger == NULL:
            return False
        entries.octets = larger
        entries.room = 2 * entries.room + count + 4096
    memcpy(entries.octets + entries.count, octets, count)
    entries.count += count
    return True


def move_places(uint64_t[::1] words not None, uint32_t first, uint32_t step, begins, shifts):
    """Adds to each word first, first + step ... the shift of the last beginning that is less than it:
    shifts[0] below begins[0], and so on."""
    cdef Py_ssize_t at
    cdef uint32_t low, high, middle
    cdef uint64_t[::1] starts = begins
    cdef int64_t[::1] moves = shifts
    cdef uint32_t count = <uint32_t>starts.shape[0]
    if moves.shape[0] != starts.shape[0] + 1 or step == 0:
        raise ValueError(f"{starts.shape[0]} beginnings need one shift more, not {moves.shape[0]}")
    for at in range(first, words.shape[0], step):
        low, high = 0, count
        while low < high:
            middle = (low + high) // 2
            if starts[middle] < words[at]:
                low = middle + 1
            else:
                high = middle
        words[at] += <uint64_t>moves[low]
