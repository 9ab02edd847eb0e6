# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
# cython: auto_pickle=False, autotestdict=False, show_performance_hints=False
"""Datagrams of a UDP socket into an arena, many with one system call (Linux).

The contract is that of `datagrams.Receiver`, and `datagrams.PythonReceiver` is its twin. Every array is checked before
the first datagram; a datagram is put in the arena behind a check that it has room there, and its row in the tables.
The GIL is released from the first system call to the last; nobody else may touch arena and tables meanwhile.
"""

from libc.errno cimport EAGAIN, ECONNREFUSED, EINTR, errno
from libc.stdint cimport INT32_MAX, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memcpy, memset

from os import urandom

from headwater.transport.incoming import datagrams as twin

cdef extern from *:
    """
    #ifndef _GNU_SOURCE
      #define _GNU_SOURCE
    #endif
    #include <netinet/in.h>
    #include <poll.h>
    #include <string.h>
    #include <sys/socket.h>
    #include <time.h>

    #define HW_BATCH 64
    #define HW_LARGEST 65535
    /* A page more than the largest datagram, so that the beginnings of slots do not all fall on the same cache lines. */
    #define HW_STRIDE (65536 + 4096 + 64)

    typedef struct {
        struct mmsghdr message[HW_BATCH];
        struct iovec part[HW_BATCH];
        struct sockaddr_in6 sender[HW_BATCH];
        struct { _Alignas(8) unsigned char octets[64]; } control[HW_BATCH];
        unsigned char octets[HW_BATCH * HW_STRIDE];  /* only pages that a datagram has reached are memory */
    } hw_batch;

    static void hw_prepare(hw_batch *batch) {
        for (int i = 0; i < HW_BATCH; i++) {
            struct msghdr *header = &batch->message[i].msg_hdr;
            batch->part[i].iov_base = batch->octets + (size_t)i * HW_STRIDE;
            batch->part[i].iov_len = HW_LARGEST;
            header->msg_iov = &batch->part[i];
            header->msg_iovlen = 1;
            header->msg_name = &batch->sender[i];
            header->msg_control = &batch->control[i];
            header->msg_namelen = sizeof batch->sender[i];
            header->msg_controllen = sizeof batch->control[i];
        }
    }
    /* Datagrams taken, or -1. Lengths that the kernel has written are set again, of those that the last call used. */
    static int hw_take(hw_batch *batch, int fd, int used) {
        for (int i = 0; i < used; i++) {
            batch->message[i].msg_hdr.msg_namelen = sizeof batch->sender[i];
            batch->message[i].msg_hdr.msg_controllen = sizeof batch->control[i];
        }
        return recvmmsg(fd, batch->message, HW_BATCH, MSG_DONTWAIT, NULL);
    }
    static int hw_is_cut(const hw_batch *batch, int i) {
        return (batch->message[i].msg_hdr.msg_flags & MSG_TRUNC) != 0;
    }
    /* Nanoseconds since 1970 when the kernel got the datagram, 0 = it does not tell. */
    static long long hw_received(hw_batch *batch, int i) {
        struct msghdr *header = &batch->message[i].msg_hdr;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c))
            if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SO_TIMESTAMPNS
                && c->cmsg_len >= CMSG_LEN(sizeof(struct timespec))) {
                struct timespec at;
                memcpy(&at, CMSG_DATA(c), sizeof at);
                return (long long)at.tv_sec * 1000000000 + at.tv_nsec;
            }
        return 0;
    }
    /* Address in 16 octets, port and scope id of a sender; 0 for an address of no known family. */
    static int hw_sender(const hw_batch *batch, int i, unsigned char *address, unsigned *port, unsigned *scope) {
        const struct sockaddr_in6 *six = &batch->sender[i];
        if (six->sin6_family == AF_INET6 && batch->message[i].msg_hdr.msg_namelen >= sizeof *six) {
            memcpy(address, &six->sin6_addr, 16);
            *port = ntohs(six->sin6_port);
            *scope = six->sin6_scope_id;
            return 1;
        }
        if (six->sin6_family == AF_INET && batch->message[i].msg_hdr.msg_namelen >= sizeof(struct sockaddr_in)) {
            struct sockaddr_in four;
            memcpy(&four, six, sizeof four);
            memset(address, 0, 10);
            memset(address + 10, 0xff, 2);
            memcpy(address + 12, &four.sin_addr, 4);
            *port = ntohs(four.sin_port);
            *scope = 0;
            return 1;
        }
        return 0;
    }
    static long long hw_clock(clockid_t which) {
        struct timespec now;
        clock_gettime(which, &now);
        return (long long)now.tv_sec * 1000000000 + now.tv_nsec;
    }
    static long long hw_now(void) { return hw_clock(CLOCK_MONOTONIC); }
    static long long hw_time(void) { return hw_clock(CLOCK_REALTIME); }
    /* Wait for either descriptor, -1 = none, for so many nanoseconds, negative = for ever. -> poll(); *is_woken. */
    static int hw_wait(int fd, int wake, long long nanoseconds, int *is_woken) {
        struct pollfd both[2] = {{fd, POLLIN, 0}, {wake, POLLIN, 0}};
        struct timespec left = {nanoseconds / 1000000000, nanoseconds % 1000000000};
        int n = ppoll(both, 2, nanoseconds < 0 ? NULL : &left, NULL);
        *is_woken = n > 0 && both[1].revents;
        return n;
    }
    """
    enum: HW_STRIDE, HW_LARGEST
    cdef struct mmsghdr:
        unsigned int msg_len
    ctypedef struct hw_batch:
        mmsghdr *message
        uint8_t *octets
    void hw_prepare(hw_batch *) nogil
    int hw_take(hw_batch *, int, int) nogil
    bint hw_is_cut(const hw_batch *, int) nogil
    int64_t hw_received(hw_batch *, int) nogil
    bint hw_sender(const hw_batch *, int, uint8_t *, unsigned int *, unsigned int *) nogil
    int64_t hw_now() nogil
    int64_t hw_time() nogil
    int hw_wait(int, int, int64_t, bint *) nogil

