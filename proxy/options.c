#include <getopt.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/xmalloc.h"
#include "proxy/config_print.h"
#include "proxy/config_table.h"
#include "proxy/options.h"

const char options_fallback_file[] = "/etc/sluice/sluice.conf";

enum { COLUMNS = 80, LONGEST_LINE = 2048, OPT_SET = 1000 };

/* One row an option: getopt's table and --help come from it. */
struct option_row {
    const char *name;
    const char *argument; /* NULL: takes none */
    const char *help;
    int value;                  /* the short option's letter, or a number beyond letters */
    enum options_action action; /* of options that take no argument */
};

static const struct option_row rows[] = {
    {"config", "FILE",
     "Read the configuration from FILE. Without this option it is the file that the variable "
     "SLUICE_CONFIG names, else /etc/sluice/sluice.conf if that is there, else the defaults.",
     'c', OPTIONS_RUN},
    {"set", "SECTION.KEY=VALUE",
     "Set one key, over file and environment. May be given more than once.", OPT_SET, OPTIONS_RUN},
    {"check-config", NULL,
     "Read the configuration, say what is wrong with it, and end: status 0 when it is right, 2 "
     "when not.",
     OPT_SET + 1, OPTIONS_CHECK_CONFIG},
    {"print-config", NULL,
     "Print all keys with help, bounds and defaults, as a file to begin with.", OPT_SET + 2,
     OPTIONS_PRINT_CONFIG},
    {"help", NULL, "Print this text.", 'h', OPTIONS_HELP},
    {"version", NULL, "Print the version.", 'V', OPTIONS_VERSION},
};

static const char short_options[] = ":c:hV";

static void fill_long_options(struct option ret[ARRAY_SIZE(rows) + 1])
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        ret[i] =
            (struct option){.name = rows[i].name,
                            .has_arg = rows[i].argument != NULL ? required_argument : no_argument,
                            .val = rows[i].value};
    }
    ret[ARRAY_SIZE(rows)] = (struct option){0};
}

static const struct option_row *find_row(int value)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        if (rows[i].value == value) {
            return &rows[i];
        }
    }
    return NULL;
}

static bool say_wrong(const char *what, const char *which, struct err *err)
{
    return err_say(err, "%s %s; sluice --help lists the options", what, which);
}

/* getopt's ':' is a missing argument, its '?' anything else. */
static bool say_refused(int result, char *const *argv, struct err *err)
{
    char letter[3] = {'-', (char)optopt, '\0'};
    /* A long option is refused with optopt 0 or its value, and stands before optind. */
    bool is_short = optopt > 0 && optopt < OPT_SET && strncmp(argv[optind - 1], "--", 2) != 0;
    const char *which = is_short ? letter : argv[optind - 1];
    if (result == ':') {
        return say_wrong("an argument is missing after", which, err);
    }
    const struct option_row *row = is_short ? NULL : find_row(optopt);
    return row != NULL ? say_wrong("no argument is taken by", which, err)
                       : say_wrong("there is no option", which, err);
}

static bool set_action(const struct option_row *row, struct options *o, struct err *err)
{
    if (o->action != OPTIONS_RUN && o->action != row->action) {
        return err_say(err,
                       "--%s does not go with another of its kind; sluice --help lists the "
                       "options",
                       row->name);
    }
    o->action = row->action;
    return true;
}

static bool take_option(int value, struct options *o, struct err *err)
{
    const struct option_row *row = find_row(value);
    if (row->argument == NULL) {
        return set_action(row, o, err);
    }
    if (value == OPT_SET) {
        o->sets[o->n_sets++] = optarg; /* there is room for all of argv */
        return true;
    }
    if (o->config_file != NULL) {
        return err_say(err, "--config is given twice, %s and %s; there is one file", o->config_file,
                       optarg);
    }
    o->config_file = optarg;
    return true;
}

bool options_parse(int argc, char **argv, struct options *ret, struct err *err)
{
    struct option long_options[ARRAY_SIZE(rows) + 1];
    _cleanup_(options_fini) struct options o = {.action = OPTIONS_RUN};
    int value = 0;
    fill_long_options(long_options);
    o.sets = xcalloc((size_t)argc + 1, sizeof(*o.sets));
    opterr = 0;
    optind = 0; /* begin anew, also for a second call */
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): said in the header */
    while ((value = getopt_long(argc, argv, short_options, long_options, NULL)) != -1) {
        if (value == ':' || value == '?') {
            return say_refused(value, argv, err);
        }
        if (!take_option(value, &o, err)) {
            return false;
        }
    }
    if (optind < argc) {
        return say_wrong("there is no use for the argument", argv[optind], err);
    }
    *ret = o;
    o = (struct options){0};
    return true;
}

void options_fini(struct options *o)
{
    free(o->sets);
    *o = (struct options){0};
}

const char *options_config_file(const struct options *o, char *const *env, const char *fallback)
{
    static const char variable[] = "SLUICE_CONFIG=";
    if (o->config_file != NULL) {
        return o->config_file;
    }
    for (char *const *v = env; v != NULL && *v != NULL; v++) {
        if (strncmp(*v, variable, sizeof(variable) - 1) == 0) {
            return *v + sizeof(variable) - 1;
        }
    }
    /* Whether it can be read is for config_load() to say. */
    return access(fallback, F_OK) == 0 ? fallback : NULL;
}

/* "  -c, --config FILE" and its help below it, indented: some options are too long for columns. */
static void print_row(FILE *to, const struct option_row *row)
{
    if (row->value < OPT_SET) {
        (void)fprintf(to, "  -%c, ", row->value);
    } else {
        (void)fputs("      ", to);
    }
    (void)fprintf(to, "--%s%s%s\n", row->name, row->argument != NULL ? " " : "",
                  row->argument != NULL ? row->argument : "");
    config_print_wrapped(to, "          ", row->help, COLUMNS);
}

static void print_section(FILE *to, const char *section)
{
    char first[32];
    _cleanup_buf_ struct buf b = buf_with_max(LONGEST_LINE);
    for (size_t i = 0; i < CONFIG_N_KEYS; i++) {
        if (strcmp(config_table_keys[i].section, section) == 0) {
            buf_printf(&b, "%s%s", b.len > 0 ? " " : "", config_table_keys[i].name);
        }
    }
    (void)snprintf(first, sizeof(first), "  %-10s", section); /* the names are ours and short */
    config_print_wrapped(to, first, buf_text(&b), COLUMNS);
}

void options_print_help(FILE *to)
{
    const char *section = "";
    (void)fputs("Usage: sluice [OPTION]...\n"
                "A MySQL-protocol proxy in front of an Apache Doris FE that runs streaming jobs.\n"
                "\nOptions:\n",
                to);
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
        print_row(to, &rows[i]);
    }
    (void)fputs("\nKeys of the configuration, by section (--print-config explains them):\n", to);
    for (size_t i = 0; i < CONFIG_N_KEYS; i++) {
        if (strcmp(section, config_table_keys[i].section) != 0) {
            section = config_table_keys[i].section;
            print_section(to, section);
        }
    }
    (void)fputs("\nA key is set in the file, by the variable SLUICE_SECTION_KEY, or by --set; the\n"
                "later of these wins. SIGTERM ends the proxy after its connections are done, a\n"
                "second one at once; SIGHUP reads the configuration again.\n",
                to);
}

void options_print_version(FILE *to)
{
    (void)fprintf(to, "sluice %s\n", SLUICE_VERSION);
}
