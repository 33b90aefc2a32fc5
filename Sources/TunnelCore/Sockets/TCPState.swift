import NIOCore
import Platform

/// What the kernel knows of a TCP connection (Linux' TCP_INFO).
package struct TCPState {
    /// Segments that were sent and not acknowledged.
    package let unacknowledged: UInt32
    /// Bytes that were not sent.
    package let unsent: UInt32
    /// Segments that were sent again, in all.
    package let retransmitted: UInt32
    /// The smoothed round trip of its segments.
    package let roundTrip: Duration
    /// Whether the connection is over: the other side has reset it.
    package let isClosed: Bool
    /// Whether both sides have agreed on it: the other side may have ended its direction since, or sent bytes.
    package let isConnected: Bool

    /// Whether bytes are on their way, or wait to be sent.
    package var isSending: Bool { !isClosed && (unacknowledged > 0 || unsent > 0) }

    /// TCP_ESTABLISHED, TCP_CLOSE and TCP_CLOSE_WAIT of the kernel's states.
    private static let (established, closed, closeWait): (UInt8, UInt8, UInt8) = (1, 7, 8)

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
    package init?(_ channel: any Channel) {
        guard channel.isActive, let options = channel as? any SocketOptionProvider else { return nil }
        var known: Information?
        options.unsafeGetSocketOption(level: .tcp, name: .tcp_info).assumeIsolated().whenSuccess {
            (information: Information) in
            known = information
        }
        guard let known else { return nil }
        self.init(known)
    }

    /// The same of a socket that NIO has not got yet.
    package init?(_ descriptor: Int32) {
        var known = Information()
        var length = socklen_t(MemoryLayout<Information>.size)
        let (level, name) = (NIOBSDSocket.OptionLevel.tcp.rawValue, NIOBSDSocket.Option.tcp_info.rawValue)
        guard getsockopt(descriptor, level, name, &known, &length) == 0 else { return nil }
        self.init(known)
    }

    private init(_ known: Information) {
        unacknowledged = known.unacknowledged
        unsent = known.unsent
        retransmitted = known.counters.18
        roundTrip = .microseconds(Int64(known.counters.10))
        isClosed = known.state == Self.closed
        isConnected = known.state == Self.established || known.state == Self.closeWait
    }
    #else
    /// Nothing is known of it on this system.
    package init?(_ channel: any Channel) { nil }
    #endif
}
