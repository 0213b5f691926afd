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
#define IMAGE_VERSION 4
#define IMAGE_ALIGN 64
#define IMAGE_SUM_STEP 64          /* body octets between two prefix sums */
#define IMAGE_DATE_BYTES 29        /* IMF-fixdate, RFC 9110 5.6.7 */
#define IMAGE_ETAG_BYTES 24         /* two quotes around 22 characters */
#define IMAGE_EMPTY_SLOT 0xffffffffu
#define IMAGE_NONE 0xffffffffu     /* no such record */
#define IMAGE_ERROR_SLOTS 24

#define IMAGE_LINE_SLOTS 4         /* slots in a line of 64 octets: a search begins at the first of them */
#define IMAGE_CARD_BYTES 208       /* of a response, behind the record's fields */
#define IMAGE_CARD_BODY_MOST 127   /* longest body in a card: no segment of it asks for a prefix sum */
#define IMAGE_CARD_KEY_MOST 92     /* longest key in a card: it fits whatever else there is */
#define IMAGE_TAG_BYTES 32         /* the line "ETag: ..." with its CRLF */
#define IMAGE_TAG_AT 6             /* of the value within it */
#define IMAGE_MODIFIED_BYTES 46    /* the line "Last-Modified: ..." */
#define IMAGE_MODIFIED_AT 15

/* One slot of an index: open addressing, linear probing from the first slot of the line that (hash & mask) lies
 * in. Every host has an index, and the hosts' names have one. A key that begins with a slash is a path;
 * IMAGE_KEY_* begin the others. */
struct image_slot {
    uint32_t tag;                  /* upper 32 bits of the key's hash */
    uint32_t response;             /* number of the response (area, policy, host), or IMAGE_EMPTY_SLOT */
    uint32_t path_offset;          /* into the paths section; IMAGE_NONE: the key lies in the response's card */
    uint32_t path_bytes;
};

/* Keys of two octets and a folder, the same for all paths below it; of names, of one octet. */
#define IMAGE_KEY_AREA "A."        /* -> area */
#define IMAGE_KEY_POLICY "C."      /* -> policy */
#define IMAGE_KEY_PAGE "E"         /* and 'A' + error slot -> response */
#define IMAGE_KEY_HOST "H"         /* and the name -> host */
#define IMAGE_KEY_WILD_HOST "W"    /* and the name from its first dot on -> host */

/* One response: head, then body (absent when answering HEAD). Four lines that lie side by side; of a small
 * file nothing else is met but its slot and what it has in common with others.
 *
 * The head is a front, which many responses share, and an end of its own: the ETag line if the status is 200, the
 * Last-Modified line if there is one, and last "Content-Length: ..." if there is content. */
struct image_response {
    uint64_t body_offset;          /* into the file; of a body in the card too */
    uint64_t body_bytes;
    uint32_t front_offset;         /* into the heads section */
    uint32_t sums_first;           /* number of the body's first prefix sum; 0 for a body in the card: none */
    uint32_t modified;             /* Last-Modified, seconds since 1970; 0: there is none */
    uint32_t resource;             /* number of the resource; with IMAGE_RESPONSE_CARE alone */
    uint16_t front_bytes;
    uint16_t date_offset;          /* of the Date value within the front */
    uint16_t line_bytes;           /* status line with its CRLF */
    uint16_t meta_first;           /* fields from here to the front's end are repeated by a 304 */
    uint16_t head_sum;             /* folded sum of front and own part, the date octets being zero */
    uint16_t status;
    uint8_t  flags;                /* IMAGE_RESPONSE_* */
    uint8_t  coding;               /* IMAGE_CODING_* */
    uint8_t  own_bytes;            /* the head's own part, without the empty line that ends the head */
    uint8_t  key_bytes;            /* of the path in the card; 0: none */
    uint8_t  card[IMAGE_CARD_BYTES];  /* own part, path, body if it is that small; the rest is zero */
};

#define IMAGE_RESPONSE_CLOSE 1     /* the connection closes after this response */
#define IMAGE_RESPONSE_LARGE 4      /* the body is not in the image: body_offset is its number among the large ones */
#define IMAGE_RESPONSE_CARE 2      /* its resource says what else there is to decide */

enum image_coding { IMAGE_CODING_IDENTITY, IMAGE_CODING_GZIP, IMAGE_CODING_BR, IMAGE_CODING_ZSTD };

/* What a path answers where that is more than one response for everybody. */
struct image_resource {
    uint32_t first;                /* response of the first representation, identity if there is one */
    uint32_t count;                /* representations, one response after another */
    uint32_t area;                 /* number of the area it belongs to, or IMAGE_NONE */
    uint32_t bare;                 /* response without Location, for one that is made; or IMAGE_NONE */
    uint32_t location_offset;      /* into the texts section: what the request's query is appended to */
    uint32_t location_bytes;
    uint32_t reserved[2];
};

/* A redirect or rewrite. Programs lie in the texts section: octet op, 16-bit number, see IMAGE_OP_*. */
struct image_rule {
    uint32_t pattern_offset;
    uint32_t pattern_bytes;
    uint32_t target_offset;
    uint32_t target_bytes;
    uint32_t query_offset;
    uint32_t query_bytes;
    uint32_t answer;               /* redirect: response without Location; else the response, or IMAGE_NONE:
                                      what lies at the path that the target makes */
    uint16_t status;
    uint16_t flags;                /* IMAGE_RULE_* */
};

#define IMAGE_RULE_FORCED 1
#define IMAGE_RULE_KEEPS_QUERY 2
#define IMAGE_RULE_REDIRECT 4

