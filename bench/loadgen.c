/* A load generator for the benchmarks: one thread, epoll, keep-alive, one request in flight on each connection.
 *
 * It answers for three things: every punch that it sends is a new one, every answer is looked at (status, body, and a
 * header where one is asked for), and it is bounded by time and by number. It sends to 127.0.0.1 and nowhere else. It does
 * not judge: it prints one line of JSON, and `load.py` reads it.
 *
 * Punch number k is made of a person (k mod people) and a turn (k / people): everybody punches once, then everybody punches
 * again. Ten turns are three days: in, out, in, out on two of them, in and out on the third. So time grows as it does in
 * life, nothing is ever sent twice, and a million punches are always the same million.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_CONNECTIONS 4096
#define MAX_ITEMS 1000
#define MAX_HEADERS 16
#define MAX_HEAD 4096
#define MAX_RESPONSE (8u << 20)
/* After the end, answers that are still owed are waited for, so that the server is idle when the next part begins. */
#define DRAIN_NS 15000000000ull
/* A page of 32 buckets for every power of two: within 3 % of the truth, and no memory that grows with the run. */
#define SUB_BITS 5
#define BUCKETS (64 << SUB_BITS)
#define TURNS 10
#define TURNS_DAYS 3
#define NS 1000000000ull

static const char ITEM[] =
    "{\"user_id\":\"100000\",\"att_time\":\"2020-01-01 00:00:00\",\"att_state\":0,\"input_type\":1}";
#define ITEM_LENGTH (sizeof ITEM - 1)
#define PERSON_AT 12
#define TIME_AT 32
#define STATE_AT 65

enum kind { PUNCH, BATCH, GET };

struct options {
    enum kind kind;
    int port, connections, items;
    double seconds, warmup;
    uint64_t requests, first;
    long people, from_day;
    const char *path, *expect, *prefix, *expect_header;
    const char *headers[MAX_HEADERS];
    int header_count;
};

struct connection {
    int fd;
    bool is_waiting, wants_write;
    uint64_t sent_at;
    char *out, *body, *in;
    size_t out_length, out_done, in_length, in_size, head, need;
    int status;
};

struct totals {
    uint64_t answered, bad, broken, items, sent;
    uint64_t max_us;
    uint64_t bucket[BUCKETS];
};

static struct options options = {
    .kind = PUNCH, .connections = 64, .items = 1000, .seconds = 5, .requests = 10000000, .people = 5000,
    .from_day = 18262 /* 2020-01-01 */, .path = "/",
};
static struct connection connections[MAX_CONNECTIONS];
static struct totals totals;
static uint64_t next_punch, began, counted_from, deadline;
static int poller;

static void die(const char *what) {
    fprintf(stderr, "loadgen: %s: %s\n", what, errno ? strerror(errno) : "not possible");
    exit(1);
}

static uint64_t now_ns(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (uint64_t)at.tv_sec * NS + (uint64_t)at.tv_nsec;
}

