import NIOCore

/// What the kernel knows of a TCP connection (Linux' TCP_INFO).
struct TCPState {
    /// Segments that were sent and not acknowledged.
    let unacknowledged: UInt32
    /// Bytes that were not sent.
    let unsent: UInt32
    /// Whether the connection is over: the other side has reset it.
    let isClosed: Bool

    /// Whether bytes are on their way, or wait to be sent.
    var isSending: Bool { !isClosed && (unacknowledged > 0 || unsent > 0) }

    /// TCP_CLOSE of the kernel's states.
    private static let closed: UInt8 = 7

    #if os(Linux)
    /// The beginning of the kernel's `struct tcp_info`. The C library's own lacks the later fields.
    private struct Information: Sendable {
        var state: UInt8 = 0
        var flags: (UInt8, UInt8, UInt8, UInt8, UInt8, UInt8, UInt8) = (0, 0, 0, 0, 0, 0, 0)
        var timesAndSizes: (UInt32, UInt32, UInt32, UInt32) = (0, 0, 0, 0)
        var unacknowledged: UInt32 = 0
        var counters:
            (
                UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32, UInt32,
                UInt32, UInt32, UInt32, UInt32, UInt32, UInt32
            ) = (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
        var rates: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        var segments: (UInt32, UInt32) = (0, 0)
        var unsent: UInt32 = 0
    }

    /// - Returns: nil for a socket that is not TCP's, or is closed.
    init?(_ channel: any Channel) {
        guard channel.isActive, let options = channel as? any SocketOptionProvider else { return nil }
        var known: Information?
        options.unsafeGetSocketOption(level: .tcp, name: .tcp_info).assumeIsolated().whenSuccess { known = $0 }
        guard let known else { return nil }
        unacknowledged = known.unacknowledged
        unsent = known.unsent
        isClosed = known.state == Self.closed
    }
    #else
    /// Nothing is known of it on this system.
    init?(_ channel: any Channel) { nil }
    #endif
}
