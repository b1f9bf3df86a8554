/*
 * Runs the cases of a *.golden file: a statement, and what the parser must say of it.
 *
 *     ==== a title
 *     PAUSE JOB WHERE jobName = 'n'
 *     ==== another spelling: without a verdict, it shares that of the next
 *     pause job where JOBNAME == "n";
 *     ---- ours
 *     PAUSE JOB WHERE jobName = 'n'
 *
 * The verdicts: "ours" with the statement as dump.h writes it, "bad" with the error and below it the
 * advice, "script" with its parts, and "foreign". A title that begins with a backslash announces a
 * statement with the escapes \n \r \t \\ and \xNN. What stands above the first case is a comment.
 *
 * What holds for every statement is checked for each of them: the quick look lets it through; blanks,
 * comments and ';' around and between its words change nothing; the canonical spelling means the same;
 * an error's line moves with the statement.
 *
 *     test_golden FILE [--print]       --print writes the file anew with what the parser says
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/xmalloc.h"
#include "parser/lex.h"
#include "parser/script.h"
#include "parser/stmt.h"
#include "proxy/guess.h"
#include "tests/golden/dump.h"

enum { MAX_FILE = 4 << 20 };

struct golden {
    struct span title;
    struct span text; /* as it stands in the file */
    char *sql;        /* of exactly n bytes, so that a sanitizer sees a read behind the end */
    size_t n;
    struct span expected; /* the verdict's line and what is below it */
    bool shares;          /* the verdict of the next case */
};

struct file {
    struct span text;
    struct span head;
    struct golden *cases;
    size_t n;
};

static const char *const VERDICTS[] = {
    [STMT_FOREIGN] = "foreign",
    [STMT_OURS] = "ours",
    [STMT_BAD] = "bad",
    [STMT_SCRIPT] = "script",
};

/* Reading. */

static struct span read_file(const char *path)
{
    FILE *f = fopen(path, "rbe");
    char *text = xcalloc(1, MAX_FILE);
    size_t n = f != NULL ? fread(text, 1, MAX_FILE, f) : 0;
    if (n == 0 || n == MAX_FILE || fclose(f) != 0) {
        fprintf(stderr, "test_golden: cannot read %s\n", path);
        exit(2);
    }
    return (struct span){text, n};
}

/* The line that starts at `at`, without its end. */
static struct span line_at(struct span text, size_t at)
{
    const char *end = memchr(text.p + at, '\n', text.n - at);
    return (struct span){text.p + at, end != NULL ? (size_t)(end - text.p) - at : text.n - at};
}

static int hex_of(char c)
{
    static const char DIGITS[] = "0123456789abcdef";
    const char *hit = c != '\0' ? strchr(DIGITS, c | 0x20) : NULL;
    return hit != NULL ? (int)(hit - DIGITS) : 0;
}

static char *unescape(struct span text, size_t *ret_n)
{
    struct buf b = buf_with_max(text.n + 1);
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        char next = i + 1 < text.n ? text.p[i + 1] : '\0';
        if (c != '\\') {
            buf_append_char(&b, c);
        } else if (next == 'x' && i + 3 < text.n) {
            buf_append_char(&b, (char)(hex_of(text.p[i + 2]) * 16 + hex_of(text.p[i + 3])));
            i += 3;
        } else {
            buf_append_char(&b, next == 'n'   ? '\n'
                                : next == 'r' ? '\r'
                                : next == 't' ? '\t'
                                              : next);
            i++;
        }
    }
    *ret_n = b.len;
    char *exact = xmemdup0(b.data != NULL ? b.data : "", b.len);
    buf_fini(&b);
    return exact;
}

static char *exact_copy(const char *p, size_t n)
{
    char *copy = xcalloc(n > 0 ? n : 1, 1);
    memcpy(copy, p, n);
    return copy;
}

static void set_sql(struct golden *g)
{
    if (span_starts_with(g->title, "\\")) {
        char *text = unescape(g->text, &g->n);
        g->sql = exact_copy(text, g->n);
        free(text);
    } else {
        g->n = g->text.n;
        g->sql = exact_copy(g->text.p, g->n);
    }
}

