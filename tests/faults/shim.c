/*
 * Preloaded into a sluice under test (LD_PRELOAD). It counts the calls by which a process leaves a
 * trace outside of itself, and at the n-th of them ends the process, tears the write or reports a
 * failure. It moves the clocks, and it keeps a copy of each file as it was at its last sync,
 * which is what a power loss leaves.
 *
 * The test writes its wishes into a file that both map (SHIM_CONTROL): struct control. No wish, no
 * difference.
 */
#undef _FILE_OFFSET_BITS /* both pwrite and pwrite64 are defined here; off_t has 64 bits anyway */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define VISIBLE __attribute__((visibility("default")))

enum call_class {
    CLASS_WRITE = 1,     /* to a regular file, not to the log */
    CLASS_SYNC = 2,      /* fsync, fdatasync */
    CLASS_SEND = 4,      /* to a socket that this process connected */
    CLASS_NAME = 8,      /* rename, unlink */
    CLASS_TRUNCATE = 16, /* ftruncate */
};

enum fault {
    FAULT_NONE,
    FAULT_KILL_BEFORE, /* the call does not happen */
    FAULT_KILL_AFTER,  /* it happens, nobody learns of it */
    FAULT_TORN,        /* half of the bytes, then the end */
    FAULT_EIO,
    FAULT_ENOSPC,
    FAULT_SHORT, /* half of the bytes, and that is what the caller is told */
    FAULT_STOP,  /* SIGSTOP before the call */
};

/* As faults_rig.py has it: all 8 bytes each. */
struct control {
    _Atomic int64_t clock_ns; /* added to the wall clock */
    _Atomic int64_t fault;
    _Atomic int64_t classes;
    _Atomic int64_t at;      /* the n-th call from now on, 1 the next */
    _Atomic int64_t n_calls; /* of these classes since armed */
    _Atomic int64_t n_hits;
    _Atomic int64_t is_sticky; /* every call from the n-th on */
    _Atomic int64_t mono_ns;   /* added to the monotonic clock; it may only grow */
};

enum { MAX_FD = 4096, SLICE_MS = 50 };

static struct control *control;
static const char *shadow; /* directory of the copies, NULL: none */
static _Atomic bool is_connected[MAX_FD];

/* The C library's own function of that name. */
#define REAL(name, type) ((type)real(#name))

static void *real(const char *name)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL) {
        _exit(99);
    }
    return found;
}

typedef ssize_t write_fn(int, const void *, size_t);
typedef ssize_t pwrite_fn(int, const void *, size_t, off_t);
typedef ssize_t writev_fn(int, const struct iovec *, int);
typedef ssize_t send_fn(int, const void *, size_t, int);
typedef ssize_t sendmsg_fn(int, const struct msghdr *, int);
typedef ssize_t sendto_fn(int, const void *, size_t, int, const struct sockaddr *, socklen_t);
typedef int fd_fn(int);
typedef int truncate_fn(int, off_t);
typedef int unlink_fn(const char *);
typedef int rename_fn(const char *, const char *);
typedef int connect_fn(int, const struct sockaddr *, socklen_t);
typedef int poll_fn(struct pollfd *, nfds_t, int);
typedef int clock_fn(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("SHIM_CONTROL");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        return;
    }
    void *page = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)REAL(close, fd_fn *)(fd); /* nothing was written */
    shadow = getenv("SHIM_SHADOW");
    control = page == MAP_FAILED ? NULL : page;
}

/* Nothing runs after this, no handler and no other thread. */
static void end_now(void)
{
    (void)kill(getpid(), SIGKILL);
    for (;;) {
        (void)pause();
    }
}

/* The fault that hits this call. Looked at once: who is counted as hit is hit, also if disarmed now. */
static enum fault hit(enum call_class class)
{
    enum fault fault = control == NULL ? FAULT_NONE : (enum fault)control->fault;
    if (fault == FAULT_NONE || (control->classes & class) == 0) {
        return FAULT_NONE;
    }
    int64_t number = atomic_fetch_add(&control->n_calls, 1) + 1;
    if (number != control->at && !(control->is_sticky && number > control->at)) {
        return FAULT_NONE;
    }
    atomic_fetch_add(&control->n_hits, 1);
    if (fault == FAULT_KILL_BEFORE) {
        end_now();
    }
    if (fault == FAULT_STOP) {
        (void)kill(getpid(), SIGSTOP);
    }
    return fault;
}

static bool has_failed(enum fault fault)
{
    if (fault != FAULT_EIO && fault != FAULT_ENOSPC) {
        return false;
    }
    errno = fault == FAULT_EIO ? EIO : ENOSPC;
    return true;
}

