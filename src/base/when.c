#include "base/when.h"

#include <stdio.h>

#define DAY 86400

/* Days from 1970-01-01 to a date of the Gregorian calendar. Years begin in March, so that the leap
 * day is the last of its year; 400 years have 146097 days. */
static int64_t days_to(int64_t year, int64_t month, int64_t day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t of_era = y - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void date_of(int64_t days, int64_t *ret_year, int64_t *ret_month, int64_t *ret_day)
{
    int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097, of_era = z - era * 146097;
    int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * y + y / 4 - y / 100), m = (5 * of_year + 2) / 153;
    *ret_day = of_year - (153 * m + 2) / 5 + 1;
    *ret_month = m < 10 ? m + 3 : m - 9;
    *ret_year = y + era * 400 + (*ret_month <= 2);
}

/* Writes `n` digits and `after`; returns the end. */
static char *put(char *p, int64_t v, int n, char after)
{
    for (int i = n - 1; i >= 0; i--, v /= 10)
        p[i] = (char)('0' + v % 10);
    p[n] = after;
    return p + n + 1;
}

void tl_when_write(char ret_text[TL_WHEN_TEXT_MAX], tl_unix t)
{
    const tl_unix first = days_to(0, 1, 1) * DAY,
                  last = days_to(TL_WHEN_YEAR_MAX + 1, 1, 1) * DAY - 1;
    int64_t year, month, day;
    t = t < first ? first : t > last ? last : t;
    int64_t days = (t >= 0 ? t : t - (DAY - 1)) / DAY, secs = t - days * DAY;
    date_of(days, &year, &month, &day);
    char *p = put(ret_text, year, 4, '-');
    p = put(p, month, 2, '-');
    p = put(p, day, 2, 'T');
    p = put(p, secs / 3600, 2, ':');
    p = put(p, secs / 60 % 60, 2, ':');
    p = put(p, secs % 60, 2, 'Z');
    *p = 0;
}

/* Takes `n` digits off the front; -1: they are not there. */
static int64_t take_digits(tl_slice *t, size_t n)
{
    int64_t v = 0;
    if (t->n < n)
        return -1;
    for (size_t i = 0; i < n; i++) {
        if (t->p[i] < '0' || t->p[i] > '9')
            return -1;
        v = v * 10 + (t->p[i] - '0');
    }
    *t = tl_slice_of(t->p + n, t->n - n);
    return v;
}

static bool take_one(tl_slice *t, const char *of)
{
    if (!t->n || !t->p[0] || !strchr(of, t->p[0]))
        return false;
    *t = tl_slice_of(t->p + 1, t->n - 1);
    return true;
}

/* ".123": at least one digit. */
static bool take_fraction(tl_slice *t)
{
    size_t digits = 0;
    if (!take_one(t, "."))
        return true;
    while (take_digits(t, 1) >= 0)
        digits++;
    return digits > 0;
}

/* "Z", "+01:00", "-05:30": in seconds. */
static bool take_offset(tl_slice *t, int64_t *ret)
{
    *ret = 0;
    if (take_one(t, "Zz"))
        return true;
    bool back = t->n && t->p[0] == '-';
    if (!take_one(t, "+-"))
        return false;
    int64_t hours = take_digits(t, 2);
    if (hours < 0 || hours > 23 || !take_one(t, ":"))
        return false;
    int64_t minutes = take_digits(t, 2);
    *ret = (hours * 3600 + minutes * 60) * (back ? -1 : 1);
    return minutes >= 0 && minutes <= 59;
}

static int64_t days_in(int64_t year, int64_t month)
{
    return month == 12 ? 31 : days_to(year, month + 1, 1) - days_to(year, month, 1);
}

tl_err tl_when_parse(tl_slice t, tl_unix *ret_time)
{
    int64_t year, month, day, hour, minute, second, offset;
    if ((year = take_digits(&t, 4)) < 0 || !take_one(&t, "-") || (month = take_digits(&t, 2)) < 1 ||
        month > 12 || !take_one(&t, "-") || (day = take_digits(&t, 2)) < 1 ||
        day > days_in(year, month) || !take_one(&t, "Tt ") || (hour = take_digits(&t, 2)) < 0 ||
        hour > 23 || !take_one(&t, ":") || (minute = take_digits(&t, 2)) < 0 || minute > 59 ||
        !take_one(&t, ":") || (second = take_digits(&t, 2)) < 0 || second > 60 ||
        !take_fraction(&t) || !take_offset(&t, &offset) || t.n)
        return TL_ERR_PROTO;
    *ret_time = days_to(year, month, day) * DAY + hour * 3600 + minute * 60 + second - offset;
    return TL_OK;
}

tl_err tl_span_parse(tl_slice text, int64_t *ret_seconds)
{
    static const char units[] = "smhd";
    static const int64_t seconds[] = {1, 60, 3600, DAY};
    if (text.n < 2)
        return TL_ERR_PROTO;
    const char *unit = text.p[text.n - 1] ? strchr(units, text.p[text.n - 1]) : NULL;
    int64_t v = 0, of = unit ? seconds[unit - units] : 1;
    for (size_t i = 0; i + 1 < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return TL_ERR_PROTO;
        v = v > TL_SPAN_MAX / 10 ? TL_SPAN_MAX : v * 10 + (text.p[i] - '0');
    }
    if (!unit)
        return TL_ERR_PROTO;
    if (v < 1 || v > TL_SPAN_MAX / of)
        return TL_ERR_INVALID;
    *ret_seconds = v * of;
    return TL_OK;
}

void tl_span_write(char ret_text[TL_WHEN_TEXT_MAX], int64_t s)
{
    s = s > 0 ? s : 0;
    if (s < 120)
        snprintf(ret_text, TL_WHEN_TEXT_MAX, "%d s", (int)s);
    else if (s < 7200)
        snprintf(ret_text, TL_WHEN_TEXT_MAX, "%d min", (int)(s / 60));
    else if (s < 2 * DAY)
        snprintf(ret_text, TL_WHEN_TEXT_MAX, "%d h", (int)(s / 3600));
    else
        snprintf(ret_text, TL_WHEN_TEXT_MAX, "%lld d", (long long)(s / DAY));
}
