/*
 * Time is a parameter everywhere else (style.md 42); these are the places that read it.
 * Monotonic time is for waiting, wall time for what people and Doris see. Any thread.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

int64_t clock_mono_us(void);
int64_t clock_wall_us(void);
static inline int64_t clock_mono_ms(void)
{
    return clock_mono_us() / 1000;
}
static inline int64_t clock_wall_ms(void)
{
    return clock_wall_us() / 1000;
}

/* "YYYY-MM-DD HH:MM:SS" in the zone of the process, as jobs() shows times. */
enum { CLOCK_TEXT_SIZE = 32 };
void clock_format_wall(int64_t wall_ms, char ret_text[CLOCK_TEXT_SIZE]);

#endif
