/* The site image: what bypass/site compiles and content/store reads.
 *
 * One file, mapped read-only. Little-endian. Every offset is counted in bytes from the
 * start of the file; every section starts at a multiple of 64 bytes, sections lie in the
 * order of the header's fields. docs/image-format.md explains it; bypass/site/layout.py
 * is its Python twin and tests/unit/test_layout.py holds the two against each other.
 */
#ifndef BYPASS_ABI_IMAGE_H
#define BYPASS_ABI_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#define IMAGE_MAGIC "BYPASSIM"
#define IMAGE_VERSION 2
#define IMAGE_ALIGN 64
#define IMAGE_SUM_STEP 64          /* body octets between two prefix sums */
#define IMAGE_DATE_BYTES 29        /* IMF-fixdate, RFC 9110 5.6.7 */
#define IMAGE_ETAG_BYTES 24         /* two quotes around 22 characters */
#define IMAGE_EMPTY_SLOT 0xffffffffu
#define IMAGE_ERROR_SLOTS 24

/* One slot of the path index: open addressing, linear probing from (hash & mask). */
struct image_slot {
    uint32_t tag;                  /* upper 32 bits of the path's hash */
    uint32_t response;             /* number of the response, or IMAGE_EMPTY_SLOT */
    uint32_t path_offset;          /* into the paths section */
    uint32_t path_bytes;
};

/* One response: head, then body (absent when answering HEAD). 64 bytes: one cache line. */
struct image_response {
    uint64_t head_offset;          /* into the file */
    uint64_t body_offset;          /* into the file */
    uint64_t body_bytes;
    uint64_t sums_first;           /* number of the body's first prefix sum in the sums section */
    uint32_t head_bytes;           /* status line and fields, without the empty line that ends the head */
    uint16_t head_sum;             /* folded sum of the head, its date octets being zero */
    uint16_t date_offset;          /* of the Date value within the head */
    uint16_t status;
    uint16_t flags;                /* IMAGE_RESPONSE_* */
    uint32_t modified;             /* Last-Modified, seconds since 1970; 0: there is none */
    uint16_t line_bytes;           /* status line with its CRLF */
    uint16_t etag_offset;          /* of the ETag value within the head, IMAGE_ETAG_BYTES; 0: there is none */
    uint16_t modified_offset;      /* of the Last-Modified value, IMAGE_DATE_BYTES; 0: there is none */
    uint16_t meta_end;             /* fields from line_bytes to here are repeated by a 304 */
    uint16_t length_offset;        /* of the line "Content-Length: ...", the head's last; 0: there is none */
    uint16_t reserved[3];
};

#define IMAGE_RESPONSE_CLOSE 1     /* the connection closes after this response */

struct image_header {
    uint8_t  magic[8];
    uint32_t version;
    uint32_t header_bytes;         /* sizeof(struct image_header) */
    uint64_t image_bytes;          /* of the whole file */
    uint64_t checksum;             /* image_hash() of everything after the header */
    uint64_t slots_offset;
    uint64_t slots_count;          /* a power of two */
    uint64_t paths_offset;
    uint64_t paths_bytes;
    uint64_t responses_offset;
    uint64_t responses_count;
    uint64_t heads_offset;
    uint64_t heads_bytes;
    uint64_t sums_offset;
    uint64_t sums_count;           /* uint16_t each */
    uint64_t bodies_offset;
    uint64_t bodies_bytes;
    uint32_t max_probe;            /* longest probe sequence of any path present, in slots */
    uint32_t files;                /* how many files of the document root are in here */
    uint64_t reserved[3];
    uint32_t errors[IMAGE_ERROR_SLOTS];  /* response by error slot, see IMAGE_ERROR_* */
};

/* Responses that need no path. */
enum image_error {
    IMAGE_ERROR_400 = 0,
    IMAGE_ERROR_404 = 1,
    IMAGE_ERROR_405 = 2,
    IMAGE_ERROR_408 = 3,
    IMAGE_ERROR_413 = 4,
    IMAGE_ERROR_414 = 5,
    IMAGE_ERROR_417 = 6,
    IMAGE_ERROR_431 = 7,
    IMAGE_ERROR_500 = 8,
    IMAGE_ERROR_501 = 9,
    IMAGE_ERROR_503 = 10,
    IMAGE_ERROR_505 = 11,
    IMAGE_ERROR_412 = 12,
    IMAGE_ERROR_204 = 13,          /* no error: what OPTIONS is answered */
    IMAGE_ERROR_COUNT = 14
};

_Static_assert(sizeof(struct image_slot) == 16, "image_slot");
_Static_assert(sizeof(struct image_response) == 64, "image_response");
_Static_assert(sizeof(struct image_header) == 256, "image_header");
_Static_assert(offsetof(struct image_header, errors) == 160, "image_header.errors");
_Static_assert(IMAGE_ERROR_COUNT <= IMAGE_ERROR_SLOTS, "error slots");

/* The hash of a path (and, over the whole image, its checksum): 8 octets at a time,
 * multiply and fold. The site's paths are fixed at compile time and the longest probe is
 * in the header, so it need not be keyed. */
static inline uint64_t image_mix(uint64_t a, uint64_t b)
{
    __uint128_t product = (__uint128_t)(a ^ 0x9e3779b97f4a7c15ull) * (b ^ 0xd1b54a32d192ed03ull);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t image_hash(const uint8_t *data, uint64_t bytes)
{
    uint64_t hash = bytes * 0xa0761d6478bd642full, word, i = 0;
    for (; i + 8 <= bytes; i += 8) {
        __builtin_memcpy(&word, data + i, 8);
        hash = image_mix(hash, word);
    }
    if (i < bytes) {
        word = 0;
        __builtin_memcpy(&word, data + i, bytes - i);
        hash = image_mix(hash, word);
    }
    return image_mix(hash, bytes);
}

#endif
