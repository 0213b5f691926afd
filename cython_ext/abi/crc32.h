/* CRC-32 as in RFC 1952 8, eight octets at a time. */
#ifndef BYPASS_ABI_CRC32_H
#define BYPASS_ABI_CRC32_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static uint32_t crc32_table[8][256];

static void crc32_prepare(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
        crc32_table[0][i] = crc;
    }
    for (uint32_t i = 0; i < 256; i++)
        for (int k = 1; k < 8; k++)
            crc32_table[k][i] = crc32_table[k - 1][i] >> 8 ^ crc32_table[0][crc32_table[k - 1][i] & 255];
}

static inline uint32_t crc32_update(uint32_t crc, const uint8_t *octets, size_t count)
{
    if (!crc32_table[0][1])
        crc32_prepare();
    crc = ~crc;
    while (count >= 8) {
        uint32_t low = (uint32_t)octets[0] | (uint32_t)octets[1] << 8 | (uint32_t)octets[2] << 16
            | (uint32_t)octets[3] << 24;
        low ^= crc;
        crc = crc32_table[7][low & 255] ^ crc32_table[6][low >> 8 & 255] ^ crc32_table[5][low >> 16 & 255]
            ^ crc32_table[4][low >> 24] ^ crc32_table[3][octets[4]] ^ crc32_table[2][octets[5]]
            ^ crc32_table[1][octets[6]] ^ crc32_table[0][octets[7]];
        octets += 8;
        count -= 8;
    }
    while (count--)
        crc = crc >> 8 ^ crc32_table[0][(crc ^ *octets++) & 255];
    return ~crc;
}

#endif
