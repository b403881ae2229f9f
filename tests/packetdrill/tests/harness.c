/* Drives the shared object as packetdrill does: by its interface, with raw packets, a virtual clock, and a second thread
 * for a call that blocks. Prints one line a check; ends with 0 when all hold. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

struct interface {
    void *ud;
    void (*free)(void *);
    int (*socket)(void *, int, int, int);
    int (*bind)(void *, int, const struct sockaddr *, socklen_t);
    int (*listen)(void *, int, int);
    int (*accept)(void *, int, struct sockaddr *, socklen_t *);
    int (*connect)(void *, int, const struct sockaddr *, socklen_t);
    ssize_t (*read)(void *, int, void *, size_t);
    ssize_t (*readv)(void *, int, const struct iovec *, int);
    ssize_t (*recv)(void *, int, void *, size_t, int);
    ssize_t (*recvfrom)(void *, int, void *, size_t, int, struct sockaddr *, socklen_t *);
    ssize_t (*recvmsg)(void *, int, struct msghdr *, int);
    ssize_t (*write)(void *, int, const void *, size_t);
    ssize_t (*writev)(void *, int, const struct iovec *, int);
    ssize_t (*send)(void *, int, const void *, size_t, int);
    ssize_t (*sendto)(void *, int, const void *, size_t, int, const struct sockaddr *, socklen_t);
    ssize_t (*sendmsg)(void *, int, const struct msghdr *, int);
    int (*fcntl)(void *, int, int, ...);
    int (*ioctl)(void *, int, unsigned long, ...);
    int (*close)(void *, int);
    int (*shutdown)(void *, int, int);
    int (*getsockopt)(void *, int, int, int, void *, socklen_t *);
    int (*setsockopt)(void *, int, int, int, const void *, socklen_t);
    int (*poll)(void *, struct pollfd *, nfds_t, int);
    int (*netdev_send)(void *, const void *, size_t);
    int (*netdev_receive)(void *, void *, size_t *, long long *);
    int (*usleep)(void *, useconds_t);
    int (*gettimeofday)(void *, struct timeval *, void *);
    int (*epoll_create)(void *, int);
    int (*epoll_ctl)(void *, int, int, int, struct epoll_event *);
    int (*epoll_wait)(void *, int, struct epoll_event *, int, int);
    int (*pipe)(void *, int *);
    ssize_t (*splice)(void *, int, loff_t *, int, loff_t *, size_t, unsigned);
};

static struct interface ifc;
static void (*init)(const char *, struct interface *);
static int failures;

#define CHECK(condition)                                            \
    do {                                                            \
        int holds = (condition);                                    \
        printf("%s: %s\n", holds ? "ok" : "FAILED", #condition);    \
        failures += !holds;                                         \
    } while (0)

#define LOCAL "192.168.77.5"
#define REMOTE "192.0.2.1"
#define LOCAL6 "fd00:77::5"
#define REMOTE6 "2001:db8::1"

static uint32_t sum(const uint8_t *bytes, size_t len, uint32_t total) {
    for (size_t i = 0; i < len; i++)
        total += i & 1 ? bytes[i] : (uint32_t)bytes[i] << 8;
    return total;
}

static uint16_t finish(uint32_t total) {
    while (total >> 16)
        total = (total & 0xffff) + (total >> 16);
    return (uint16_t)~total;
}

/* One segment from 192.0.2.1:5000 to LOCAL:8080. */
static void segment(uint8_t flags, uint32_t seq, uint32_t ack, size_t len) {
    uint8_t packet[40 + 2000] = {0x45};
    uint8_t *tcp = packet + 20;
    size_t total = 40 + len;
    packet[2] = (uint8_t)(total >> 8);
    packet[3] = (uint8_t)total;
    packet[8] = 64;
    packet[9] = IPPROTO_TCP;
    inet_pton(AF_INET, REMOTE, packet + 12);
    inet_pton(AF_INET, LOCAL, packet + 16);
    uint16_t header_sum = htons(finish(sum(packet, 20, 0)));
    memcpy(packet + 10, &header_sum, 2);
    uint16_t ports[2] = {htons(5000), htons(8080)};
    uint32_t numbers[2] = {htonl(seq), htonl(ack)};
    memcpy(tcp, ports, 4);
    memcpy(tcp + 4, numbers, 8);
    tcp[12] = 0x50;
    tcp[13] = flags;
    tcp[14] = 0x7f;
    uint32_t pseudo = sum(packet + 12, 8, IPPROTO_TCP + (uint32_t)(20 + len));
    uint16_t tcp_sum = htons(finish(sum(tcp, 20 + len, pseudo)));
    memcpy(tcp + 16, &tcp_sum, 2);
    CHECK(ifc.netdev_send(ifc.ud, packet, total) == 0);
}

