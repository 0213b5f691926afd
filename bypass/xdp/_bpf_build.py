"""Builds `bypass.xdp._bpf`, the cffi binding of libbpf (setup.py names it in cffi_modules).

API mode: the compiler checks every structure and signature against the installed headers.
"""

from __future__ import annotations

from pathlib import Path

from cffi import FFI

DECLARATIONS = """
struct bpf_object;
struct bpf_map;
struct bpf_program;
struct shim_attached { uint32_t mode; uint32_t program; };

const char *libbpf_version_string(void);
int libbpf_num_possible_cpus(void);
long libbpf_get_error(const void *pointer);
int bpf_object__load(struct bpf_object *object);
void bpf_object__close(struct bpf_object *object);
struct bpf_map *bpf_object__find_map_by_name(const struct bpf_object *object, const char *name);
struct bpf_program *bpf_object__find_program_by_name(const struct bpf_object *object, const char *name);
int bpf_map__set_max_entries(struct bpf_map *map, uint32_t entries);
int bpf_map__fd(const struct bpf_map *map);
int bpf_program__fd(const struct bpf_program *program);

void shim_capture(void);
const char *shim_log(void);
struct bpf_object *shim_open(const void *data, size_t octets, const char *name);
int shim_link_xdp(int program_fd, int ifindex, uint32_t flags);
int shim_query(int ifindex, struct shim_attached *attached);
int shim_program_name(uint32_t program, char *name);
int shim_update(int map_fd, const void *key, const void *value);
int shim_delete(int map_fd, const void *key);
int shim_lookup(int map_fd, const void *key, void *value);

#define XDP_FLAGS_SKB_MODE ...
#define XDP_FLAGS_DRV_MODE ...
"""

ffibuilder = FFI()
ffibuilder.cdef(DECLARATIONS)
ffibuilder.set_source(
    "bypass.xdp._bpf", Path(__file__).with_name("shim.c").read_text(encoding="ascii"), libraries=["bpf"]
)