static double cpu_s(void) {
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec)
         + (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

/* ---- what is sent ---- */

static void digits(char *at, unsigned long value, int width) {
    while (width-- > 0) {
        at[width] = (char)('0' + value % 10);
        value /= 10;
    }
}

/* Days since 1970 to a date, after Howard Hinnant's chrono-compatible algorithms. */
static void write_date(char *at, long day) {
    long z = day + 719468, era = z / 146097, doe = z - era * 146097;
    long yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    long doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    long month = mp < 10 ? mp + 3 : mp - 9;
    digits(at, (unsigned long)(yoe + era * 400 + (month <= 2)), 4);
    digits(at + 5, (unsigned long)month, 2);
    digits(at + 8, (unsigned long)(doy - (153 * mp + 2) / 5 + 1), 2);
}

static void write_item(char *item, uint64_t k) {
    static long day_written = -1;
    static char date[10] = {0, 0, 0, 0, '-', 0, 0, '-', 0, 0};
    uint64_t people = (uint64_t)options.people, person = k % people, turn = k / people;
    unsigned within = (unsigned)(turn % TURNS);
    long day = options.from_day + (long)(turn / TURNS) * TURNS_DAYS + within / 4;
    unsigned slot = within == 9 ? 3 : within % 4;
    unsigned second = 7 * 3600 + slot * 3 * 3600 + (unsigned)(person * 7919 % 1800);
    if (day != day_written) {
        write_date(date, day);
        day_written = day;
    }
    digits(item + PERSON_AT, 100000 + person, 6);
    memcpy(item + TIME_AT, date, 10);
    digits(item + TIME_AT + 11, second / 3600, 2);
    digits(item + TIME_AT + 14, second / 60 % 60, 2);
    digits(item + TIME_AT + 17, second % 60, 2);
    item[STATE_AT] = (char)('0' + slot % 2);
}

static void prepare(struct connection *c) {
    char head[MAX_HEAD];
    size_t body = options.kind == PUNCH ? ITEM_LENGTH
                : options.kind == BATCH ? (size_t)options.items * (ITEM_LENGTH + 1) + 1 : 0;
    int n = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n",
                     options.kind == GET ? "GET" : "POST", options.path, options.port);
    for (int i = 0; i < options.header_count && n < MAX_HEAD; i++)
        n += snprintf(head + n, sizeof head - (size_t)n, "%s\r\n", options.headers[i]);
    if (n < MAX_HEAD && options.kind != GET)
        n += snprintf(head + n, sizeof head - (size_t)n,
                      "Content-Type: application/json\r\nContent-Length: %zu\r\n", body);
    if (n < MAX_HEAD)
        n += snprintf(head + n, sizeof head - (size_t)n, "\r\n");
    if (n >= MAX_HEAD)
        die("headers too long");
    c->out_length = (size_t)n + body;
    c->in_size = 16384;
    c->out = malloc(c->out_length);
    c->in = malloc(c->in_size);
    if (!c->out || !c->in)
        die("memory");
    memcpy(c->out, head, (size_t)n);
    c->body = c->out + n;
    if (options.kind == PUNCH)
        memcpy(c->body, ITEM, ITEM_LENGTH);
    if (options.kind == BATCH) {
        for (int i = 0; i < options.items; i++) {
            char *at = c->body + (size_t)i * (ITEM_LENGTH + 1);
            *at = i ? ',' : '[';
            memcpy(at + 1, ITEM, ITEM_LENGTH);
        }
        c->body[body - 1] = ']';
    }
}

static void fill(struct connection *c) {
    if (options.kind == PUNCH)
        write_item(c->body, next_punch++);
    if (options.kind == BATCH)
        for (int i = 0; i < options.items; i++)
            write_item(c->body + (size_t)i * (ITEM_LENGTH + 1) + 1, next_punch++);
}

/* ---- connections ---- */

static void open_connection(struct connection *c) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)options.port)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    int one = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    /* Connecting is not part of what is measured, so it may block. */
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0)
        die("cannot connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    if (epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event) < 0)
        die("epoll");
    c->is_waiting = c->wants_write = false;
}

static void want(struct connection *c, bool write) {
    struct epoll_event event = {.events = EPOLLIN | (write ? (uint32_t)EPOLLOUT : 0u), .data.ptr = c};
    if (c->wants_write == write)
        return;
    epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event);
    c->wants_write = write;
}

static bool flush_out(struct connection *c) {
    while (c->out_done < c->out_length) {
        ssize_t n = send(c->fd, c->out + c->out_done, c->out_length - c->out_done, MSG_NOSIGNAL);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            want(c, true);
            return true;
        }
        if (n <= 0)
            return false;
        c->out_done += (size_t)n;
    }
    want(c, false);
    return true;
}

static void break_off(struct connection *c);

static void start(struct connection *c) {
    if (totals.sent >= options.requests || now_ns() >= deadline)
        return;
    fill(c);
    c->out_done = c->in_length = c->head = c->need = 0;
    c->is_waiting = true;
    totals.sent++;
    c->sent_at = now_ns();
    if (!flush_out(c))
        break_off(c);
}

