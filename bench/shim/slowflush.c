/* Makes every flush slower, as on a cheap disk: preloaded into a server, it waits before each real flush.
 *
 * BENCH_FLUSH_MS says how long, in milliseconds. The flush itself still happens: nothing here makes a commit
 * weaker. It changes nothing but time.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void wait_first(void) {
    static double ms = -1;
    struct timespec pause;
    if (ms < 0) {
        const char *text = getenv("BENCH_FLUSH_MS");
        ms = text ? atof(text) : 0;
    }
    if (ms <= 0)
        return;
    pause.tv_sec = (time_t)(ms / 1000);
    pause.tv_nsec = (long)((ms - (double)pause.tv_sec * 1000) * 1e6);
    nanosleep(&pause, NULL);
}

int fsync(int fd) {
    static int (*real)(int);
    if (!real)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    wait_first();
    return real(fd);
}

int fdatasync(int fd) {
    static int (*real)(int);
    if (!real)
        real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    wait_first();
    return real(fd);
}

int sync_file_range(int fd, off64_t offset, off64_t length, unsigned int flags) {
    static int (*real)(int, off64_t, off64_t, unsigned int);
    if (!real)
        real = (int (*)(int, off64_t, off64_t, unsigned int))dlsym(RTLD_NEXT, "sync_file_range");
    wait_first();
    return real(fd, offset, length, flags);
}