static size_t cut(enum fault fault, size_t n)
{
    return fault == FAULT_TORN || fault == FAULT_SHORT ? n / 2 : n;
}

static void after(enum fault fault)
{
    if (fault == FAULT_KILL_AFTER || fault == FAULT_TORN) {
        end_now();
    }
}

/* 0: of no interest. */
static enum call_class class_of(int fd)
{
    struct stat st;
    if (fd <= STDERR_FILENO || fstat(fd, &st) != 0) {
        return (enum call_class)0;
    }
    if (S_ISSOCK(st.st_mode)) {
        return fd < MAX_FD && is_connected[fd] ? CLASS_SEND : (enum call_class)0;
    }
    return S_ISREG(st.st_mode) ? CLASS_WRITE : (enum call_class)0;
}

/* --- writes and sends --- */

VISIBLE ssize_t write(int fd, const void *p, size_t n)
{
    enum call_class class = class_of(fd);
    enum fault fault = class == 0 ? FAULT_NONE : hit(class);
    if (has_failed(fault)) {
        return -1;
    }
    ssize_t done = REAL(write, write_fn *)(fd, p, cut(fault, n));
    after(fault);
    return done;
}

static ssize_t write_at(const char *name, int fd, const void *p, size_t n, off_t at)
{
    enum fault fault = hit(CLASS_WRITE);
    if (has_failed(fault)) {
        return -1;
    }
    ssize_t done = ((pwrite_fn *)real(name))(fd, p, cut(fault, n), at);
    after(fault);
    return done;
}

VISIBLE ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    return write_at("pwrite", fd, p, n, at);
}

VISIBLE ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
    return write_at("pwrite64", fd, p, n, at);
}

VISIBLE ssize_t writev(int fd, const struct iovec *parts, int n)
{
    enum call_class class = class_of(fd);
    enum fault fault = class == 0 ? FAULT_NONE : hit(class);
    if (has_failed(fault)) {
        return -1;
    }
    if (fault == FAULT_TORN || fault == FAULT_SHORT) {
        ssize_t done = REAL(write, write_fn *)(fd, parts[0].iov_base, parts[0].iov_len / 2);
        after(fault);
        return done;
    }
    ssize_t done = REAL(writev, writev_fn *)(fd, parts, n);
    after(fault);
    return done;
}

/* A socket that fails is a link that was cut. */
static bool is_link_lost(enum fault fault)
{
    if (fault != FAULT_EIO && fault != FAULT_ENOSPC) {
        return false;
    }
    errno = ECONNRESET;
    return true;
}

VISIBLE ssize_t send(int fd, const void *p, size_t n, int flags)
{
    enum fault fault = class_of(fd) == CLASS_SEND ? hit(CLASS_SEND) : FAULT_NONE;
    if (is_link_lost(fault)) {
        return -1;
    }
    ssize_t done = REAL(send, send_fn *)(fd, p, cut(fault, n), flags);
    after(fault);
    return done;
}

VISIBLE ssize_t sendto(int fd, const void *p, size_t n, int flags, const struct sockaddr *to,
                       socklen_t to_len)
{
    enum fault fault = class_of(fd) == CLASS_SEND ? hit(CLASS_SEND) : FAULT_NONE;
    if (is_link_lost(fault)) {
        return -1;
    }
    ssize_t done = REAL(sendto, sendto_fn *)(fd, p, cut(fault, n), flags, to, to_len);
    after(fault);
    return done;
}

VISIBLE ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    enum fault fault = class_of(fd) == CLASS_SEND ? hit(CLASS_SEND) : FAULT_NONE;
    if (is_link_lost(fault)) {
        return -1;
    }
    ssize_t done = REAL(sendmsg, sendmsg_fn *)(fd, message, flags);
    after(fault);
    return done;
}

VISIBLE int connect(int fd, const struct sockaddr *to, socklen_t n)
{
    if (fd >= 0 && fd < MAX_FD) {
        is_connected[fd] = to->sa_family == AF_INET || to->sa_family == AF_INET6;
    }
    return REAL(connect, connect_fn *)(fd, to, n);
}

VISIBLE int close(int fd)
{
    if (fd >= 0 && fd < MAX_FD) {
        is_connected[fd] = false;
    }
    return REAL(close, fd_fn *)(fd);
}

/* --- what is durable --- */

/*
 * The file as it is now goes into the directory of copies, under its own name: whole or not at all,
 * since a SIGKILL from outside may end us right here.
 */
