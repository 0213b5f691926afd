/* Files that the coverage-guided fuzzer reads when it starts: whole, in memory of exactly their size. */
#ifndef BYPASS_ABI_FUZZ_FILES_H
#define BYPASS_ABI_FUZZ_FILES_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The value of the argument `--name=value`, or NULL. libFuzzer leaves arguments that begin with -- alone. */
static inline const char *fuzz_argument(int count, char **arguments, const char *name)
{
    size_t length = strlen(name);
    for (int i = 1; i < count; i++)
        if (strncmp(arguments[i], name, length) == 0 && arguments[i][length] == '=')
            return arguments[i] + length + 1;
    return NULL;
}

/* The file `name` of `folder`, at a multiple of 64; ends the process when it cannot be read. */
static inline uint8_t *fuzz_file(const char *folder, const char *name, uint32_t *bytes)
{
    char path[4096];
    void *octets = NULL;
    snprintf(path, sizeof path, "%s/%s", folder ? folder : ".", name);
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0) {
        perror(path);
        exit(1);
    }
    *bytes = (uint32_t)ftell(file);
    rewind(file);
    if (posix_memalign(&octets, 64, *bytes ? *bytes : 1) != 0 || fread(octets, 1, *bytes, file) != *bytes) {
        perror(path);
        exit(1);
    }
    fclose(file);
    return octets;
}

#endif
