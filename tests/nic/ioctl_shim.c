/* LD_PRELOAD for ethtool: a driver with flow rules in the place of the kernel.

   Rules lie in the file $RULES, one struct ethtool_rxnfc behind the other, as ethtool sent them. The table has
   $SLOTS places. Other requests go to the kernel. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST 64

static struct ethtool_rxnfc rules[MOST];
static unsigned count;

static void load(void) {
    FILE *file = fopen(getenv("RULES"), "rb");
    count = file ? fread(rules, sizeof *rules, MOST, file) : 0;
    if (file) fclose(file);
}

static void save(void) {
    FILE *file = fopen(getenv("RULES"), "wb");
    fwrite(rules, sizeof *rules, count, file);
    fclose(file);
}

static int find(unsigned location) {
    for (unsigned n = 0; n < count; n++)
        if (rules[n].fs.location == location) return (int)n;
    errno = ENOENT;
    return -1;
}

static int answer(struct ethtool_rxnfc *request) {
    unsigned slots = (unsigned)atoi(getenv("SLOTS"));
    int place;
    load();
    switch (request->cmd) {
    case ETHTOOL_GRXCLSRLCNT:
        request->rule_cnt = count;
        request->data = slots;
        return 0;
    case ETHTOOL_GRXCLSRLALL:
        for (unsigned n = 0; n < count; n++) request->rule_locs[n] = rules[n].fs.location;
        request->data = slots;
        return 0;
    case ETHTOOL_GRXCLSRULE:
        if ((place = find(request->fs.location)) < 0) return -1;
        request->fs = rules[place].fs;
        return 0;
    case ETHTOOL_SRXCLSRLINS:
        if (count == MOST || request->fs.location >= slots) { errno = EINVAL; return -1; }
        rules[count++] = *request;
        save();
        return 0;
    case ETHTOOL_SRXCLSRLDEL:
        if ((place = find(request->fs.location)) < 0) return -1;
        memmove(&rules[place], &rules[place + 1], (--count - (unsigned)place) * sizeof *rules);
        save();
        return 0;
    case ETHTOOL_GRXRINGS:
        request->data = 8;
        return 0;
    }
    errno = EOPNOTSUPP;
    return -1;
}

int ioctl(int fd, unsigned long request, ...) {
    va_list arguments;
    va_start(arguments, request);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    if (request == SIOCETHTOOL) {
        struct ethtool_rxnfc *data = (void *)((struct ifreq *)argument)->ifr_data;
        switch (data->cmd) {
        case ETHTOOL_GRXCLSRLCNT: case ETHTOOL_GRXCLSRLALL: case ETHTOOL_GRXCLSRULE:
        case ETHTOOL_SRXCLSRLINS: case ETHTOOL_SRXCLSRLDEL: case ETHTOOL_GRXRINGS:
            return answer(data);
        }
    }
    int (*real)(int, unsigned long, ...) = (int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl");
    return real(fd, request, argument);
}