struct seen {
    size_t len;
    uint8_t flags;
    uint32_t seq, ack;
    long long time_us;
};

static struct seen receive(void) {
    uint8_t packet[65536];
    struct seen seen = {.len = sizeof packet};
    if (ifc.netdev_receive(ifc.ud, packet, &seen.len, &seen.time_us) != 0 || seen.len < 40)
        return seen;
    memcpy(&seen.seq, packet + 24, 4);
    memcpy(&seen.ack, packet + 28, 4);
    seen.seq = ntohl(seen.seq);
    seen.ack = ntohl(seen.ack);
    seen.flags = packet[33];
    return seen;
}

/* One segment from LOCAL6's peer to its port `port`. */
static void segment6(uint16_t port, uint8_t flags, uint32_t seq, uint32_t ack, const char *data, size_t len) {
    uint8_t packet[60 + 100] = {0x60};
    uint8_t *tcp = packet + 40;
    packet[5] = (uint8_t)(20 + len);
    packet[6] = IPPROTO_TCP;
    packet[7] = 64;
    inet_pton(AF_INET6, REMOTE6, packet + 8);
    inet_pton(AF_INET6, LOCAL6, packet + 24);
    uint16_t ports[2] = {htons(5000), htons(port)};
    uint32_t numbers[2] = {htonl(seq), htonl(ack)};
    memcpy(tcp, ports, 4);
    memcpy(tcp + 4, numbers, 8);
    tcp[12] = 0x50;
    tcp[13] = flags;
    tcp[14] = 0x7f;
    memcpy(tcp + 20, data, len);
    uint32_t pseudo = sum(packet + 8, 32, IPPROTO_TCP + (uint32_t)(20 + len));
    uint16_t tcp_sum = htons(finish(sum(tcp, 20 + len, pseudo)));
    memcpy(tcp + 16, &tcp_sum, 2);
    CHECK(ifc.netdev_send(ifc.ud, packet, 60 + len) == 0);
}

struct seen6 {
    size_t len, data_len;
    uint8_t flags;
    uint16_t from, to;
    uint32_t seq, ack;
    char data[1500];
};

static struct seen6 receive6(void) {
    uint8_t packet[65536];
    struct seen6 seen = {.len = sizeof packet};
    long long time_us;
    if (ifc.netdev_receive(ifc.ud, packet, &seen.len, &time_us) != 0 || seen.len < 60 || packet[0] >> 4 != 6) {
        seen.len = 0;
        return seen;
    }
    uint8_t *tcp = packet + 40;
    size_t header = 40 + (size_t)(tcp[12] >> 4) * 4;
    memcpy(&seen.from, tcp, 2);
    memcpy(&seen.to, tcp + 2, 2);
    memcpy(&seen.seq, tcp + 4, 4);
    memcpy(&seen.ack, tcp + 8, 4);
    seen.from = ntohs(seen.from);
    seen.to = ntohs(seen.to);
    seen.seq = ntohl(seen.seq);
    seen.ack = ntohl(seen.ack);
    seen.flags = tcp[13];
    seen.data_len = seen.len - header;
    memcpy(seen.data, packet + header, seen.data_len < sizeof seen.data ? seen.data_len : sizeof seen.data);
    return seen;
}

static long long now_us(void) {
    struct timeval tv;
    ifc.gettimeofday(ifc.ud, &tv, NULL);
    return tv.tv_sec * 1000000LL + tv.tv_usec;
}

static int blocked_fd;
static ssize_t blocked_result;
static long long blocked_end;
static volatile pid_t blocked_thread;

static void *blocking_read(void *unused) {
    char buffer[100];
    (void)unused;
    blocked_thread = (pid_t)syscall(SYS_gettid);
    blocked_result = ifc.read(ifc.ud, blocked_fd, buffer, sizeof buffer);
    blocked_end = now_us();
    return NULL;
}

static int sleeping(pid_t thread) {
    char path[64], text[512], *state;
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", thread);
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    size_t len = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[len] = 0;
    state = strrchr(text, ')');
    return state && state[2] == 'S';
}

