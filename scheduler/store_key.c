#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/xmalloc.h"
#include "scheduler/store_key.h"

enum { LARGEST_FILE = 8192, HASH_SIZE = 32 };

static const char HEADER[] = "Sluice store key, version 1";
static const char ADVICE[] =
    "# It decrypts the secrets of the jobs in the store. Keep it secret, and keep a copy: without\n"
    "# it the jobs are lost. The first key is the one in use, keys below it are old ones that are\n"
    "# still accepted. For a new key put a line of 64 hexadecimal digits (openssl rand -hex 32)\n"
    "# above the others and restart Sluice: it encrypts the store anew and logs store.rekeyed; "
    "then\n"
    "# the old line can go.\n";

void store_keys_fini(struct store_keys *keys)
{
    OPENSSL_cleanse(keys, sizeof(*keys));
}

char *store_key_list(const struct store_keys *keys)
{
    struct buf b = buf_with_max((size_t)STORE_KEYS_MAX * (STORE_KEY_ID_SIZE + 2));
    for (size_t i = 0; i < keys->n; i++) {
        buf_printf(&b, "%s%s", i > 0 ? ", " : "", keys->items[i].id);
    }
    return buf_take_text(&b);
}

/* --- reading ---------------------------------------------------------------------------------- */

static int digit_of(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_digits(struct span line, unsigned char ret[STORE_KEY_SIZE])
{
    if (line.n != (size_t)STORE_KEY_SIZE * 2) {
        return false;
    }
    for (size_t i = 0; i < STORE_KEY_SIZE; i++) {
        int high = digit_of(line.p[2 * i]);
        int low = digit_of(line.p[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        ret[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

/* The hash of a key tells nothing of the key. */
static bool set_id(struct store_key *key)
{
    static const char label[] = "sluice store key id";
    unsigned char hash[HASH_SIZE];
    unsigned char text[sizeof(label) + STORE_KEY_SIZE];
    memcpy(text, label, sizeof(label));
    memcpy(text + sizeof(label), key->bytes, STORE_KEY_SIZE);
    bool is_done = EVP_Digest(text, sizeof(text), hash, NULL, EVP_sha256(), NULL) == 1;
    OPENSSL_cleanse(text, sizeof(text));
    if (is_done) {
        (void)snprintf(key->id, sizeof(key->id), "%02x%02x%02x%02x", hash[0], hash[1], hash[2],
                       hash[3]); /* fits */
    }
    return is_done;
}

static struct span cut_line(struct span *rest)
{
    const char *end = memchr(rest->p, '\n', rest->n);
    size_t n = end != NULL ? (size_t)(end - rest->p) : rest->n;
    struct span line = {rest->p, n};
    n += end != NULL;
    *rest = (struct span){rest->p + n, rest->n - n};
    return span_trim(line);
}

static bool add_key(struct store_keys *keys, struct span line, int number, const char *path,
                    struct err *err)
{
    if (keys->n == STORE_KEYS_MAX) {
        return err_say(err,
                       "key file %s, line %d: it holds more than %d keys; remove old ones from "
                       "its end",
                       path, number, STORE_KEYS_MAX);
    }
    struct store_key *key = &keys->items[keys->n];
    if (!read_digits(line, key->bytes)) {
        return err_say(err,
                       "key file %s, line %d is not a key (64 hexadecimal digits); restore the "
                       "file from a copy",
                       path, number);
    }
    keys->n++;
    return set_id(key) ||
           err_say(err, "key file %s: the cryptographic library computes no SHA-256", path);
}

static bool parse(struct span text, const char *path, struct store_keys *keys, struct err *err)
{
    int number = 1;
    struct span line = text.n > 0 ? cut_line(&text) : text;
    if (!span_eq_text(line, HEADER)) {
        return err_say(err,
                       "%s is not a key file of a store (its first line is not \"%s\"); nothing "
                       "was changed in it, set store.key_file to the store's key file",
                       path, HEADER);
    }
    while (text.n > 0) {
        number++;
        line = cut_line(&text);
        if (line.n > 0 && line.p[0] != '#' && !add_key(keys, line, number, path, err)) {
            return false;
        }
    }
    return keys->n > 0 ||
           err_say(err, "key file %s holds no key; restore the file from a copy", path);
}

bool store_key_parse(struct span text, const char *path, struct store_keys *ret, struct err *err)
{
    *ret = (struct store_keys){0};
    if (!parse(text, path, ret, err)) {
        store_keys_fini(ret);
        return false;
    }
    return true;
}

static bool check_file(int fd, const char *path, struct err *err)
{
    struct stat info;
    if (fstat(fd, &info) != 0) {
        return err_errno(err, errno, "key file %s cannot be looked at", path);
    }
    if (!S_ISREG(info.st_mode)) {
        return err_say(err, "key file %s is not a file; set store.key_file to a file", path);
    }
    if ((info.st_mode & 077) != 0) {
        return err_say(err,
                       "key file %s may be used by others than its owner (mode %03o); think of "
                       "who may have read it, then make it private: chmod 600 %s",
                       path, (unsigned)(info.st_mode & 0777), path);
    }
    return true;
}

enum store_key_result store_key_read(const char *path, struct store_keys *ret, struct err *err)
{
    char text[LARGEST_FILE + 1];
    size_t len = 0;
    ssize_t n = 0;
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) {
        return STORE_KEY_ABSENT;
    }
    if (fd < 0) {
        (void)err_errno(err, errno, "key file %s cannot be opened", path);
        return STORE_KEY_FAIL;
    }
    if (!check_file(fd, path, err)) {
        return STORE_KEY_FAIL;
    }
    while (len < sizeof(text) && (n = read(fd, text + len, sizeof(text) - len)) > 0) {
        len += (size_t)n;
    }
    bool is_read = n >= 0 ? store_key_parse((struct span){text, len}, path, ret, err)
                          : err_errno(err, errno, "key file %s cannot be read", path);
    OPENSSL_cleanse(text, sizeof(text));
    return is_read ? STORE_KEY_OK : STORE_KEY_FAIL;
}

/* --- making one ------------------------------------------------------------------------------- */

static bool write_key(int fd, const char *path, struct err *err)
{
    unsigned char key[STORE_KEY_SIZE];
    if (RAND_priv_bytes(key, sizeof(key)) != 1) {
        return err_say(err, "key file %s: the system gives no random numbers for a key", path);
    }
    struct buf b = buf_with_max(LARGEST_FILE);
    (void)buf_reserve(&b, LARGEST_FILE / 2); /* so that growing leaves no copy behind */
    buf_printf(&b, "%s\n%s", HEADER, ADVICE);
    for (size_t i = 0; i < sizeof(key); i++) {
        buf_printf(&b, "%02x", key[i]);
    }
    buf_append_char(&b, '\n');
    ssize_t n = write(fd, b.data, b.len);
    bool is_written = n == (ssize_t)b.len && fsync(fd) == 0;
    int number = n < 0 || is_written || n == (ssize_t)b.len ? errno : ENOSPC;
    OPENSSL_cleanse(key, sizeof(key));
    OPENSSL_cleanse(b.data, b.len);
    buf_fini(&b);
    return is_written || err_errno(err, number, "key file %s cannot be written", path);
}

static bool sync_directory_of(const char *path, struct err *err)
{
    const char *slash = strrchr(path, '/');
    _cleanup_free_ char *dir =
        slash == NULL ? xstrdup(".") : xmemdup0(path, slash == path ? 1 : (size_t)(slash - path));
    _cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        return err_errno(err, errno, "key file %s: cannot synchronise its directory", path);
    }
    return true;
}

/* Never over a file that is there: link() refuses, where rename() would not. */
static bool move_into_place(const char *name, const char *path, struct err *err)
{
    int rc = link(name, path);
    if (rc != 0 && (errno == EPERM || errno == EOPNOTSUPP || errno == EMLINK)) {
        rc = rename(name, path); /* a file system without links */
    }
    return rc == 0 || err_errno(err, errno, "key file %s cannot be made", path);
}

bool store_key_create(const char *path, struct err *err)
{
    struct stat info;
    if (lstat(path, &info) == 0 && S_ISLNK(info.st_mode)) {
        return err_say(err, "key file %s is a symbolic link that leads nowhere; is a disk missing?",
                       path);
    }
    _cleanup_free_ char *name = xasprintf("%s.new", path);
    (void)unlink(name); /* left behind by a crash, usually absent */
    _cleanup_close_ int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return err_errno(err, errno,
                         "key file %s cannot be made in its directory; create that, and let the "
                         "user that runs Sluice write there",
                         path);
    }
    bool is_made = write_key(fd, path, err) && move_into_place(name, path, err);
    (void)unlink(name); /* absent when it was renamed */
    return is_made && sync_directory_of(path, err);
}
