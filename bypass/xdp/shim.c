/* The few calls of libbpf that bypass makes, shaped for a binding: no option structures, no variadic
 * callbacks, -errno on failure. Compiled into bypass.xdp._bpf; knows nothing of our maps.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <linux/if_link.h>

/* What libbpf printed in this thread, the verifier's log included; only the end is kept. */
static __thread char log_text[65536];
static __thread size_t log_octets;

static void keep(const char *text, size_t octets)
{
    size_t half = sizeof(log_text) / 2;
    if (octets > half) {
        text += octets - half;
        octets = half;
    }
    if (log_octets + octets >= sizeof(log_text)) {
        size_t kept = log_octets < half - 1 ? log_octets : half - 1;
        memmove(log_text, log_text + log_octets - kept, kept);
        log_octets = kept;
    }
    memcpy(log_text + log_octets, text, octets);
    log_octets += octets;
    log_text[log_octets] = 0;
}

static int capture(enum libbpf_print_level level, const char *format, va_list arguments)
{
    static __thread char line[sizeof(log_text)];
    int octets;
    if (level == LIBBPF_DEBUG)
        return 0;
    octets = vsnprintf(line, sizeof(line), format, arguments);
    if (octets > 0)
        keep(line, (size_t)octets < sizeof(line) ? (size_t)octets : sizeof(line) - 1);
    return octets;
}

/* Starts a fresh log. */
static void shim_capture(void)
{
    libbpf_set_print(capture);
    log_octets = 0;
    log_text[0] = 0;
}

static const char *shim_log(void) { return log_text; }

static struct bpf_object *shim_open(const void *data, size_t octets, const char *name)
{
    LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = name);
    return bpf_object__open_mem(data, octets, &options);
}

/* Attaches; the descriptor's last close detaches. */
static int shim_link_xdp(int program_fd, int ifindex, uint32_t flags)
{
    LIBBPF_OPTS(bpf_link_create_opts, options, .flags = flags);
    int fd = bpf_link_create(program_fd, ifindex, BPF_XDP, &options);
    return fd < 0 ? -errno : fd;
}

struct shim_attached {
    uint32_t mode;             /* XDP_ATTACHED_*: 0 none, 1 native, 2 generic, 3 hardware, 4 several */
    uint32_t program;          /* id; in native mode before generic */
};

static int shim_query(int ifindex, struct shim_attached *attached)
{
    LIBBPF_OPTS(bpf_xdp_query_opts, options);
    int result = bpf_xdp_query(ifindex, 0, &options);
    if (result < 0)
        return result;
    attached->mode = options.attach_mode;
    attached->program = options.prog_id ? options.prog_id
                      : options.drv_prog_id ? options.drv_prog_id
                      : options.skb_prog_id ? options.skb_prog_id : options.hw_prog_id;
    return 0;
}

/* The name of a loaded program into 16 octets. */
static int shim_program_name(uint32_t program, char *name)
{
    struct bpf_prog_info info = {};
    __u32 size = sizeof(info);
    int result, fd = bpf_prog_get_fd_by_id(program);
    if (fd < 0)
        return -errno;
    result = bpf_obj_get_info_by_fd(fd, &info, &size) == 0 ? 0 : -errno;
    close(fd);
    memcpy(name, info.name, BPF_OBJ_NAME_LEN);
    return result;
}

static int shim_update(int map_fd, const void *key, const void *value)
{
    return bpf_map_update_elem(map_fd, key, value, BPF_ANY) == 0 ? 0 : -errno;
}

static int shim_delete(int map_fd, const void *key)
{
    return bpf_map_delete_elem(map_fd, key) == 0 ? 0 : -errno;
}

static int shim_lookup(int map_fd, const void *key, void *value)
{
    return bpf_map_lookup_elem(map_fd, key, value) == 0 ? 0 : -errno;
}