static int handshake(uint32_t *isn) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(8080)}, from;
    socklen_t from_len = sizeof from;
    inet_pton(AF_INET, LOCAL, &address.sin_addr);
    int listener = ifc.socket(ifc.ud, AF_INET, SOCK_STREAM, IPPROTO_TCP);
    CHECK(listener > 2);
    CHECK(ifc.bind(ifc.ud, listener, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(ifc.listen(ifc.ud, listener, 1) == 0);
    segment(TH_SYN, 1000, 0, 0);
    struct seen reply = receive();
    CHECK(reply.flags == (TH_SYN | TH_ACK) && reply.ack == 1001);
    *isn = reply.seq;
    segment(TH_ACK, 1001, reply.seq + 1, 0);
    int fd = ifc.accept(ifc.ud, listener, (struct sockaddr *)&from, &from_len);
    CHECK(fd > 2 && fd != listener && from.sin_port == htons(5000) && from_len == sizeof from);
    errno = 0;
    CHECK(ifc.fcntl(ifc.ud, listener, 4 /* F_SETFL */, 04000 /* O_NONBLOCK */) == 0);
    CHECK(ifc.accept(ifc.ud, listener, NULL, NULL) == -1 && errno == EAGAIN);
    return fd;
}

static void blocking(int fd, uint32_t isn) {
    pthread_t thread;
    blocked_fd = fd;
    long long begun = now_us();
    pthread_create(&thread, NULL, blocking_read, NULL);
    while (!blocked_thread || !sleeping(blocked_thread))
        usleep(1000);
    ifc.usleep(ifc.ud, 300000);
    CHECK(blocked_result == 0);
    segment(TH_ACK | TH_PUSH, 1001, isn + 1, 10);
    long long sent = now_us();
    pthread_join(thread, NULL);
    CHECK(blocked_result == 10);
    CHECK(blocked_end >= begun + 300000 && blocked_end <= sent);
    CHECK(receive().ack == 1011);
}

/* A time stamp (32 bytes) and TCP_INQ (20) beside what is read: all that there is room for. */
static void ancillary_data(int fd, struct msghdr message) {
    static const struct {
        size_t room, len, last;
        int flags;
    } cases[] = {{56, 56, 20, 0}, {52, 52, 20, 0}, {50, 50, 18, MSG_CTRUNC}, {40, 32, 0, MSG_CTRUNC}, {20, 20, 0, MSG_CTRUNC}};
    union {
        struct cmsghdr first;
        char bytes[64];
    } control;
    int on = 1, off = 0;
    CHECK(ifc.setsockopt(ifc.ud, fd, SOL_SOCKET, SO_TIMESTAMP, &on, sizeof on) == 0);
    CHECK(ifc.setsockopt(ifc.ud, fd, IPPROTO_TCP, TCP_INQ, &on, sizeof on) == 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        message.msg_control = &control;
        message.msg_controllen = cases[i].room;
        CHECK(ifc.recvmsg(ifc.ud, fd, &message, MSG_PEEK) == 4);
        CHECK(message.msg_controllen == cases[i].len && message.msg_flags == cases[i].flags);
        CHECK(control.first.cmsg_len == (cases[i].room < 32 ? cases[i].room : 32) && control.first.cmsg_type == SO_TIMESTAMP);
        struct cmsghdr *last = (struct cmsghdr *)(control.bytes + 32);
        CHECK(cases[i].last == 0 || (last->cmsg_len == cases[i].last && last->cmsg_type == TCP_CM_INQ));
    }
    CHECK(ifc.setsockopt(ifc.ud, fd, SOL_SOCKET, SO_TIMESTAMP, &off, sizeof off) == 0);
    CHECK(ifc.setsockopt(ifc.ud, fd, IPPROTO_TCP, TCP_INQ, &off, sizeof off) == 0);
}

/* A connection of IPv6 that this side opens, through each way to read and to write. */
static void over_ipv6(void) {
    struct sockaddr_in6 own = {.sin6_family = AF_INET6}, peer = {.sin6_family = AF_INET6, .sin6_port = htons(5000)}, from;
    socklen_t from_len = sizeof from;
    char a[4], b[100];
    inet_pton(AF_INET6, LOCAL6, &own.sin6_addr);
    inet_pton(AF_INET6, REMOTE6, &peer.sin6_addr);
    int fd = ifc.socket(ifc.ud, AF_INET6, SOCK_STREAM, IPPROTO_TCP);
    CHECK(fd > 2);
    CHECK(ifc.bind(ifc.ud, fd, (struct sockaddr *)&own, sizeof own) == 0);
    CHECK(ifc.fcntl(ifc.ud, fd, 4 /* F_SETFL */, 04000 /* O_NONBLOCK */) == 0);
    errno = 0;
    CHECK(ifc.connect(ifc.ud, fd, (struct sockaddr *)&peer, sizeof peer) == -1 && errno == EINPROGRESS);
    struct seen6 syn = receive6();
    CHECK(syn.flags == TH_SYN && syn.to == 5000);
    uint32_t nxt = syn.seq + 1;
    segment6(syn.from, TH_SYN | TH_ACK, 7000, nxt, "", 0);
    CHECK(receive6().ack == 7001);
    int error = -1;
    socklen_t len = sizeof error;
    CHECK(ifc.getsockopt(ifc.ud, fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0 && len == 4);
    CHECK(ifc.connect(ifc.ud, fd, (struct sockaddr *)&peer, sizeof peer) == 0);

    struct iovec parts[2] = {{"ab", 2}, {"cde", 3}};
    int one = 1;
    CHECK(ifc.setsockopt(ifc.ud, fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0);
    CHECK(ifc.writev(ifc.ud, fd, parts, 2) == 5);
    struct seen6 seen = receive6();
    CHECK(seen.seq == nxt && seen.data_len == 5 && memcmp(seen.data, "abcde", 5) == 0);
    CHECK(ifc.send(ifc.ud, fd, "fg", 2, MSG_DONTWAIT) == 2);
    seen = receive6();
    CHECK(seen.seq == nxt + 5 && seen.data_len == 2 && memcmp(seen.data, "fg", 2) == 0);
    segment6(syn.from, TH_ACK, 7001, nxt + 7, "", 0);

    segment6(syn.from, TH_ACK | TH_PUSH, 7001, nxt + 7, "0123456789ABCDEF", 16);
    CHECK(receive6().ack == 7017);
    struct iovec into[2] = {{a, 2}, {b, 2}};
    CHECK(ifc.readv(ifc.ud, fd, into, 2) == 4 && memcmp(a, "01", 2) == 0 && memcmp(b, "23", 2) == 0);
    CHECK(ifc.recvfrom(ifc.ud, fd, b, 3, 0, (struct sockaddr *)&from, &from_len) == 3 && memcmp(b, "456", 3) == 0);
    struct msghdr message = {.msg_iov = into, .msg_iovlen = 2};
    CHECK(ifc.recvmsg(ifc.ud, fd, &message, MSG_PEEK) == 4 && memcmp(a, "78", 2) == 0 && memcmp(b, "9A", 2) == 0);
    ancillary_data(fd, message);
    CHECK(ifc.recvmsg(ifc.ud, fd, &message, 0) == 4 && message.msg_flags == 0 && message.msg_controllen == 0);

    /* What is left goes through a pipe and back to the peer. */
    int ends[2] = {-1, -1};
    CHECK(ifc.pipe(ifc.ud, ends) == 0 && ends[0] > 2 && ends[1] > 2 && ends[0] != ends[1]);
    CHECK(ifc.splice(ifc.ud, fd, NULL, ends[1], NULL, 100, 0) == 5);
    CHECK(ifc.splice(ifc.ud, ends[0], NULL, fd, NULL, 100, 0) == 5);
    seen = receive6();
    CHECK(seen.data_len == 5 && memcmp(seen.data, "BCDEF", 5) == 0);
    CHECK(ifc.close(ifc.ud, ends[0]) == 0 && ifc.close(ifc.ud, ends[1]) == 0);

    CHECK(ifc.shutdown(ifc.ud, fd, SHUT_WR) == 0);
    seen = receive6();
    CHECK((seen.flags & TH_FIN) && seen.seq == nxt + 12);
    errno = 0;
    CHECK(ifc.send(ifc.ud, fd, "h", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
    segment6(syn.from, TH_ACK | TH_FIN, 7017, nxt + 13, "", 0);
    CHECK(receive6().ack == 7018);
    CHECK(ifc.read(ifc.ud, fd, b, sizeof b) == 0);
    CHECK(ifc.close(ifc.ud, fd) == 0);
}

/* What a call on a wrong descriptor or with a wrong address ends with. */
#define FAILS(call, error)                  \
    do {                                    \
        errno = 0;                          \
        CHECK((call) == -1 && errno == error); \
    } while (0)

static void on_wrong_descriptors(void) {
    char data[10] = {0};
    int ends[2], value = 0, socket = ifc.socket(ifc.ud, AF_INET, SOCK_STREAM, 0);
    socklen_t len = sizeof value;
    struct msghdr message = {0};
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons(9)};
    struct sockaddr *to = (struct sockaddr *)&peer;
    CHECK(ifc.pipe(ifc.ud, ends) == 0);
    CHECK(ifc.write(ifc.ud, ends[1], data, 5) == 5);
    FAILS(ifc.send(ifc.ud, ends[1], data, 5, 0), ENOTSOCK);
    FAILS(ifc.sendto(ifc.ud, ends[1], data, 5, 0, to, sizeof peer), ENOTSOCK);
    FAILS(ifc.sendmsg(ifc.ud, ends[1], &message, 0), ENOTSOCK);
    FAILS(ifc.recv(ifc.ud, ends[0], data, 5, 0), ENOTSOCK);
    FAILS(ifc.recvfrom(ifc.ud, ends[0], data, 5, 0, NULL, NULL), ENOTSOCK);
    FAILS(ifc.recvmsg(ifc.ud, ends[0], &message, 0), ENOTSOCK);
    FAILS(ifc.bind(ifc.ud, ends[0], to, sizeof peer), ENOTSOCK);
    FAILS(ifc.connect(ifc.ud, ends[0], to, sizeof peer), ENOTSOCK);
    /* Whether there is such a socket comes before what its call is given. */
    FAILS(ifc.recvmsg(ifc.ud, 999, NULL, 0), EBADF);
    FAILS(ifc.sendmsg(ifc.ud, 999, NULL, 0), EBADF);
    FAILS(ifc.bind(ifc.ud, 999, NULL, 16), EBADF);
    FAILS(ifc.connect(ifc.ud, 999, NULL, 16), EBADF);
    FAILS(ifc.getsockopt(ifc.ud, 999, SOL_SOCKET, SO_TYPE, &value, NULL), EBADF);
    FAILS(ifc.getsockopt(ifc.ud, ends[0], SOL_SOCKET, SO_TYPE, &value, &len), ENOTSOCK);
    FAILS(ifc.setsockopt(ifc.ud, 999, SOL_SOCKET, SO_REUSEADDR, NULL, 4), EBADF);
    CHECK(ifc.read(ifc.ud, ends[0], data, 3) == 3);

    /* Neither end has a position. */
    loff_t offset = 0;
    CHECK(ifc.splice(ifc.ud, 999, NULL, 999, NULL, 0, 0) == 0);
    FAILS(ifc.splice(ifc.ud, ends[0], NULL, socket, NULL, 2, 64), EINVAL);
    FAILS(ifc.splice(ifc.ud, ends[0], &offset, socket, NULL, 2, 0), ESPIPE);
    FAILS(ifc.splice(ifc.ud, socket, NULL, ends[1], &offset, 2, 0), ESPIPE);
    FAILS(ifc.splice(ifc.ud, ends[0], NULL, socket, &offset, 2, 0), EINVAL);
    FAILS(ifc.splice(ifc.ud, ends[1], NULL, socket, NULL, 2, 0), EBADF);
    FAILS(ifc.splice(ifc.ud, socket, NULL, ends[0], NULL, 2, 0), EBADF);

    int epoll = ifc.epoll_create(ifc.ud, 1);
    struct epoll_event event = {.events = EPOLLIN};
    FAILS(ifc.epoll_ctl(ifc.ud, epoll, EPOLL_CTL_ADD, socket, NULL), EFAULT);
    FAILS(ifc.epoll_ctl(ifc.ud, epoll, EPOLL_CTL_ADD, socket, (void *)16), EFAULT);
    CHECK(ifc.epoll_ctl(ifc.ud, epoll, EPOLL_CTL_ADD, socket, &event) == 0);
    FAILS(ifc.epoll_ctl(ifc.ud, epoll, EPOLL_CTL_MOD, socket, NULL), EFAULT);
    FAILS(ifc.epoll_ctl(ifc.ud, epoll, 9, socket, &event), EINVAL);
    CHECK(ifc.epoll_ctl(ifc.ud, epoll, EPOLL_CTL_DEL, socket, NULL) == 0);
}

static void to_wrong_addresses(void) {
    struct sockaddr_in6 own6 = {.sin6_family = AF_INET6, .sin6_port = htons(77)};
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(78)};
    struct sockaddr *v6 = (struct sockaddr *)&own6, *v4 = (struct sockaddr *)&own;
    union {
        struct sockaddr_in in;
        char bytes[sizeof own6];
    } padded = {own};
    int socket4 = ifc.socket(ifc.ud, AF_INET, SOCK_STREAM, 0), socket6 = ifc.socket(ifc.ud, AF_INET6, SOCK_STREAM, 0);
    FAILS(ifc.bind(ifc.ud, socket6, v4, sizeof own), EINVAL);
    FAILS(ifc.bind(ifc.ud, socket6, (struct sockaddr *)&padded, sizeof padded), EAFNOSUPPORT);
    FAILS(ifc.connect(ifc.ud, socket6, v4, sizeof own), EINVAL);
    FAILS(ifc.connect(ifc.ud, socket6, (struct sockaddr *)&padded, sizeof padded), EAFNOSUPPORT);
    FAILS(ifc.bind(ifc.ud, socket6, v6, 20), EINVAL);
    CHECK(ifc.bind(ifc.ud, socket6, v6, 24) == 0);
    FAILS(ifc.bind(ifc.ud, socket4, v6, sizeof own6), EAFNOSUPPORT);
    own.sin_family = AF_UNSPEC;
    own.sin_addr.s_addr = 1;
    FAILS(ifc.bind(ifc.ud, socket4, v4, sizeof own), EAFNOSUPPORT);
    own.sin_addr.s_addr = INADDR_ANY;
    FAILS(ifc.bind(ifc.ud, socket4, v4, 8), EINVAL);
    CHECK(ifc.bind(ifc.ud, socket4, v4, sizeof own) == 0);
}

/* A call that blocks the only thread is given up after twenty seconds. It may not end later for nobody: time would stand still. */
static void abandoned_call(void) {
    uint32_t isn;
    int fd = handshake(&isn);
    struct linger linger = {.l_onoff = 1, .l_linger = 120};
    char data[10] = {0};
    CHECK(ifc.setsockopt(ifc.ud, fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger) == 0);
    CHECK(ifc.write(ifc.ud, fd, data, sizeof data) == 10);
    long long before = now_us();
    FAILS(ifc.close(ifc.ud, fd), EAGAIN);
    long long after = now_us();
    CHECK(after >= before + 20000000 && after < before + 21000000);
    /* Data and FIN are acknowledged: all that the call waited for. */
    segment(TH_ACK, 1001, isn + 12, 0);
    after = now_us();
    ifc.usleep(ifc.ud, 5000000);
    before = now_us();
    CHECK(before >= after + 5000000 && before < after + 6000000);
    while (receive().len != 0)
        ;
    CHECK(now_us() >= before + 20000000);
    /* The descriptor was not closed. */
    CHECK(ifc.close(ifc.ud, fd) == 0);
}

/* The first address that a script names is the host's own, if it can be one. */
static void no_machine_s_address(void) {
    static const char *const v6[] = {"::1", "::ffff:127.0.0.1", "::ffff:127.255.0.1", "ff02::1"};
    static const char *const v4[] = {"127.0.0.1", "127.1.2.3", "224.0.0.1", "255.255.255.255"};
    struct sockaddr_in6 own6 = {.sin6_family = AF_INET6, .sin6_port = htons(77)};
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(78)};
    struct sockaddr *to6 = (struct sockaddr *)&own6, *to = (struct sockaddr *)&own;
    for (int kind = SOCK_STREAM; kind <= SOCK_DGRAM; kind++) {
        int socket4 = ifc.socket(ifc.ud, AF_INET, kind, 0), socket6 = ifc.socket(ifc.ud, AF_INET6, kind, 0);
        for (size_t i = 0; i < sizeof v4 / sizeof *v4; i++) {
            inet_pton(AF_INET, v4[i], &own.sin_addr);
            unsigned long address = ntohl(own.sin_addr.s_addr);
            if (address >> 24 != 127)
                FAILS(ifc.bind(ifc.ud, socket4, to, sizeof own), EADDRNOTAVAIL);
            else { /* The loopback has it. */
                CHECK(ifc.bind(ifc.ud, socket4, to, sizeof own) == 0 && ifc.close(ifc.ud, socket4) == 0);
                socket4 = ifc.socket(ifc.ud, AF_INET, kind, 0);
            }
            uint8_t packet[28] = {0x45, 0, 0, 28, [8] = 64, [9] = IPPROTO_UDP, [12] = 192, 0, 2, 1};
            memcpy(packet + 16, &own.sin_addr, 4);
            uint16_t header_sum = htons(finish(sum(packet, 20, 0)));
            memcpy(packet + 10, &header_sum, 2);
            CHECK(ifc.netdev_send(ifc.ud, packet, sizeof packet) == 0);
        }
        for (size_t i = 0; i < sizeof v6 / sizeof *v6; i++) {
            inet_pton(AF_INET6, v6[i], &own6.sin6_addr);
            if (v6[i][0] == 'f')
                FAILS(ifc.bind(ifc.ud, socket6, to6, sizeof own6), EADDRNOTAVAIL);
            else {
                CHECK(ifc.bind(ifc.ud, socket6, to6, sizeof own6) == 0 && ifc.close(ifc.ud, socket6) == 0);
                socket6 = ifc.socket(ifc.ud, AF_INET6, kind, 0);
            }
            uint8_t packet[48] = {0x60, [5] = 8, [6] = IPPROTO_UDP, [7] = 64};
            inet_pton(AF_INET6, REMOTE6, packet + 8);
            memcpy(packet + 24, &own6.sin6_addr, 16);
            CHECK(ifc.netdev_send(ifc.ud, packet, sizeof packet) == 0);
        }
        CHECK(receive().len == 0);
        /* None of them took the place of what the host had. */
        inet_pton(AF_INET, "192.168.0.1", &own.sin_addr);
        inet_pton(AF_INET6, "fd3d:fa7b:d17d::1", &own6.sin6_addr);
        CHECK(ifc.bind(ifc.ud, socket4, to, sizeof own) == 0 && ifc.bind(ifc.ud, socket6, to6, sizeof own6) == 0);
        CHECK(ifc.close(ifc.ud, socket4) == 0 && ifc.close(ifc.ud, socket6) == 0);
    }
}

/* Numbers and pointers that make no sense are errors. */
static void nonsense(void) {
    void *nowhere = (void *)16;
    struct pollfd entry = {.fd = INT_MIN, .events = POLLIN};
    CHECK(ifc.poll(ifc.ud, &entry, 1, 0) == 0 && entry.revents == 0);
    FAILS(ifc.poll(ifc.ud, &entry, (nfds_t)-1, 0), EINVAL);
    FAILS(ifc.poll(ifc.ud, nowhere, 1, 0), EFAULT);
    FAILS(ifc.pipe(ifc.ud, nowhere), EFAULT);
    int epoll = ifc.epoll_create(ifc.ud, 1), ends[2];
    struct epoll_event event = {.events = EPOLLOUT};
    CHECK(ifc.pipe(ifc.ud, ends) == 0 && ifc.epoll_ctl(ifc.ud, epoll, EPOLL_CTL_ADD, ends[1], &event) == 0);
    FAILS(ifc.epoll_wait(ifc.ud, epoll, nowhere, 1, 0), EFAULT);
    FAILS(ifc.epoll_wait(ifc.ud, epoll, &event, INT_MAX, 0), EINVAL);
    CHECK(ifc.epoll_wait(ifc.ud, epoll, &event, 1, 0) == 1 && event.events == EPOLLOUT);
    /* Those that watch each other, and those in a row. */
    int above = epoll, watching = 0;
    for (int i = 0; i < 10; i++) {
        int below = ifc.epoll_create(ifc.ud, 1);
        watching += ifc.epoll_ctl(ifc.ud, above, EPOLL_CTL_ADD, below, &event) == 0;
        above = below;
    }
    CHECK(watching > 0 && watching < 10);
}

/* A host with any flags at all is one. */
static void odd_flags(void) {
    static const char *const flags[] = {"mtu=0", "mtu=1", "mtu=20", "mtu=67", "mtu=68", "mtu=1279", "mtu=65535", "mtu=65536",
                                        "mtu=-1", "mtu=", "=", ",,", "\xff\xfe", "mtu=1500,mtu=0"};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        uint32_t isn;
        init(flags[i], &ifc);
        segment(TH_SYN, 1000, 0, 0);
        receive();
        CHECK(ifc.socket(ifc.ud, AF_INET, SOCK_STREAM, 0) > 2);
        ifc.free(ifc.ud);
        init(flags[i], &ifc);
        if (i >= 4) /* From 68 bytes on it is an MTU of IPv4 (RFC 791). */
            CHECK(handshake(&isn) > 2);
        ifc.free(ifc.ud);
    }
}

int main(int argc, char **argv) {
    uint32_t isn;
    if (argc < 2)
        return 2;
    void *library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE | RTLD_DEEPBIND);
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        return 2;
    }
    init = (void (*)(const char *, struct interface *))dlsym(library, "packetdrill_interface_init");
    memset(&ifc, 0, sizeof ifc);
    init("", &ifc);
    for (void **slot = (void **)&ifc.free; slot < (void **)(&ifc + 1); slot++)
        if (!*slot)
            CHECK(!"every function is there");
    int fd = handshake(&isn);
    blocking(fd, isn);

    char data[500] = {0};
    long long before = now_us();
    CHECK(ifc.write(ifc.ud, fd, data, sizeof data) == 500);
    struct seen sent = receive();
    CHECK(sent.len == 540 && sent.seq == isn + 1 && sent.time_us >= before && sent.time_us <= before + 10);
    int queued = 0;
    CHECK(ifc.ioctl(ifc.ud, fd, TIOCOUTQ, &queued) == 0 && queued == 500);
    struct seen again = receive();
    CHECK(again.seq == sent.seq && again.time_us >= sent.time_us + 200000);

    /* Addresses that lead nowhere are errors; what would have been read stays. */
    void *nowhere = (void *)16;
    errno = 0;
    CHECK(ifc.write(ifc.ud, fd, nowhere, 10) == -1 && errno == EFAULT);
    errno = 0;
    CHECK(ifc.send(ifc.ud, fd, NULL, 10, 0) == -1 && errno == EFAULT);
    errno = 0;
    CHECK(ifc.recv(ifc.ud, fd, NULL, 10, MSG_DONTWAIT) == -1 && errno == EAGAIN);
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    errno = 0;
    CHECK(ifc.sendto(ifc.ud, fd, data, 10, MSG_FASTOPEN, &none, sizeof none) == -1 && errno == EOPNOTSUPP);
    struct msghdr message = {.msg_iov = nowhere, .msg_iovlen = 1};
    errno = 0;
    CHECK(ifc.sendmsg(ifc.ud, fd, &message, 0) == -1 && errno == EFAULT);
    errno = 0;
    CHECK(ifc.setsockopt(ifc.ud, fd, IPPROTO_TCP, TCP_NODELAY, nowhere, 4) == -1 && errno == EFAULT);
    segment(TH_ACK | TH_PUSH | TH_URG, 1011, isn + 501, 10);
    CHECK(receive().ack == 1021);
    errno = 0;
    CHECK(ifc.read(ifc.ud, fd, nowhere, 5) == -1 && errno == EFAULT);
    int mark = 0;
    CHECK(ifc.ioctl(ifc.ud, fd, SIOCATMARK, &mark) == 0 && mark == 1);
    CHECK(ifc.recv(ifc.ud, fd, data, 10, MSG_OOB) == 1);
    CHECK(ifc.recv(ifc.ud, fd, data, 100, 0) == 9);

    unsigned char info[248];
    socklen_t info_len = sizeof info;
    int (*exported)(int, int, int, void *, socklen_t *) =
        (int (*)(int, int, int, void *, socklen_t *))dlsym(library, "getsockopt");
    CHECK(exported(fd, IPPROTO_TCP, TCP_INFO, info, &info_len) == 0 && info_len == 248 && info[0] == 1);
    int real = socket(AF_INET, SOCK_STREAM, 0), type = 0;
    socklen_t type_len = sizeof type;
    CHECK(exported(real, SOL_SOCKET, SO_TYPE, &type, &type_len) == 0 && type == SOCK_STREAM);

    int epoll = ifc.epoll_create(ifc.ud, 1);
    struct epoll_event event = {.events = EPOLLOUT, .data.fd = fd};
    CHECK(ifc.epoll_ctl(ifc.ud, epoll, EPOLL_CTL_ADD, fd, &event) == 0);
    memset(&event, 0, sizeof event);
    CHECK(ifc.epoll_wait(ifc.ud, epoll, &event, 1, 0) == 1 && event.events == EPOLLOUT && event.data.fd == fd);
    struct pollfd entry = {.fd = fd, .events = POLLIN | POLLOUT};
    CHECK(ifc.poll(ifc.ud, &entry, 1, 0) == 1 && entry.revents == POLLOUT);
    CHECK(ifc.close(ifc.ud, fd) == 0);
    errno = 0;
    CHECK(ifc.read(ifc.ud, fd, data, 1) == -1 && errno == EBADF);
    CHECK(close(epoll) == 0);

    int udp = ifc.socket(ifc.ud, AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons(9)};
    inet_pton(AF_INET, REMOTE, &peer.sin_addr);
    CHECK(ifc.sendto(ifc.ud, udp, data, 20, 0, (struct sockaddr *)&peer, 4) == -1 && errno == EINVAL);
    CHECK(ifc.sendto(ifc.ud, udp, data, 20, 0, (struct sockaddr *)&peer, sizeof peer) == 20);
    struct seen datagram;
    do /* What the closed connection still had to say comes first. */
        datagram = receive();
    while (datagram.len != 48 && datagram.len != 0);
    CHECK(datagram.len == 48);
    ifc.free(ifc.ud);
    init("", &ifc);
    over_ipv6();
    ifc.free(ifc.ud);
    init("", &ifc);
    on_wrong_descriptors();
    to_wrong_addresses();
    ifc.free(ifc.ud);
    init("", &ifc);
    abandoned_call();
    ifc.free(ifc.ud);
    init("", &ifc);
    no_machine_s_address();
    ifc.free(ifc.ud);
    init("", &ifc);
    nonsense();
    ifc.free(ifc.ud);
    odd_flags();
    printf("%d failed\n", failures);
    return failures != 0;
}