cdef enum:
    READY, WOKEN, PEERS_FULL
    FAILED = -1
    GOING_ON = -2

cdef enum:
    DATAGRAMS, OCTETS, EMPTY, REFUSED, NOT_EXPORT, TRUNCATED, TALLIES

cdef enum:
    FEW_PEERS = 64
    BREATH = 500_000  # ns

cdef uint32_t VERSIONS = 1 << 1 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10

assert (READY, WOKEN, PEERS_FULL) == (twin.READY, twin.WOKEN, twin.PEERS_FULL)
assert TALLIES == len(twin.TALLY) and HW_LARGEST == twin.LARGEST and VERSIONS == sum(1 << version for version in twin.VERSIONS)

cdef struct Peer:
    uint64_t[2] address
    uint32_t port, scope

cdef struct Table:
    # Open addressing; a slot has the number of a peer and 1, or 0. It is never more than half full.
    Peer *peers
    int32_t *slots
    int32_t count, capacity
    uint64_t[4] secrets  # so that nobody can choose addresses that share a slot

cdef struct Job:
    uint8_t *octets
    int32_t *start
    int32_t *end
    int32_t *peer
    int64_t *received
    int64_t *tally
    const uint8_t *refused
    int64_t size, used
    int32_t rows, count, most_peers


cdef inline uint32_t slot_of(const Table *table, const Peer *peer) noexcept nogil:
    """Where the search for a peer begins."""
    cdef uint64_t mix = (peer.address[0] ^ table.secrets[0]) * (table.secrets[1] | 1)
    mix = ((mix ^ (mix >> 32)) + peer.address[1]) * (table.secrets[2] | 1)
    mix = ((mix ^ (mix >> 32)) + (<uint64_t>peer.scope << 32 | peer.port)) * (table.secrets[3] | 1)
    return <uint32_t>(mix >> 32) & (2 * table.capacity - 1)


cdef inline int32_t number_of(const Table *table, const Peer *peer, uint32_t *slot) noexcept nogil:
    """The number of a peer, or -1; then `slot` is where it belongs. Some slot is empty, so that the search ends."""
    cdef uint32_t at = slot_of(table, peer)
    while table.slots[at]:
        if memcmp(&table.peers[table.slots[at] - 1], peer, sizeof(Peer)) == 0:
            return table.slots[at] - 1
        at = (at + 1) & (2 * table.capacity - 1)
    slot[0] = at
    return -1


