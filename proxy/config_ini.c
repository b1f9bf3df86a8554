#include <ini.h>
#include <stdio.h>
#include <string.h>

#include "proxy/config_ini.h"

enum { LONGEST_NAME = 64 };

struct parse {
    struct span left;
    const char *file;
    const struct config_ini *to;
    int line;        /* of the line that libinih has now */
    bool is_over;    /* nobody wants to hear more */
    bool is_open;    /* the line is to be an entry, and was none so far */
    bool is_section; /* the line begins with a '[' */
    bool is_astray;  /* behind a section that is wrong: nobody knows what the entries belong to */
    bool is_told;    /* of an error */
    bool has_indent; /* the line was handed on with a blank in front */
    bool has_comment;
    char section[LONGEST_NAME]; /* of the entry before, to know a continued one */
    char name[LONGEST_NAME];
};

static void say(struct parse *p, const char *what)
{
    struct err err = {0};
    (void)err_say(&err, "%s:%d: %s", p->file, p->line, what);
    p->is_told = true;
    p->is_over = !p->to->fail(&err, p->to->arg);
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

/* Without blanks, and without the mark before the first line of some editors. */
static struct span bare(struct span line)
{
    static const char mark[] = "\xef\xbb\xbf";
    line = span_trim(line);
    if (span_starts_with(line, mark)) {
        line = span_trim((struct span){line.p + strlen(mark), line.n - strlen(mark)});
    }
    return line;
}

static bool is_section(struct span line)
{
    line = bare(line);
    return line.n > 0 && line.p[0] == '[';
}

/* Does libinih hand it on as an entry, or find it wrong? */
static bool is_entry(struct span line)
{
    line = bare(line);
    if (line.n == 0 || line.p[0] == '#' || line.p[0] == ';') {
        return false;
    }
    const char *close = line.p[0] == '[' ? memchr(line.p, ']', line.n) : NULL;
    return close == NULL || has_inline_comment(span_between(line.p, close));
}

/* The line that libinih had was to be an entry, and it did not hand it on as one. */
static void close_line(struct parse *p)
{
    if (p->is_open) {
        p->is_open = false;
        p->is_astray = p->is_astray || p->is_section;
        say(p, "the line is neither \"[section]\" nor \"key = value\"");
    }
}

/* The next line that can be read; false when there is none, or nobody wants more. */
static bool next_line(struct parse *p, size_t max, struct span *ret_line)
{
    while (!p->is_over && p->left.n > 0) {
        struct span line = take_line(&p->left);
        p->line++;
        if (line.n > max) {
            char text[96];
            (void)snprintf(text, sizeof(text),
                           "the line is longer than %zu bytes; a list may go on on the next line",
                           max);
            say(p, text);
        } else if (has_control(line)) {
            say(p, "there is a control character in the line");
        } else {
            *ret_line = line;
            return true;
        }
    }
    return false;
}

/* In the way of fgets(): `size` bytes with newline and NUL. */
static char *read_line(char *to, int size, void *stream)
{
    struct parse *p = stream;
    struct span line = {0};
    close_line(p);
    if (!next_line(p, size < 3 ? 0 : (size_t)size - 3, &line)) {
        return NULL;
    }
    p->is_section = is_section(line);
    p->is_open = is_entry(line);
    p->is_astray = p->is_astray && (p->is_open || !p->is_section);
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
    p->is_open = false;
    if (p->is_astray) {
        return 1;
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
    p->is_over = !p->to->each(&entry, p->to->arg);
    return 1;
}

bool config_ini_parse(struct span text, const char *file, const struct config_ini *to)
{
    struct parse p = {.left = text, .file = file, .to = to};
    int first_error = ini_parse_stream(read_line, &p, handle, &p);
    if (!p.is_over) {
        close_line(&p);
    }
    if (first_error != 0 && !p.is_told) { /* which close_line() should have seen */
        p.line = first_error;
        say(&p, "the line cannot be parsed");
    }
    return !p.is_over;
}
