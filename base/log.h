/*
 * The log: one line an event, on standard error, as text for people or as JSON for machines.
 *
 *     log_info("session.closed", "client", "10.0.0.7:5311", "reason", "idle timeout", NULL);
 *
 * An event has a stable dotted name (interface: rename only with a CHANGELOG entry) and pairs of
 * key and text. Secrets in values are masked here (secret.h). Lines are written with one write(2), so
 * threads do not mix. log_setup() is called before threads start; the rest from any thread.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_TEXT, LOG_JSON };

void log_setup(enum log_level level, enum log_format format);
/* From any thread, at any time (SIGHUP reloads it). */
void log_set_level(enum log_level level);
bool log_is_on(enum log_level level);
/* Pairs of key, value (const char *), ended by a NULL key. A NULL value is written as "-". */
void log_event(enum log_level level, const char *event, ...) __attribute__((sentinel));

#define log_debug(...) (log_is_on(LOG_DEBUG) ? log_event(LOG_DEBUG, __VA_ARGS__) : (void)0)
#define log_info(...)  log_event(LOG_INFO, __VA_ARGS__)
#define log_warn(...)  log_event(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_event(LOG_ERROR, __VA_ARGS__)

/* printf into a small buffer on the caller's stack, for values: LOG_FMT("%d", n). Cut at 255. */
struct log_value {
    char text[256];
};
struct log_value log_format_value(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define LOG_FMT(...) log_format_value(__VA_ARGS__).text

#endif
