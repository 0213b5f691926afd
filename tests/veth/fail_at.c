/* Preloaded into a test: makes the n-th system call of opening an AF_XDP socket fail with ENOTTY. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <sys/mman.h>
#include <sys/socket.h>

static int calls_left;

/* 0: nothing fails. */
void fail_at(int call) { calls_left = call; }

/* Whether the call that was to fail has been made. */
int has_failed(void) { return calls_left == 0; }

static int fails(void)
{
    if (calls_left == 0 || --calls_left != 0)
        return 0;
    errno = ENOTTY;
    return 1;
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
    int (*real)(int, int, int, const void *, socklen_t) = dlsym(RTLD_NEXT, "setsockopt");
    return level == SOL_XDP && fails() ? -1 : real(fd, level, name, value, size);
}

int getsockopt(int fd, int level, int name, void *value, socklen_t *size)
{
    int (*real)(int, int, int, void *, socklen_t *) = dlsym(RTLD_NEXT, "getsockopt");
    return level == SOL_XDP && fails() ? -1 : real(fd, level, name, value, size);
}

int bind(int fd, const struct sockaddr *address, socklen_t size)
{
    int (*real)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "bind");
    return address->sa_family == AF_XDP && fails() ? -1 : real(fd, address, size);
}

static void *map(void *start, size_t size, int protection, int flags, int fd, off_t offset)
{
    void *(*real)(void *, size_t, int, int, int, off_t) = dlsym(RTLD_NEXT, "mmap64");
    int ours = flags & MAP_POPULATE;
    return ours && fails() ? MAP_FAILED : real(start, size, protection, flags, fd, offset);
}

/* Programs with 64-bit file offsets call the second name. */
void *mmap(void *start, size_t size, int protection, int flags, int fd, off_t offset)
{
    return map(start, size, protection, flags, fd, offset);
}

void *mmap64(void *start, size_t size, int protection, int flags, int fd, off_t offset)
{
    return map(start, size, protection, flags, fd, offset);
}
