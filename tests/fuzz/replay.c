/* Runs a fuzz target over every file of the directories named; for compilers without libFuzzer. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LARGEST_INPUT = 1 << 20 };

static int replay_file(const char *path)
{
    FILE *f = fopen(path, "rbe");
    if (f == NULL) {
        return 1;
    }
    uint8_t *data = malloc(LARGEST_INPUT);
    size_t n = data != NULL ? fread(data, 1, LARGEST_INPUT, f) : 0;
    /* A copy of the exact size, so that a sanitizer sees a read behind the end. */
    uint8_t *exact = malloc(n > 0 ? n : 1);
    for (size_t i = 0; exact != NULL && i < n; i++) {
        exact[i] = data[i];
    }
    int rc = exact == NULL || LLVMFuzzerTestOneInput(exact, n) != 0;
    free(exact);
    free(data);
    return fclose(f) != 0 || rc;
}

int main(int argc, char **argv)
{
    int n = 0;
    for (int i = 1; i < argc; i++) {
        DIR *dir = opendir(argv[i]);
        struct dirent *entry = NULL;
        while (dir != NULL && (entry = readdir(dir)) != NULL) {
            char path[4096];
            if (entry->d_name[0] == '.') {
                continue;
            }
            if (snprintf(path, sizeof(path), "%s/%s", argv[i], entry->d_name) >=
                    (int)sizeof(path) ||
                replay_file(path) != 0) {
                (void)fprintf(stderr, "failed: %s/%s\n", argv[i], entry->d_name);
                return 1;
            }
            n++;
        }
        if (dir != NULL) {
            (void)closedir(dir);
        }
    }
    (void)printf("%d inputs replayed\n", n);
    return n == 0; /* an empty corpus proves nothing */
}
