/* Makes every write of a store slow: preloaded into a gateway, it waits before each real one.
 *
 * A commit is then a matter of tens of milliseconds instead of one, and a kill at a random instant
 * falls into the middle of it nearly every time: between two pages of the log, or between an answer
 * and the write that should have come before it. SLOW_WRITE_US says how long, in microseconds. The
 * write itself still happens, in full and in its turn.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

typedef ssize_t (*write_at)(int, const void *, size_t, off64_t);

static void wait_first(void) {
    const char *text = getenv("SLOW_WRITE_US");
    struct timespec pause = {0, text ? atol(text) * 1000 : 0};
    nanosleep(&pause, NULL);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
    wait_first();
    return ((write_at)dlsym(RTLD_NEXT, "pwrite64"))(fd, bytes, count, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
    wait_first();
    return ((write_at)dlsym(RTLD_NEXT, "pwrite64"))(fd, bytes, count, offset);
}