/* The peer hung up, or said what is not HTTP: what was in flight is broken, and a new connection takes its place. */
static void break_off(struct connection *c) {
    totals.broken += c->is_waiting;
    close(c->fd);
    open_connection(c);
    if (totals.broken > 1000)
        die("more than 1,000 broken connections");
    start(c);
}

/* ---- what comes back ---- */

static unsigned bucket_of(uint64_t us) {
    unsigned top;
    if (us < (1u << SUB_BITS))
        return (unsigned)us;
    top = 63u - (unsigned)__builtin_clzll(us);
    return ((top - SUB_BITS + 1) << SUB_BITS) + (unsigned)((us >> (top - SUB_BITS)) & ((1u << SUB_BITS) - 1));
}

static double middle_of(unsigned bucket) {
    unsigned page = bucket >> SUB_BITS, within = bucket & ((1u << SUB_BITS) - 1);
    if (page == 0)
        return within + 0.5;
    return ((double)(1u << SUB_BITS) + within + 0.5) * (double)(1ull << (page - 1));
}

static double percentile(double share) {
    uint64_t wanted = (uint64_t)(share * (double)totals.answered), seen = 0;
    for (unsigned i = 0; i < BUCKETS; i++)
        if ((seen += totals.bucket[i]) > wanted)
            return middle_of(i);
    return 0;
}

static bool is_good(struct connection *c) {
    const char *body = c->in + c->head;
    size_t length = c->need - c->head;
    if (c->status != 200)
        return false;
    if (options.expect && (length != strlen(options.expect) || memcmp(body, options.expect, length)))
        return false;
    if (options.prefix && (length < strlen(options.prefix) || memcmp(body, options.prefix, strlen(options.prefix))))
        return false;
    return !options.expect_header || strcasestr(c->in, options.expect_header);
}

static bool read_head(struct connection *c) {
    char *end = memmem(c->in, c->in_length, "\r\n\r\n", 4), *length;
    if (!end)
        return true;
    *end = 0;
    length = strcasestr(c->in, "\r\ncontent-length:");
    if (strncmp(c->in, "HTTP/1.", 7) || !length)
        return false;
    c->status = atoi(c->in + 9);
    c->head = (size_t)(end - c->in) + 4;
    c->need = c->head + strtoul(length + 17, NULL, 10);
    if (c->need > MAX_RESPONSE)
        return false;
    if (c->need > c->in_size) {
        c->in_size = c->need;
        c->in = realloc(c->in, c->in_size);
        if (!c->in)
            die("memory");
    }
    return true;
}

static void finish(struct connection *c) {
    uint64_t at = now_ns(), us = (at - c->sent_at) / 1000;
    c->is_waiting = false;
    if (at >= counted_from && at <= deadline) {
        totals.answered++;
        totals.bucket[bucket_of(us)]++;
        if (us > totals.max_us)
            totals.max_us = us;
        if (is_good(c))
            totals.items += options.kind == BATCH ? (uint64_t)options.items : 1;
        else
            totals.bad++;
    } else if (!is_good(c)) {
        totals.bad++;
    }
    start(c);
}

static void receive(struct connection *c) {
    for (;;) {
        ssize_t n = c->in_length < c->in_size ? recv(c->fd, c->in + c->in_length, c->in_size - c->in_length, 0) : 0;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (n <= 0 || !c->is_waiting) {
            break_off(c);
            return;
        }
        c->in_length += (size_t)n;
        if (!c->need && !read_head(c)) {
            break_off(c);
            return;
        }
        if (c->need && c->in_length > c->need) {
            break_off(c);
            return;
        }
        if (c->need && c->in_length == c->need) {
            finish(c);
            return;
        }
    }
}

static int waiting(void) {
    int count = 0;
    for (int i = 0; i < options.connections; i++)
        count += connections[i].is_waiting;
    return count;
}