static struct span chomp(struct span s)
{
    while (s.n > 0 && s.p[s.n - 1] == '\n') {
        s.n--;
    }
    return s;
}

static struct golden *add_case(struct file *file, struct span title)
{
    file->cases = xrealloc_array(file->cases, file->n + 1, sizeof(*file->cases));
    struct golden *g = &file->cases[file->n++];
    *g = (struct golden){.title = title, .shares = true};
    return g;
}

static struct file parse_file(struct span text)
{
    struct file file = {.text = text};
    struct golden *g = NULL;
    const char *from = text.p;
    for (size_t at = 0; at <= text.n; at += line_at(text, at).n + 1) {
        struct span line = at < text.n ? line_at(text, at) : (struct span){text.p + text.n, 0};
        bool is_case = span_starts_with(line, "====");
        bool is_verdict = span_starts_with(line, "----");
        if (at < text.n && !is_case && !is_verdict) {
            continue;
        }
        struct span before = chomp(span_between(from, line.p));
        if (g == NULL) {
            file.head = before;
        } else if (g->shares) {
            g->text = before;
        } else {
            g->expected = before;
        }
        from = line.p + line.n + (at < text.n);
        if (is_verdict && g != NULL) {
            g->shares = false;
            from = line.p; /* the line belongs to it */
        }
        if (is_case) {
            g = add_case(&file, span_trim((struct span){line.p + 4, line.n - 4}));
        }
    }
    for (size_t i = 0; i < file.n; i++) {
        set_sql(&file.cases[i]);
    }
    return file;
}

static void file_fini(struct file *file)
{
    for (size_t i = 0; i < file->n; i++) {
        free(file->cases[i].sql);
    }
    free(file->cases);
    free((char *)file->text.p);
}

/* What the parser says, in the words of the file. */

static void say_parts(struct span sql, struct buf *out)
{
    struct script script = script_of(sql, stmt_claims);
    struct script_part part;
    while (script_next(&script, &part)) {
        buf_printf(out, "\n%s %.*s", part.is_ours ? "ours   " : "foreign", SPAN_ARG(part.text));
    }
}

static void say_error(const struct err *err, struct buf *out)
{
    static const char HEAD[] = "errCode = 2, detailMessage = ";
    static const char POSITION_END[] = "). ";
    const char *text =
        span_starts_with(span_of(err->msg), HEAD) ? err->msg + sizeof(HEAD) - 1 : err->msg;
    const char *position = strstr(text, "(line ");
    const char *advice = position != NULL ? strstr(position, POSITION_END) : NULL;
    if (advice == NULL) {
        buf_printf(out, "\n%s", text);
        return;
    }
    struct span what = span_between(text, advice + 2);
    buf_printf(out, "\n%.*s\n%s", SPAN_ARG(what), advice + sizeof(POSITION_END) - 1);
}

static enum stmt_verdict say(struct span sql, struct buf *out)
{
    struct stmt s;
    struct err err = {0};
    enum stmt_verdict verdict = stmt_parse(sql, &s, &err);
    buf_printf(out, "---- %s", VERDICTS[verdict]);
    if (verdict == STMT_OURS) {
        buf_append_char(out, '\n');
        dump_stmt(&s, out);
        stmt_fini(&s);
    } else if (verdict == STMT_BAD) {
        say_error(&err, out);
    } else if (verdict == STMT_SCRIPT) {
        say_parts(sql, out);
    }
    return verdict;
}

/* What holds for every statement. */

static void check_same(struct span sql, struct span wanted, const char *why)
{
    _cleanup_buf_ struct buf got = buf_with_max(MAX_FILE);
    (void)say(sql, &got); /* its text tells the verdict as well */
    if (!span_eq(buf_span(&got), wanted)) {
        fail_msg("%s:\n%.*s\nis\n%s\nand not\n%.*s", why, SPAN_ARG(sql), buf_text(&got),
                 SPAN_ARG(wanted));
    }
}

