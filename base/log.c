#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/xmalloc.h"

enum { LINE_MAX_BYTES = 16384 };

/* The log sink is the one mutable global (style.md 34). */
static _Atomic int sink_level = LOG_INFO;
static _Atomic int sink_format = LOG_TEXT;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_setup(enum log_level level, enum log_format format)
{
    atomic_store(&sink_level, (int)level);
    atomic_store(&sink_format, (int)format);
}

void log_set_level(enum log_level level)
{
    atomic_store(&sink_level, (int)level);
}

bool log_is_on(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&sink_level, memory_order_relaxed);
}

struct log_value log_format_value(const char *format, ...)
{
    struct log_value value;
    va_list args;
    va_start(args, format);
    if (vsnprintf(value.text, sizeof(value.text), format, args) < 0) {
        value.text[0] = '\0';
    }
    va_end(args);
    return value;
}

static void append_time(struct buf *line)
{
    struct timespec now;
    struct tm parts;
    char text[32];
    (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail with this clock */
    (void)gmtime_r(&now.tv_sec, &parts);
    size_t n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &parts);
    buf_append(line, text, n);
    buf_printf(line, ".%03ldZ", now.tv_nsec / 1000000);
}

static void append_json_string(struct buf *line, const char *s)
{
    buf_append_char(line, '"');
    for (; *s != '\0'; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\') {
            buf_append_char(line, '\\');
            buf_append_char(line, (char)c);
        } else if (c < 0x20) {
            buf_printf(line, "\\u%04x", c);
        } else {
            buf_append_char(line, (char)c);
        }
    }
    buf_append_char(line, '"');
}

/* Bare when it is one plain word, otherwise quoted as JSON: readable and still splittable. */
static void append_text_value(struct buf *line, const char *s)
{
    bool is_plain = *s != '\0';
    for (const char *p = s; *p != '\0' && is_plain; p++) {
        is_plain = (unsigned char)*p > 0x20 && *p != '"' && *p != '=' && *p != 0x7f;
    }
    if (is_plain) {
        buf_append_text(line, s);
    } else {
        append_json_string(line, s);
    }
}

static void append_pair(struct buf *line, bool is_json, const char *key, const char *value)
{
    /* Whoever logs a text of others need not think of it. No secret is without one of these. */
    bool may_hold_secret = strpbrk(value, "=:(") != NULL;
    _cleanup_free_ char *masked = may_hold_secret ? secret_mask(span_of(value)) : NULL;
    const char *shown = masked != NULL ? masked : value;
    if (is_json) {
        buf_append_text(line, ",");
        append_json_string(line, key);
        buf_append_char(line, ':');
        append_json_string(line, shown);
    } else {
        buf_printf(line, " %s=", key);
        append_text_value(line, shown);
    }
}

static void append_pairs(struct buf *line, bool is_json, va_list args)
{
    const char *key = NULL;
    while ((key = va_arg(args, const char *)) != NULL) {
        const char *value = va_arg(args, const char *);
        append_pair(line, is_json, key, value != NULL ? value : "-");
    }
}

void log_event(enum log_level level, const char *event, ...)
{
    if (!log_is_on(level)) {
        return;
    }
    bool is_json = atomic_load(&sink_format) == LOG_JSON;
    _cleanup_buf_ struct buf line = buf_with_max(LINE_MAX_BYTES);
    va_list args;

    if (is_json) {
        buf_append_text(&line, "{\"time\":\"");
        append_time(&line);
        buf_printf(&line, "\",\"level\":\"%s\",\"event\":\"%s\"", level_names[level], event);
    } else {
        append_time(&line);
        buf_printf(&line, " %-5s %s", level_names[level], event);
    }
    va_start(args, event);
    append_pairs(&line, is_json, args);
    va_end(args);
    buf_append_text(&line, is_json ? "}\n" : "\n");
    if (!buf_ok(&line)) {
        line.data[line.len - 1] = '\n'; /* cut: the rest did not fit */
    }
    /* A log that cannot be written must not stop the proxy. */
    if (write(STDERR_FILENO, line.data, line.len) < 0) {
        return;
    }
}