cdef bint enlarge(Table *table) noexcept nogil:
    """Room for twice as many peers; False if there is no memory for them."""
    cdef int32_t capacity = 2 * table.capacity if table.capacity else FEW_PEERS, i
    cdef Peer *peers = <Peer *>calloc(capacity, sizeof(Peer))
    cdef int32_t *slots = <int32_t *>calloc(2 * <size_t>capacity, sizeof(int32_t))
    cdef uint32_t slot = 0
    if peers == NULL or slots == NULL:
        free(peers)
        free(slots)
        return False
    if table.count:
        memcpy(peers, table.peers, table.count * sizeof(Peer))
    free(table.peers)
    free(table.slots)
    table.peers, table.slots, table.capacity = peers, slots, capacity
    for i in range(table.count):
        number_of(table, &peers[i], &slot)
        slots[slot] = i + 1
    return True


cdef class CompiledReceiver:
    """`datagrams.Receiver`, with recvmmsg. fd: a UDP socket that does not block. wake: see `datagrams.receiver`."""

    cdef hw_batch *batch
    cdef Table table
    cdef int fd, wake, taken, next

    def __cinit__(self, fd, wake):
        cdef bytes secrets = urandom(sizeof(self.table.secrets))
        memcpy(self.table.secrets, <const char *>secrets, sizeof(self.table.secrets))
        self.fd, self.wake = fd, wake
        self.batch = <hw_batch *>calloc(1, sizeof(hw_batch))
        if self.batch == NULL:
            raise MemoryError(f"{sizeof(hw_batch)} octets for datagrams")
        if not enlarge(&self.table):
            raise MemoryError(f"{FEW_PEERS} peers")
        hw_prepare(self.batch)

    def __dealloc__(self):
        free(self.batch)
        free(self.table.peers)
        free(self.table.slots)

    @property
    def num_peers(self):
        return self.table.count

    def peer(self, number):
        cdef int32_t i = number
        if not 0 <= i < self.table.count:
            raise IndexError(f"peer {number} of {self.table.count}")
        cdef const Peer *peer = &self.table.peers[i]
        return (<const char *>peer.address)[:16], <int>peer.port, peer.scope

    def forget(self):
        self.table.count = 0
        memset(self.table.slots, 0, 2 * <size_t>self.table.capacity * sizeof(int32_t))

    def close(self):
        """Nothing: the descriptors are the caller's."""

    def receive(self, arena, refused, tally, wait, latency):
        cdef uint8_t[::1] octets = arena.buffer
        cdef int32_t[::1] start = arena.start
        cdef int32_t[::1] end = arena.end
        cdef int32_t[::1] peer = arena.peer
        cdef int64_t[::1] received = arena.received
        cdef const uint8_t[::1] is_refused = refused
        cdef int64_t[::1] counts = tally
        cdef Job job
        cdef int64_t first = -1 if wait < 0 else <int64_t>(min(wait, 1e6) * 1e9)
        cdef int64_t others = <int64_t>(min(max(latency, 0.0), 1e6) * 1e9)
        cdef int why, error
        job.rows, job.count, job.size, job.used = arena.most, arena.count, octets.shape[0], arena.used
        if not HW_LARGEST <= job.size <= INT32_MAX or not 0 <= job.used <= job.size:
            raise ValueError(f"an arena of {job.size} octets, {job.used} of them used")
        if not 0 <= job.count <= job.rows or not 0 < job.rows <= min(
            start.shape[0], end.shape[0], peer.shape[0], received.shape[0]
        ):
            raise ValueError(f"tables of {job.rows} rows, {job.count} of them used")
        if counts.shape[0] != TALLIES or not 0 < is_refused.shape[0] <= INT32_MAX // 4:
            raise ValueError(f"{counts.shape[0]} counts and {is_refused.shape[0]} peers")
        job.octets, job.start, job.end, job.peer = &octets[0], &start[0], &end[0], &peer[0]
        job.received, job.tally, job.refused = &received[0], &counts[0], &is_refused[0]
        job.most_peers = is_refused.shape[0]
        if self.table.count > job.most_peers:
            raise ValueError(f"{job.most_peers} peers, where {self.table.count} are known")
        with nogil:
            why = self.fill(&job, first, others)
            error = errno
        arena.count, arena.used = job.count, job.used
        if why == FAILED:
            raise OSError(error, "datagrams cannot be received")
        return why

    cdef int fill(self, Job *job, int64_t first, int64_t others) noexcept nogil:
        """Receive until there is a reason to return; FAILED leaves it in errno.

        Each round places a datagram at least, or waits, or returns.
        """
        cdef int64_t due = -1, now, left, give_up = -1 if first < 0 else hw_now() + first
        cdef int why, n, before = self.taken
        cdef bint is_woken = False, is_going = False
        while True:
            if self.next < self.taken:
                now = hw_now()
                if due < 0:
                    due = now + others
                why = self.place(job)
                if why != GOING_ON:
                    return why
                if now >= due:
                    return READY
            n = hw_take(self.batch, self.fd, self.taken)
            if n > 0:
                self.taken, self.next, is_going = n, 0, True
                continue
            if n < 0 and errno == EINTR:
                return READY  # the interpreter may have something to do
            if n < 0 and errno != EAGAIN and errno != ECONNREFUSED:
                return FAILED
            left = due if due >= 0 else give_up
            if left >= 0:
                left -= hw_now()
                if left <= 0:
                    return READY
            if is_going and left > BREATH:
                # Datagrams come one after the other: with a moment's rest there are many for the next system call.
                is_going = False
                n = hw_wait(-1, self.wake, BREATH, &is_woken)
            else:
                n = hw_wait(self.fd, self.wake, left, &is_woken)
            if is_woken:
                return WOKEN
            if n < 0:
                return READY if errno == EINTR else FAILED

    cdef int place(self, Job *job) noexcept nogil:
        """Put what was taken in the arena; why that ends before its end, or GOING_ON."""
        cdef hw_batch *batch = self.batch
        cdef int64_t *tally = job.tally
        cdef int64_t at
        cdef const uint8_t *octets
        cdef uint32_t length, slot = 0
        cdef int32_t number
        cdef int i
        cdef Peer peer
        while self.next < self.taken:
            i = self.next
            octets = batch.octets + <size_t>i * HW_STRIDE
            length = batch.message[i].msg_len
            if length == 0 or hw_is_cut(batch, i) or not hw_sender(
                batch, i, <uint8_t *>peer.address, &peer.port, &peer.scope
            ):
                tally[EMPTY if length == 0 else TRUNCATED] += 1
                self.leave(tally, length)
                continue
            number = number_of(&self.table, &peer, &slot)
            if number < 0 and (length < 2 or octets[0] or octets[1] > 31 or not (VERSIONS >> octets[1]) & 1):
                tally[NOT_EXPORT] += 1
                self.leave(tally, length)
                continue
            if number >= 0 and job.refused[number]:
                tally[REFUSED] += 1
                self.leave(tally, length)
                continue
            if job.count == job.rows or job.size - job.used < length:
                return READY
            if number < 0:
                if self.table.count == job.most_peers:
                    return PEERS_FULL
                if self.table.count == self.table.capacity:
                    if not enlarge(&self.table):
                        return PEERS_FULL
                    number_of(&self.table, &peer, &slot)
                number = self.table.count
                self.table.peers[number] = peer
                self.table.slots[slot] = number + 1
                self.table.count = number + 1
            memcpy(job.octets + job.used, octets, length)
            job.start[job.count] = <int32_t>job.used
            job.used += length
            job.end[job.count] = <int32_t>job.used
            job.peer[job.count] = number
            at = hw_received(batch, i)
            job.received[job.count] = at if at else hw_time()
            job.count += 1
            self.leave(tally, length)
        return GOING_ON

    cdef inline void leave(self, int64_t *tally, uint32_t length) noexcept nogil:
        """Go on to the next datagram that was taken."""
        tally[DATAGRAMS] += 1
        tally[OCTETS] += length
        self.next += 1