/* The same tokens: what is between them, and the comments of a dump, is left out. */
static void check_same_tokens(struct span sql, struct span wanted, const char *why)
{
    _cleanup_buf_ struct buf got = buf_with_max(MAX_FILE);
    (void)say(sql, &got);
    struct lex a = lex_of(buf_span(&got));
    struct lex b = lex_of(wanted);
    a.at = line_at(a.text, 0).n; /* the verdict's line looks like a comment */
    b.at = line_at(b.text, 0).n;
    struct tok x = {0};
    struct tok y = {0};
    bool is_same = span_eq(line_at(a.text, 0), line_at(b.text, 0));
    do {
        x = lex_next(&a);
        y = lex_next(&b);
        is_same = is_same && x.kind == y.kind && span_eq(x.text, y.text);
    } while (is_same && x.kind != TOK_END && x.kind != TOK_ERROR);
    if (!is_same) {
        fail_msg("%s:\n%.*s\nis\n%s\nand not\n%.*s", why, SPAN_ARG(sql), buf_text(&got),
                 SPAN_ARG(wanted));
    }
}

static void check_again(struct span sql, struct span wanted)
{
    struct stmt s;
    struct err err = {0};
    assert_int_equal(stmt_parse(sql, &s, &err), STMT_OURS);
    bool is_sql = dump_is_sql(&s);
    _cleanup_buf_ struct buf dump = buf_with_max(MAX_FILE);
    dump_stmt(&s, &dump);
    stmt_fini(&s);
    if (is_sql) {
        check_same(buf_span(&dump), wanted, "the canonical spelling");
    }
}

static struct span without_nul(struct span sql)
{
    while (sql.n > 0 && sql.p[sql.n - 1] == '\0') {
        sql.n--;
    }
    return sql;
}

static void check_around(struct span sql, struct span wanted)
{
    static const struct {
        const char *before;
        const char *after;
    } ROWS[] = {
        {";", ";"},
        {" ;; \n", "\n;;\n ;"},
        {"/* a; */ ", " -- b"},
        {"-- a\n# b\n", "/* c */ ;-- d"},
    };
    for (size_t i = 0; i < ARRAY_SIZE(ROWS); i++) {
        _cleanup_buf_ struct buf text = buf_with_max(MAX_FILE);
        buf_append_text(&text, ROWS[i].before);
        buf_append_span(&text, without_nul(sql));
        buf_append_text(&text, ROWS[i].after);
        check_same(buf_span(&text), wanted, "with something around it");
    }
}

static void check_between(struct span sql, struct span wanted)
{
    /* A blank comes first: a '-' before "--" would begin the comment. */
    static const char *const FILLERS[] = {
        " \n",         " \t\r\n ", " /* job */", " /*+ set_var(a = 1) */", " /*! 40101 x */",
        " -- jobs(\n", " # ;\n",
    };
    for (size_t i = 0; i < ARRAY_SIZE(FILLERS); i++) {
        struct lex lex = lex_of(without_nul(sql));
        _cleanup_buf_ struct buf text = buf_with_max(MAX_FILE);
        for (struct tok t = lex_next(&lex); t.kind != TOK_END; t = lex_next(&lex)) {
            buf_append_text(&text, FILLERS[i]);
            buf_append_span(&text, t.text);
        }
        buf_append_text(&text, FILLERS[i]);
        check_same_tokens(buf_span(&text), wanted, "with something between its words");
    }
}

/* Two lines further down, the same error tells of two lines more. */
static void check_position(struct span sql, struct span wanted)
{
    const char *place = memmem(wanted.p, wanted.n, "(line ", 6);
    assert_non_null(place);
    long line = strtol(place + 6, NULL, 10);
    const char *comma = memchr(place, ',', wanted.n - (size_t)(place - wanted.p));
    _cleanup_buf_ struct buf text = buf_with_max(MAX_FILE);
    _cleanup_buf_ struct buf moved = buf_with_max(MAX_FILE);
    buf_append_text(&text, "\n;\n");
    buf_append_span(&text, sql);
    buf_append_span(&moved, span_between(wanted.p, place + 6));
    buf_printf(&moved, "%ld", line + 2);
    buf_append_span(&moved, span_between(comma, wanted.p + wanted.n));
    check_same(buf_span(&text), buf_span(&moved), "two lines down");
}

