#include <string.h>

#include "base/buf.h"
#include "proxy/config_print.h"
#include "proxy/config_table.h"
#include "proxy/config_value.h"

enum { COLUMNS = 98, LONGEST_LINE = 1024 };

static const char preamble[] =
    "Configuration of Sluice, as printed by \"sluice --print-config\": every key with its default. "
    "Remove the ';' in front of a key to set it.";
static const char sources[] =
    "The environment (SLUICE_SECTION_KEY, as in SLUICE_PROXY_LISTEN) overrides this file, and "
    "--set section.key=value overrides both.";
static const char syntax[] =
    "Values are taken as they stand, without quotes. A ';' after a blank begins a comment. A list "
    "goes on on the next line when that begins with a blank.";

void config_print_wrapped(FILE *to, const char *first, const char *text, size_t width)
{
    size_t indent = strlen(first);
    size_t column = indent;
    (void)fputs(first, to);
    for (const char *p = text; *p != '\0';) {
        size_t n = strcspn(p, " ");
        bool is_first = column == indent;
        if (!is_first && column + 1 + n > width) {
            (void)fprintf(to, "\n%*s", (int)indent, first[0] == '#' ? first : "");
            column = indent;
            is_first = true;
        }
        (void)fprintf(to, "%s%.*s", is_first ? "" : " ", (int)n, p);
        column += n + (is_first ? 0 : 1);
        p += n;
        p += strspn(p, " ");
    }
    (void)fputc('\n', to);
}

static void print_key(FILE *to, const struct config_key *key)
{
    _cleanup_buf_ struct buf b = buf_with_max(LONGEST_LINE);
    config_print_wrapped(to, "# ", key->help, COLUMNS);
    buf_append_text(&b, "Accepted: ");
    config_value_describe(key, &b);
    config_print_wrapped(to, "# ", buf_text(&b), COLUMNS);
    buf_reset(&b);
    buf_printf(&b, "Default: %s; a change takes a %s",
               key->preset[0] != '\0' ? key->preset : "nothing",
               key->is_reloadable ? "SIGHUP" : "restart");
    config_print_wrapped(to, "# ", buf_text(&b), COLUMNS);
    (void)fprintf(to, ";%s =%s%s\n", key->name, key->preset[0] != '\0' ? " " : "", key->preset);
}

void config_print(FILE *to)
{
    const char *section = "";
    config_print_wrapped(to, "# ", preamble, COLUMNS);
    config_print_wrapped(to, "# ", sources, COLUMNS);
    config_print_wrapped(to, "# ", syntax, COLUMNS);
    for (size_t i = 0; i < CONFIG_N_KEYS; i++) {
        const struct config_key *key = &config_table_keys[i];
        if (strcmp(section, key->section) != 0) {
            section = key->section;
            (void)fprintf(to, "\n[%s]\n", section);
        }
        (void)fputc('\n', to);
        print_key(to, key);
    }
}