static void keep_copy(int fd)
{
    static _Atomic unsigned n_copies;
    char link[64];
    char path[PATH_MAX];
    char copy[2 * PATH_MAX];
    char part[2 * PATH_MAX + 32];
    char bytes[65536];
    struct stat st;
    if (control == NULL || shadow == NULL || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) ||
        (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDWR) {
        return; /* the store's files are open for both; the key is written once, and stays */
    }
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof(path) - 1);
    if (n <= 0) {
        return;
    }
    path[n] = '\0';
    const char *name = strrchr(path, '/');
    (void)snprintf(copy, sizeof(copy), "%s/%s", shadow, name == NULL ? path : name + 1);
    (void)snprintf(part, sizeof(part), "%s.part%u", copy, atomic_fetch_add(&n_copies, 1));
    int out = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool is_whole = false;
    for (off_t at = 0; out >= 0; at += n) {
        n = pread(fd, bytes, sizeof(bytes), at);
        is_whole = n == 0;
        if (n <= 0 || REAL(write, write_fn *)(out, bytes, (size_t)n) != n) {
            break;
        }
    }
    if (out >= 0) {
        (void)REAL(close, fd_fn *)(out);
    }
    if (!is_whole || REAL(rename, rename_fn *)(part, copy) != 0) {
        static const char text[] = "faultshim: a synced file could not be copied\n";
        (void)REAL(write, write_fn *)(STDERR_FILENO, text, sizeof(text) - 1);
        _exit(98); /* without the copy the test would prove nothing */
    }
}

static int sync_by(const char *name, int fd)
{
    enum fault fault = hit(CLASS_SYNC);
    if (has_failed(fault)) {
        return -1;
    }
    if (fault == FAULT_TORN) {
        end_now();
    }
    int rc = ((fd_fn *)real(name))(fd);
    keep_copy(fd);
    after(fault);
    return rc;
}

VISIBLE int fsync(int fd)
{
    return sync_by("fsync", fd);
}

VISIBLE int fdatasync(int fd)
{
    return sync_by("fdatasync", fd);
}

static int truncate_by(const char *name, int fd, off_t n)
{
    enum fault fault = hit(CLASS_TRUNCATE);
    if (has_failed(fault)) {
        return -1;
    }
    int rc = ((truncate_fn *)real(name))(fd, n);
    after(fault);
    return rc;
}

VISIBLE int ftruncate(int fd, off_t n)
{
    return truncate_by("ftruncate", fd, n);
}

VISIBLE int ftruncate64(int fd, off64_t n)
{
    return truncate_by("ftruncate64", fd, n);
}

VISIBLE int unlink(const char *path)
{
    enum fault fault = hit(CLASS_NAME);
    if (has_failed(fault)) {
        return -1;
    }
    int rc = REAL(unlink, unlink_fn *)(path);
    after(fault);
    return rc;
}

VISIBLE int rename(const char *from, const char *to)
{
    enum fault fault = hit(CLASS_NAME);
    if (has_failed(fault)) {
        return -1;
    }
    int rc = REAL(rename, rename_fn *)(from, to);
    after(fault);
    return rc;
}

/* --- the clocks --- */

static int64_t shift(clockid_t id)
{
    if (control == NULL) {
        return 0;
    }
    if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE) {
        return control->clock_ns;
    }
    return id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_COARSE ? control->mono_ns : 0;
}

VISIBLE int clock_gettime(clockid_t id, struct timespec *ret)
{
    int rc = REAL(clock_gettime, clock_fn *)(id, ret);
    int64_t by = shift(id);
    if (rc == 0 && by != 0) {
        int64_t ns = (int64_t)ret->tv_sec * 1000000000 + ret->tv_nsec + by;
        ret->tv_sec = (time_t)(ns / 1000000000);
        ret->tv_nsec = (long)(ns % 1000000000);
    }
    return rc;
}

/* A wait is over when its time has passed by that clock, too. */
VISIBLE int poll(struct pollfd *fds, nfds_t n, int timeout_ms)
{
    int64_t before = shift(CLOCK_MONOTONIC);
    int64_t left_ms = timeout_ms;
    poll_fn *wait = REAL(poll, poll_fn *);
    while (control != NULL && left_ms > SLICE_MS) {
        int found = wait(fds, n, SLICE_MS);
        if (found != 0) {
            return found;
        }
        int64_t now = shift(CLOCK_MONOTONIC);
        left_ms -= SLICE_MS + (now - before) / 1000000;
        before = now;
    }
    return wait(fds, n, control != NULL && timeout_ms >= 0 && left_ms < 0 ? 0 : (int)left_ms);
}

VISIBLE time_t time(time_t *ret)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail with this clock */
    if (ret != NULL) {
        *ret = now.tv_sec;
    }
    return now.tv_sec;
}

VISIBLE int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail with this clock */
    ret->tv_sec = now.tv_sec;
    ret->tv_usec = now.tv_nsec / 1000;
    return 0;
}
