#include <ini.h>
#include <stdio.h>
#include <string.h>

#include "proxy/config_ini.h"

enum { LONGEST_NAME = 64 };

struct parse {
    struct span left;
    const char *file;
    config_ini_fn each;
    void *arg;
    struct err *err;
    int line;        /* of the line that libinih has now */
    bool is_failed;  /* err is filled, for line `line` */
    bool has_indent; /* the line was handed on with a blank in front */
    bool has_comment;
    char section[LONGEST_NAME]; /* of the entry before, to know a continued one */
    char name[LONGEST_NAME];
};

static void say(struct parse *p, const char *what)
{
    p->is_failed = true;
    (void)err_say(p->err, "%s:%d: %s", p->file, p->line, what);
}

static bool has_control(struct span line)
{
    for (size_t i = 0; i < line.n; i++) {
        unsigned char c = (unsigned char)line.p[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return true;
        }
    }
    return false;
}

static bool has_inline_comment(struct span line)
{
    for (size_t i = 1; i < line.n; i++) {
        if (line.p[i] == ';' && (line.p[i - 1] == ' ' || line.p[i - 1] == '\t')) {
            return true;
        }
    }
    return false;
}

static struct span take_line(struct span *left)
{
    const char *newline = memchr(left->p, '\n', left->n);
    const char *end = left->p + left->n;
    struct span line = span_between(left->p, newline != NULL ? newline : end);
    *left = newline != NULL ? span_between(newline + 1, end) : (struct span){0};
    if (line.n > 0 && line.p[line.n - 1] == '\r') {
        line.n--;
    }
    return line;
}

/*
 * libinih takes every line that begins with a blank for more of the value before. Only lists may
 * have that, and no list holds a '='; other indented lines lose their blanks.
 */
static struct span without_indent(struct span line)
{
    struct span trimmed = span_trim(line);
    bool is_entry = trimmed.n > 0 && (strchr("[#;", trimmed.p[0]) != NULL ||
                                      memchr(trimmed.p, '=', trimmed.n) != NULL);
    return is_entry ? trimmed : line;
}

/* In the way of fgets(): `size` bytes with newline and NUL. */
static char *read_line(char *to, int size, void *stream)
{
    struct parse *p = stream;
    if (p->is_failed || p->left.n == 0) {
        return NULL;
    }
    struct span line = take_line(&p->left);
    p->line++;
    if (size < 3 || line.n > (size_t)size - 3) {
        char text[96];
        (void)snprintf(text, sizeof(text),
                       "the line is longer than %d bytes; a list may go on on "
                       "the next line",
                       size - 3);
        say(p, text);
        return NULL;
    }
    if (has_control(line)) {
        say(p, "there is a control character in the line");
        return NULL;
    }
    line = without_indent(line);
    p->has_indent = line.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t');
    p->has_comment = has_inline_comment(line);
    if (line.n > 0) {
        memcpy(to, line.p, line.n);
    }
    to[line.n] = '\n';
    to[line.n + 1] = '\0';
    return to;
}

static void remember(char to[LONGEST_NAME], const char *text)
{
    (void)snprintf(to, LONGEST_NAME, "%s", text); /* libinih cuts at 50 */
}

static int handle(void *arg, const char *section, const char *name, const char *value)
{
    struct parse *p = arg;
    if (p->is_failed) {
        return 0;
    }
    struct config_ini_entry entry = {
        .line = p->line,
        .section = span_of(section),
        .name = span_of(name),
        .value = span_of(value != NULL ? value : ""),
        .is_continued =
            p->has_indent && strcmp(section, p->section) == 0 && strcmp(name, p->name) == 0,
        .has_comment = p->has_comment,
    };
    remember(p->section, section);
    remember(p->name, name);
    p->is_failed = !p->each(&entry, p->arg, p->err);
    return p->is_failed ? 0 : 1;
}

bool config_ini_parse(struct span text, const char *file, config_ini_fn each, void *arg,
                      struct err *err)
{
    struct parse p = {.left = text, .file = file, .each = each, .arg = arg, .err = err};
    int first_error = ini_parse_stream(read_line, &p, handle, &p);
    if (first_error > 0 && (!p.is_failed || first_error < p.line)) {
        return err_say(err, "%s:%d: the line is neither \"[section]\" nor \"key = value\"", file,
                       first_error);
    }
    if (first_error < 0 && !p.is_failed) {
        return err_say(err, "%s cannot be parsed (libinih %d)", file, first_error);
    }
    return !p.is_failed;
}
