/*
 * Gives the program under test another time: preloaded, it lets seconds pass LANDFALL_TEST_PACE times as fast, and sets the
 * wall clock LANDFALL_TEST_AHEAD seconds ahead (or back). Waits for retries and timeouts then take their course in no
 * time, without a switch for tests in the program itself.
 *
 * Only what the program uses is replaced: clock_gettime, and the timeout of epoll_wait, in which its runtime sleeps.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>

static int (*real_clock)(clockid_t, struct timespec *);
static int (*real_wait)(int, struct epoll_event *, int, int);
static long long pace = 1, ahead = 0, start = 0;

static long long nanoseconds(const struct timespec *at) { return at->tv_sec * 1000000000LL + at->tv_nsec; }

static long long number(const char *name, long long otherwise) {
    const char *given = getenv(name);
    return given ? atoll(given) : otherwise;
}

__attribute__((constructor)) static void begin(void) {
    struct timespec now;
    real_clock = dlsym(RTLD_NEXT, "clock_gettime");
    real_wait = dlsym(RTLD_NEXT, "epoll_wait");
    pace = number("LANDFALL_TEST_PACE", 1);
    ahead = number("LANDFALL_TEST_AHEAD", 0);
    real_clock(CLOCK_MONOTONIC, &now);
    start = nanoseconds(&now);
}

int clock_gettime(clockid_t clock, struct timespec *at) {
    if (!real_clock) real_clock = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real_clock(clock, at);
    if (result == 0 && clock == CLOCK_REALTIME) at->tv_sec += ahead;
    if (result == 0 && clock == CLOCK_MONOTONIC && start) {
        long long now = start + (nanoseconds(at) - start) * pace;
        at->tv_sec = now / 1000000000LL;
        at->tv_nsec = now % 1000000000LL;
    }
    return result;
}

int epoll_wait(int epoll, struct epoll_event *events, int room, int timeout) {
    if (timeout > 0) timeout = (timeout + pace - 1) / pace;
    return real_wait(epoll, events, room, timeout);
}
