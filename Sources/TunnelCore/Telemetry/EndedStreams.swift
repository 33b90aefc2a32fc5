import Mux

/// A stream that has ended, for the operator.
package struct EndedStream: Sendable {
    /// The address of its visitor, or of the program at the client.
    package let visitor: String
    /// What the client or a SOCKS request has named; nil for other streams of a tunnel.
    package let destination: String?
    package let kind: StreamKind
    /// When it began, in seconds since 1970.
    package let since: Int64
    /// When it ended, in seconds since 1970.
    package let ended: Int64
    package let traffic: Traffic
    package let ending: SocketState.Ending
}

/// The last streams of a tunnel that have ended.
package struct EndedStreams: Sendable {
    /// The limit of streams that are remembered for each tunnel.
    package static let limit = 8

    private var streams: [EndedStream] = []
    /// The place of the oldest one, once there are as many as the limit.
    private var oldest = 0

    package init() {}

    package mutating func append(_ stream: EndedStream) {
        guard streams.count == Self.limit else { return streams.append(stream) }
        streams[oldest] = stream
        oldest = (oldest + 1) % Self.limit
    }

    /// The streams, the latest first.
    package var latestFirst: [EndedStream] { (streams[oldest...] + streams[..<oldest]).reversed() }
}
