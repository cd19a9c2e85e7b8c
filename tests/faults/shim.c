/* Counts what a process writes below a folder, and lets one of these calls fail: preloaded by the tests.
 *
 * Until fault_arm is called nothing is counted. The n-th call (from 0) fails with an error number, or the process
 * is killed there, in the middle of what it writes. A full disk stays full.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static char root[PATH_MAX];
static size_t length;
static long calls, at;
static int armed, number; /* number: an error number, or 0 for a kill */

void fault_arm(const char *folder, long nth, int error) {
    strncpy(root, folder, PATH_MAX - 1);
    length = strlen(root);
    calls = 0;
    at = nth;
    number = error;
    armed = 1;
}

long fault_calls(void) { return calls; }

static int below(const char *path) { return armed && length && strncmp(path, root, length) == 0; }

static int open_below(int descriptor) {
    char link[64], path[PATH_MAX];
    if (!armed) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t size = readlink(link, path, PATH_MAX - 1);
    if (size < 0) return 0;
    path[size] = 0;
    return below(path);
}

/* Whether this call is to fail; the process does not come back from a kill, except to write a part first. */
static int due(int partial) {
    long mine = calls++;
    if (number == ENOSPC ? mine < at : mine != at) return 0;
    if (number) { errno = number; return 1; }
    if (partial) return 1;
    kill(getpid(), SIGKILL);
    return 0;
}

#define NEXT(type, name) ((type)dlsym(RTLD_NEXT, #name))

#define WRITER(name, parameters, arguments_of, descriptor, count)                                   \
    ssize_t name parameters {                                                                       \
        static ssize_t(*next) parameters;                                                           \
        if (!next) next = NEXT(ssize_t(*) parameters, name);                                        \
        if (open_below(descriptor) && due(1)) {                                                     \
            if (number) return -1;                                                                  \
            size_t half = count / 2;                                                                \
            count = half;                                                                           \
            if (half) next arguments_of;                                                            \
            kill(getpid(), SIGKILL);                                                                \
        }                                                                                           \
        return next arguments_of;                                                                   \
    }

WRITER(write, (int fd, const void *data, size_t size), (fd, data, size), fd, size)
WRITER(pwrite, (int fd, const void *data, size_t size, off_t place), (fd, data, size, place), fd, size)
WRITER(pwrite64, (int fd, const void *data, size_t size, off64_t place), (fd, data, size, place), fd, size)

#define CALL(name, parameters, arguments_of, concerned)                                             \
    int name parameters {                                                                           \
        static int(*next) parameters;                                                               \
        if (!next) next = NEXT(int(*) parameters, name);                                            \
        if (concerned && due(0)) return -1;                                                         \
        return next arguments_of;                                                                   \
    }

CALL(fsync, (int fd), (fd), open_below(fd))
CALL(fdatasync, (int fd), (fd), open_below(fd))
CALL(ftruncate, (int fd, off_t size), (fd, size), open_below(fd))
CALL(ftruncate64, (int fd, off64_t size), (fd, size), open_below(fd))
CALL(rename, (const char *from, const char *to), (from, to), below(to))
CALL(unlink, (const char *path), (path), number != ENOSPC && below(path))

#define OPENER(name)                                                                                \
    int name(const char *path, int flags, ...) {                                                    \
        static int (*next)(const char *, int, ...);                                                 \
        va_list rest;                                                                               \
        va_start(rest, flags);                                                                      \
        int mode = va_arg(rest, int);                                                               \
        va_end(rest);                                                                               \
        if (!next) next = NEXT(int (*)(const char *, int, ...), name);                              \
        if ((flags & O_CREAT) && below(path) && due(0)) return -1;                                  \
        return next(path, flags, mode);                                                             \
    }

OPENER(open)
OPENER(open64)
