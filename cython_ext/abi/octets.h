/* Classes of octets, one bit each; tests/unit/test_octets.py holds them against the grammar. */
#ifndef BYPASS_ABI_OCTETS_H
#define BYPASS_ABI_OCTETS_H

#include <stdint.h>

#define OCTET_TOKEN 1     /* tchar, RFC 9110 5.6.2 */
#define OCTET_VALUE 2     /* HTAB SP VCHAR obs-text, RFC 9110 5.5 */
#define OCTET_TARGET 4    /* visible ASCII but '#': more than RFC 3986, as browsers send | ^ { } in queries */
#define OCTET_HOST 8      /* reg-name, IP literal, port: RFC 3986 3.2.2 */
#define OCTET_PLAIN 16    /* OCTET_TARGET but % ? # / . */

static const uint8_t octet_class[256] __attribute__((unused)) = {
     0,  0,  0,  0,  0,  0,  0,  0,  0,  2,  0,  0,  0,  0,  0,  0,
     0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
     2, 31, 22,  3, 31, 15, 31, 31, 30, 30, 31, 31, 30, 31, 15,  6,
    31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 30, 30, 22, 30, 22,  6,
    22, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31,
    31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 30, 22, 30, 23, 31,
    23, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31,
    31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 22, 23, 22, 31,  0,
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
     2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,  2,
};

#endif
