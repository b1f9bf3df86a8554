#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/span.h"
#include "scheduler/store_file.h"
#include "scheduler/store_schema.h"

enum {
    HEADER_SIZE = 100, /* of an SQLite file: sqlite.org/fileformat2.html section 1.3 */
    VERSION_AT = 60,
    ID_AT = 68,
    PID_SIZE = 21, /* "%-20lld\n": always as long, so that a full disk does not stop it */
};

enum file_kind { FILE_ABSENT, FILE_OURS }; /* an empty file counts as absent */

static uint32_t read_be32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool check_header(const char *path, int fd, struct err *err)
{
    static const char magic[16] = "SQLite format 3";
    unsigned char header[HEADER_SIZE];
    ssize_t n = pread(fd, header, sizeof(header), 0);
    if (n < 0) {
        return err_errno(err, errno, "store %s cannot be read", path);
    }
    if (n != HEADER_SIZE || memcmp(header, magic, sizeof(magic)) != 0) {
        return err_say(err,
                       "store %s is not an SQLite database (its first bytes are not \"%s\"); "
                       "nothing was changed in it, set store.url to another file",
                       path, magic);
    }
    return store_schema_check(path, read_be32(header + ID_AT),
                              (int32_t)read_be32(header + VERSION_AT), err);
}

static bool identify(const char *path, enum file_kind *ret, struct err *err)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        if (errno == ENOENT) {
            *ret = FILE_ABSENT;
            return true;
        }
        return err_errno(err, errno, "store %s cannot be looked at", path);
    }
    if (!S_ISREG(info.st_mode)) {
        return err_say(err,
                       "store %s is not a file%s; set store.url to a file in a directory "
                       "that exists",
                       path, S_ISDIR(info.st_mode) ? " but a directory" : "");
    }
    if (info.st_size == 0) {
        *ret = FILE_ABSENT;
        return true;
    }
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return err_errno(err, errno, "store %s cannot be opened", path);
    }
    *ret = FILE_OURS;
    return check_header(path, fd, err);
}

/* The absolute path of a file that need not exist, in a directory that must. NULL on failure. */
static char *resolve(const char *location, struct err *err)
{
    struct stat info;
    char *path = realpath(location, NULL);
    if (path != NULL || errno != ENOENT) {
        if (path == NULL) {
            (void)err_errno(err, errno, "store %s cannot be looked at", location);
        }
        return path;
    }
    if (lstat(location, &info) == 0) {
        (void)err_say(err, "store %s is a symbolic link that leads nowhere; is a disk missing?",
                      location);
        return NULL;
    }
    const char *slash = strrchr(location, '/');
    const char *name = slash != NULL ? slash + 1 : location;
    size_t n_dir = slash != NULL ? (size_t)(slash - location) + 1 : 0;
    _cleanup_free_ char *dir = n_dir > 0 ? xmemdup0(location, n_dir) : xstrdup(".");
    _cleanup_free_ char *real_dir = realpath(dir, NULL);
    if (real_dir == NULL) {
        (void)err_errno(err, errno, "store %s: its directory %s cannot be used; create it first",
                        location, dir);
        return NULL;
    }
    if (name[0] == '\0') {
        (void)err_say(err, "store %s: a file name must follow the directory", location);
        return NULL;
    }
    return xasprintf("%s/%s", strcmp(real_dir, "/") == 0 ? "" : real_dir, name);
}

static bool say_in_use(const char *path, int fd, struct err *err)
{
    char text[PID_SIZE];
    int64_t pid = 0;
    ssize_t n = pread(fd, text, sizeof(text), 0);
    struct span digits = {.p = text, .n = n > 0 ? (size_t)n : 0};
    /* Its owner may not have written the id yet. */
    if (!span_to_int64(span_trim(digits), 1, INT64_MAX, &pid)) {
        return err_say(err,
                       "store %s is in use by another process; stop that process or set store.url "
                       "to another file",
                       path);
    }
    return err_say(err,
                   "store %s is in use by process %lld; stop that process or set store.url to "
                   "another file",
                   path, (long long)pid);
}