static void check_quick_look(struct span sql, enum stmt_verdict verdict)
{
    bool is_offered = guess_is_local(sql, true) == GUESS_YES || guess_is_hidden(sql);
    if (verdict != STMT_FOREIGN && !is_offered) {
        fail_msg("the quick look takes it for foreign: %.*s", SPAN_ARG(sql));
    }
    if (guess_is_local(sql, true) == GUESS_NO) {
        return; /* hidden: only the whole text tells */
    }
    for (size_t n = 0; verdict != STMT_FOREIGN && verdict != STMT_SCRIPT && n < sql.n; n++) {
        if (guess_is_local((struct span){sql.p, n}, false) == GUESS_NO) {
            fail_msg("the quick look is wrong after %zu bytes of %.*s", n, SPAN_ARG(sql));
        }
    }
}

static void test_case(void **state)
{
    const struct golden *g = *state;
    struct span sql = {g->sql, g->n};
    _cleanup_buf_ struct buf said = buf_with_max(MAX_FILE);
    const struct golden *owner = g;
    while (owner->shares) {
        owner++; /* main() has seen that the last one does not */
    }
    enum stmt_verdict verdict = say(sql, &said);
    if (!span_eq(buf_span(&said), owner->expected)) {
        fail_msg("%.*s\n%.*s\nis\n%s\nand not\n%.*s", SPAN_ARG(g->title), SPAN_ARG(sql),
                 buf_text(&said), SPAN_ARG(owner->expected));
    }
    check_quick_look(sql, verdict);
    if (verdict == STMT_OURS) {
        check_again(sql, owner->expected);
        check_around(sql, owner->expected);
        check_between(sql, owner->expected);
    } else if (verdict == STMT_BAD) {
        check_position(sql, owner->expected);
    }
}

static void print_file(const struct file *file)
{
    printf("%.*s\n\n", SPAN_ARG(file->head));
    for (size_t i = 0; i < file->n; i++) {
        const struct golden *g = &file->cases[i];
        _cleanup_buf_ struct buf said = buf_with_max(MAX_FILE);
        (void)say((struct span){g->sql, g->n}, &said);
        printf("====%s%.*s\n%.*s\n", g->title.n > 0 ? " " : "", SPAN_ARG(g->title),
               SPAN_ARG(g->text));
        if (!g->shares) {
            printf("%s\n\n", buf_text(&said));
        }
    }
}

static int run(const char *path, struct file *file)
{
    struct CMUnitTest *tests = xcalloc(file->n, sizeof(*tests));
    for (size_t i = 0; i < file->n; i++) {
        size_t line = 1;
        for (const char *p = file->text.p; p < file->cases[i].title.p; p++) {
            line += *p == '\n';
        }
        tests[i] = (struct CMUnitTest){
            .name = xasprintf("%s:%zu %.*s", path, line, SPAN_ARG(file->cases[i].title)),
            .test_func = test_case,
            .initial_state = &file->cases[i],
        };
    }
    int rc = _cmocka_run_group_tests(path, tests, file->n, NULL, NULL);
    for (size_t i = 0; i < file->n; i++) {
        free((char *)tests[i].name);
    }
    free(tests);
    return rc;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "test_golden: name a .golden file\n");
        return 2;
    }
    struct file file = parse_file(read_file(argv[1]));
    int rc = 0;
    if (argc > 2) {
        print_file(&file);
    } else if (file.n == 0 || file.cases[file.n - 1].shares) {
        fprintf(stderr, "test_golden: the last case of %s has no verdict\n", argv[1]);
        rc = 2;
    } else {
        rc = run(argv[1], &file);
    }
    file_fini(&file);
    return rc;
}