#define IMAGE_CAPTURES_MOST 16
enum image_op {
    IMAGE_OP_TEXT = 1,             /* as many octets follow */
    IMAGE_OP_SEGMENT = 2,          /* caught under this number: at least one octet, no slash */
    IMAGE_OP_STAR = 3,             /* caught: any octets; then at most one IMAGE_OP_TEXT, to the end */
    IMAGE_OP_PATH = 4,             /* what was caught, percent-encoded for a path */
    IMAGE_OP_QUERY = 5,            /* likewise for a query */
    IMAGE_OP_RAW = 6,              /* likewise as it is */
    IMAGE_OP_PARAMETER = 7         /* as many octets of a name follow; then IMAGE_OP_TEXT or _SEGMENT: its value */
};

/* A part of a host that asks for credentials. */
struct image_area {
    uint32_t response;             /* 401 */
    uint32_t digests_offset;       /* into the texts section: SHA-256 of salt, name, colon, password */
    uint32_t digests_count;
    uint32_t reserved;
    uint8_t  salt[16];
};

/* Which other origins may read (CORS). Lines: first the one for any origin, or for one not allowed; then
 * for each allowed origin the origin itself and its line. */
struct image_policy {
    uint32_t preflight;            /* response */
    uint32_t lines_first;
    uint32_t origins;
    uint32_t any;                  /* 1: every origin is allowed */
};

/* Field lines that go behind a head, with their CRLF; or an origin to compare with. */
struct image_line {
    uint32_t offset;               /* into the texts section */
    uint32_t bytes;
};

#define IMAGE_LINES_MOST 4096
#define IMAGE_LINE_BYTES_MOST 1024

/* A virtual host. 128 bytes. */
struct image_host {
    uint32_t slots_first;          /* its index within the slots section */
    uint32_t slots_count;          /* a power of two */
    uint32_t features;             /* IMAGE_HOST_*; 0: a path's response is the answer */
    uint32_t depth;                /* most folders in a key for folders; the root alone is 0 */
    uint32_t rules_first;
    uint32_t rules_count;
    uint32_t pages;                /* bit n: error slot n has pages by folder */
    uint32_t reserved;
    uint32_t errors[IMAGE_ERROR_SLOTS];  /* response by error slot, see IMAGE_ERROR_* */
};

#define IMAGE_HOST_RULES 1
#define IMAGE_HOST_FORCED 2        /* some of them come before what the path has */
#define IMAGE_HOST_AREAS 4
#define IMAGE_HOST_POLICIES 8

struct image_header {
    uint8_t  magic[8];
    uint32_t version;
    uint32_t header_bytes;         /* sizeof(struct image_header) */
    uint64_t image_bytes;          /* of the whole file */
    uint64_t checksum;             /* image_checksum() of header and content, this field being 0 */
    uint64_t slots_offset;
    uint64_t slots_count;          /* of all indexes together */
    uint64_t paths_offset;
    uint64_t paths_bytes;
    uint64_t hosts_offset;
    uint64_t hosts_count;
    uint64_t resources_offset;
    uint64_t resources_count;
    uint64_t rules_offset;
    uint64_t rules_count;
    uint64_t areas_offset;
    uint64_t areas_count;
    uint64_t policies_offset;
    uint64_t policies_count;
    uint64_t lines_offset;
    uint64_t lines_count;
    uint64_t texts_offset;
    uint64_t texts_bytes;
    uint64_t responses_offset;
    uint64_t responses_count;
    uint64_t heads_offset;
    uint64_t heads_bytes;
    uint64_t sums_offset;
    uint64_t sums_count;           /* uint16_t each */
    uint64_t bodies_offset;
    uint64_t bodies_bytes;
    uint32_t max_probe;            /* longest probe sequence of any key present, in slots */
    uint32_t files;                /* how many files of the document root are in here; for people */
    uint32_t names_first;          /* the index of the hosts' names within the slots section */
    uint32_t names_count;          /* its slots, a power of two; 0: no host has a name */
    uint32_t default_host;         /* for every name that is no host's, or IMAGE_NONE */
    uint32_t reserved[7];
    uint32_t errors[IMAGE_ERROR_SLOTS];  /* of requests that belong to no host */
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
    IMAGE_ERROR_406 = 14,
    IMAGE_ERROR_421 = 15,
    IMAGE_ERROR_COUNT = 16
};

_Static_assert(sizeof(struct image_slot) == 16, "image_slot");
_Static_assert(sizeof(struct image_response) == 256, "image_response");
_Static_assert(sizeof(struct image_resource) == 32, "image_resource");
_Static_assert(sizeof(struct image_rule) == 32, "image_rule");
_Static_assert(sizeof(struct image_area) == 32, "image_area");
_Static_assert(sizeof(struct image_policy) == 16, "image_policy");
_Static_assert(sizeof(struct image_line) == 8, "image_line");
_Static_assert(sizeof(struct image_host) == 128, "image_host");
_Static_assert(sizeof(struct image_header) == 384, "image_header");
_Static_assert(offsetof(struct image_response, card) == 48, "image_response.card");
_Static_assert(IMAGE_LINE_SLOTS * sizeof(struct image_slot) == IMAGE_ALIGN, "a line of slots");
_Static_assert(offsetof(struct image_header, errors) == 288, "image_header.errors");
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

/* Over a header, its checksum taken for 0, and over all that follows it. */
static inline uint64_t image_checksum(const uint8_t *header, const uint8_t *content, uint64_t bytes)
{
    struct image_header clear;
    __builtin_memcpy(&clear, header, sizeof clear);
    clear.checksum = 0;
    return image_mix(image_hash((const uint8_t *)&clear, sizeof clear), image_hash(content, bytes));
}

#endif