/* Takes the lock of f->path; what is opened is f's, also after a failure. */
static bool lock(struct store_file *f, struct err *err)
{
    char text[PID_SIZE + 1];
    _cleanup_free_ char *name = xasprintf("%s.lock", f->path);
    f->lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (f->lock_fd < 0) {
        return err_errno(err, errno, "store %s: cannot open its lock file %s", f->path, name);
    }
    if (flock(f->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        return errno == EWOULDBLOCK
                   ? say_in_use(f->path, f->lock_fd, err)
                   : err_errno(err, errno, "store %s: cannot lock %s", f->path, name);
    }
    (void)snprintf(text, sizeof(text), "%-20lld\n", (long long)getpid()); /* fits */
    /* The lock is what counts; the id only makes the other's message better. */
    ssize_t ignored = pwrite(f->lock_fd, text, PID_SIZE, 0);
    (void)ignored;
    return true;
}

/* A log without its database would be applied to the new one, and wreck it. */
static bool refuse_leftovers(const char *path, struct err *err)
{
    static const char *const tails[] = {"-wal", "-journal"};
    for (size_t i = 0; i < ARRAY_SIZE(tails); i++) {
        struct stat info;
        _cleanup_free_ char *name = xasprintf("%s%s", path, tails[i]);
        if (stat(name, &info) == 0 && info.st_size > 0) {
            return err_say(err,
                           "store %s is missing or empty but its log %s is there; restore the "
                           "store, or remove the log to begin with an empty store",
                           path, name);
        }
    }
    return true;
}

static bool sync_directory_of(const char *path, struct err *err)
{
    const char *slash = strrchr(path, '/');
    assert(slash != NULL);
    _cleanup_free_ char *dir = xmemdup0(path, slash == path ? 1 : (size_t)(slash - path));
    _cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        return err_errno(err, errno, "store %s: cannot synchronise its directory", path);
    }
    return true;
}

static bool create_beside(const char *path, const char *name, struct err *err)
{
    _cleanup_free_ char *journal = xasprintf("%s-journal", name);
    (void)unlink(name); /* left behind by a crash, usually absent */
    (void)unlink(journal);
    int fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return err_errno(err, errno, "store %s: cannot create %s", path, name);
    }
    (void)close(fd); /* nothing was written */
    if (!store_schema_create(name, err)) {
        return false;
    }
    if (rename(name, path) != 0) {
        return err_errno(err, errno, "store %s: cannot rename %s to it", path, name);
    }
    return sync_directory_of(path, err);
}

/*
 * The file is made under another name and moved to its place when complete, so that whatever is
 * found in its place is a whole store or not ours.
 */
static bool create(const char *path, struct err *err)
{
    _cleanup_free_ char *name = xasprintf("%s.new", path);
    if (!refuse_leftovers(path, err)) {
        return false;
    }
    if (!create_beside(path, name, err)) {
        (void)unlink(name); /* absent when it was moved already */
        return false;
    }
    return true;
}

bool store_file_open(const char *location, struct store_file *ret, struct err *err)
{
    struct store_file f = {.lock_fd = -1};
    enum file_kind kind = FILE_ABSENT;
    if (location[0] == '\0') {
        return err_say(err, "store.url names no file; write sqlite:PATH");
    }
    f.path = resolve(location, err);
    /* Looked at twice: a file that is not ours gets no lock file beside it, and what was there
     * before the lock may have been replaced since. */
    if (f.path == NULL || !identify(f.path, &kind, err) || !lock(&f, err) ||
        !identify(f.path, &kind, err) || (kind == FILE_ABSENT && !create(f.path, err))) {
        store_file_close(&f);
        return false;
    }
    *ret = f;
    return true;
}

void store_file_close(struct store_file *f)
{
    close_p(&f->lock_fd);
    free(f->path);
    *f = (struct store_file){.lock_fd = -1};
}