static void run(void) {
    struct epoll_event events[512];
    for (;;) {
        uint64_t at = now_ns();
        bool is_over = totals.sent >= options.requests || at >= deadline;
        if (is_over && (!waiting() || at > deadline + DRAIN_NS))
            return;
        int n = epoll_wait(poller, events, 512, 50);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if ((events[i].events & EPOLLOUT) && !flush_out(c))
                break_off(c);
            else if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                receive(c);
        }
    }
}

/* ---- the command ---- */

static void read_options(int argc, char **argv) {
    static const struct option known[] = {
        {"kind", 1, 0, 'k'}, {"port", 1, 0, 'p'}, {"connections", 1, 0, 'c'}, {"seconds", 1, 0, 's'},
        {"warmup", 1, 0, 'w'}, {"requests", 1, 0, 'r'}, {"path", 1, 0, 'u'}, {"header", 1, 0, 'h'},
        {"items", 1, 0, 'i'}, {"people", 1, 0, 'n'}, {"first", 1, 0, 'f'}, {"from-day", 1, 0, 'd'},
        {"expect", 1, 0, 'e'}, {"expect-prefix", 1, 0, 'x'}, {"expect-header", 1, 0, 'y'}, {0, 0, 0, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 'k':
            options.kind = !strcmp(optarg, "get") ? GET : !strcmp(optarg, "batch") ? BATCH : PUNCH;
            break;
        case 'p': options.port = atoi(optarg); break;
        case 'c': options.connections = atoi(optarg); break;
        case 's': options.seconds = atof(optarg); break;
        case 'w': options.warmup = atof(optarg); break;
        case 'r': options.requests = strtoull(optarg, NULL, 10); break;
        case 'u': options.path = optarg; break;
        case 'i': options.items = atoi(optarg); break;
        case 'n': options.people = atol(optarg); break;
        case 'f': options.first = strtoull(optarg, NULL, 10); break;
        case 'd': options.from_day = atol(optarg); break;
        case 'e': options.expect = optarg; break;
        case 'x': options.prefix = optarg; break;
        case 'y': options.expect_header = optarg; break;
        case 'h':
            if (options.header_count < MAX_HEADERS)
                options.headers[options.header_count++] = optarg;
            break;
        default: exit(2);
        }
    }
    if (options.port < 1 || options.port > 65535 || options.connections < 1
        || options.connections > MAX_CONNECTIONS || options.items < 1 || options.items > MAX_ITEMS
        || options.people < 1 || options.people > 900000 || options.seconds <= 0 || options.warmup < 0
        || options.requests < 1) {
        fprintf(stderr, "loadgen: --port, or a number out of its bounds\n");
        exit(2);
    }
}

int main(int argc, char **argv) {
    double used_before;
    uint64_t ended;
    read_options(argc, argv);
    errno = 0;
    next_punch = options.first;
    poller = epoll_create1(0);
    for (int i = 0; i < options.connections; i++) {
        prepare(&connections[i]);
        open_connection(&connections[i]);
    }
    used_before = cpu_s();
    began = now_ns();
    counted_from = began + (uint64_t)(options.warmup * (double)NS);
    deadline = counted_from + (uint64_t)(options.seconds * (double)NS);
    for (int i = 0; i < options.connections; i++)
        start(&connections[i]);
    run();
    ended = now_ns();
    totals.broken += (uint64_t)waiting();
    if (ended > deadline)
        ended = deadline;
    printf("{\"answered\":%llu,\"bad\":%llu,\"broken\":%llu,\"items\":%llu,\"seconds\":%.6f,\"p50_us\":%.1f,"
           "\"p99_us\":%.1f,\"max_us\":%llu,\"cores\":%.3f,\"sent\":%llu,\"next\":%llu}\n",
           (unsigned long long)totals.answered, (unsigned long long)totals.bad,
           (unsigned long long)totals.broken, (unsigned long long)totals.items,
           (double)(ended - counted_from) / (double)NS, percentile(0.5), percentile(0.99),
           (unsigned long long)totals.max_us, (cpu_s() - used_before) * (double)NS / (double)(ended - began),
           (unsigned long long)totals.sent, (unsigned long long)next_punch);
    return 0;
}
