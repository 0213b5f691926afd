/* Who owns a frame, checked in BYPASS_DEBUG builds and free of cost otherwise.
 *
 * The states are those of base/frame.pxd as user space can observe them: a frame in the kernel's RX
 * ring still counts as FILL, one in the completion ring as TX, until we take it out.
 */
#ifndef BYPASS_ABI_OWNERSHIP_H
#define BYPASS_ABI_OWNERSHIP_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum frame_owner {
    OWNER_FREE = 1,                /* in its pool */
    OWNER_FILL = 2,                /* lent to the kernel to receive into */
    OWNER_APP = 4,                 /* with the worker: received, or drawn from the pool */
    OWNER_TX = 8                   /* submitted, not yet back */
};

#ifdef BYPASS_DEBUG

static inline const char *ownership_name(uint8_t owner)
{
    switch (owner) {
    case OWNER_FREE: return "FREE";
    case OWNER_FILL: return "FILL";
    case OWNER_APP: return "APP";
    case OWNER_TX: return "TX";
    default: return "none";
    }
}

/* Moves frame `index` to `next`; aborts when it is not in one of the states of the mask `from`. */
static inline void ownership_move(uint8_t *owners, uint32_t index, uint8_t from, uint8_t next)
{
    if (!(owners[index] & from)) {
        fprintf(stderr, "bypass: frame %u cannot become %s: it is %s\n", (unsigned)index,
                ownership_name(next), ownership_name(owners[index]));
        abort();
    }
    owners[index] = next;
}

/* Aborts when frame `index` is submitted with octets that are not its own. */
static inline void ownership_bounds(uint32_t index, int inside)
{
    if (!inside) {
        fprintf(stderr, "bypass: frame %u was submitted with octets outside of it\n", (unsigned)index);
        abort();
    }
}

enum { OWNERSHIP_CHECKED = 1 };

#else

static inline void ownership_move(uint8_t *owners, uint32_t index, uint8_t from, uint8_t next)
{
    (void)owners; (void)index; (void)from; (void)next;
}

static inline void ownership_bounds(uint32_t index, int inside) { (void)index; (void)inside; }

enum { OWNERSHIP_CHECKED = 0 };

#endif
#endif
