import HTTP1
import TunnelCore

/// Bounds of what etcd sends and of what waits for it. Each value has its reason in ``TunnelCore/FixedLimit/etcd``.
enum EtcdLimits {
    /// The head of an answer.
    static let head = HeadLimits(maximumBytes: 16_384, maximumFields: 64, maximumLineBytes: 8_192)
    /// Bytes of an answer, with head and framing.
    static let answer = 4 << 20
    /// Bytes of one line of a watch.
    static let line = 8 << 20
    /// Bytes that were received and not read yet.
    static let unread = 256 << 10
    /// Entries in one answer to a read.
    static let page = 500
    /// Entries of a whole read.
    static let entries = 262_144
    /// Claims that each range of a refused claim reports.
    static let holders = 16
    /// Requests that wait for the connection.
    static let waitingRequests = 1_024
    /// Events of a watch that wait for their reader.
    static let waitingEvents = 1_024
    /// Changes at one revision.
    static let changes = 4_096
    /// Bytes of the answers to a whole read.
    static let read = 128 << 20
    /// Bytes of a key.
    static let key = 2_048
    /// Bytes of a text within an entry.
    static let text = 2_048
    /// Bytes of a session's id within an entry.
    static let session = 64
    /// Entries that the log names because they cannot be read.
    static let reportedEntries = 16
    /// Bytes of a token: it is a field of each request.
    static let token = 4_096
    /// Seconds for which the probe of a place stays.
    static let probeLease = 60
    /// Bytes of a reason that etcd gives, in a message.
    static let reason = 200
}

extension FixedLimit {
    /// Fixed limits of the connection to etcd.
    package static let etcd: [FixedLimit] = [
        FixedLimit(
            "Answer of etcd",
            .bytes(EtcdLimits.answer),
            "a page of entries of 6 KB fits, and usual ones have 200 bytes"
        ),
        FixedLimit(
            "Line of etcd's watch",
            .bytes(EtcdLimits.line),
            "etcd cuts events into messages of 2 MiB, which JSON makes two to three times as long"
        ),
        FixedLimit(
            "Bytes of etcd that were received and not read yet",
            .bytes(EtcdLimits.unread),
            "the socket is not read until they are"
        ),
        FixedLimit(
            "Entries of etcd in one answer",
            .count(EtcdLimits.page),
            "with usual entries such an answer has 300 KB"
        ),
        FixedLimit(
            "Entries of etcd in one read",
            .count(EtcdLimits.entries),
            "two for each port of TCP and of UDP"
        ),
        FixedLimit(
            "Answers of etcd to one read",
            .bytes(EtcdLimits.read),
            "as many usual entries have 100 MB"
        ),
        FixedLimit(
            "Key of etcd",
            .bytes(EtcdLimits.key),
            "the longest host name with the longest path has 1,200"
        ),
        FixedLimit(
            "Claims that each part of etcd's answer to a refused claim names",
            .count(EtcdLimits.holders),
            "one is enough for the message, and 60 changes share an answer"
        ),
        FixedLimit(
            "Requests that wait for the connection to etcd",
            .count(EtcdLimits.waitingRequests),
            "etcd answers as many within the time of a request"
        ),
        FixedLimit(
            "Events of etcd that wait for their reader",
            .count(EtcdLimits.waitingEvents),
            "a reader so late reads everything again"
        ),
        FixedLimit(
            "Changes of etcd at one revision",
            .count(EtcdLimits.changes),
            "a lease has at most 1,000 entries"
        ),
        FixedLimit(
            "Text within an entry of etcd",
            .bytes(EtcdLimits.text),
            "names and URLs are shorter"
        ),
        FixedLimit(
            "Token of etcd",
            .bytes(EtcdLimits.token),
            "it is a field of each request, and signed ones have some hundred"
        ),
        FixedLimit(
            "Time for which the probe of a place stays in etcd",
            .time(.seconds(EtcdLimits.probeLease)),
            "it is written anew more often, and goes with the last watch"
        ),
        FixedLimit(
            "Entries of etcd that the log names because they cannot be read",
            .count(EtcdLimits.reportedEntries),
            "further ones have the same cause"
        ),
    ]
}
