import NIOCore
import NetworkAddress
import TunnelCore

/// The streams of one visitor's connection that wait for its next request. They are never shared with other visitors.
final class StreamPool {
    /// Streams of an HTTP/1 connection that wait. 8: it addresses one name, rarely several.
    static let maximum = 8
    /// Streams of an HTTP/2 connection that wait. 32: a page's requests at a time, so that the next ones need no new
    /// connection to the service.
    static let maximumOfHTTP2 = 32
    /// Time for which a waiting stream may carry a request that must not be repeated. The service may end an idle
    /// connection at any time, and its END may be on the way. 500 ms: with 1 s, a service that closes after 1 s failed 2 % of
    /// such requests.
    static let freshness = TimeAmount.milliseconds(500)

    private struct Entry {
        let route: Route
        /// The visitor's address: a front's connection has requests of several visitors.
        let address: IPAddress?
        let stream: VisitorStream
    }

    private var entries: [Entry] = []
    private let maximum: Int

    init(maximum: Int = StreamPool.maximum) {
        self.maximum = maximum
    }

    /// Keeps a stream for the next request, in place of the oldest if there are many.
    func keep(_ stream: VisitorStream, of route: Route, for visitor: RoutedVisitor) {
        stream.receiver = self
        stream.idleSince = .now()
        entries.append(Entry(route: route, address: visitor.address, stream: stream))
        if entries.count > maximum { entries.removeFirst().stream.leave() }
    }

    /// Takes a stream for a request.
    ///
    /// - Parameters:
    ///   - member: the member for which the request was admitted.
    ///   - mayRepeat: whether the request may be sent again on another stream if this one has ended meanwhile.
    func take(
        for route: Route,
        like member: RouteMember,
        _ visitor: RoutedVisitor,
        mayRepeat: Bool
    ) -> VisitorStream? {
        let now = NIODeadline.now()
        let index = entries.lastIndex { entry in
            entry.route === route && entry.address == visitor.address && entry.stream.isOpen && entry.stream.member.isUp
                && !entry.stream.member.isPaused && !entry.stream.member.isWithdrawn
                && entry.stream.member.isInterchangeable(with: member)
                && (mayRepeat || now - entry.stream.idleSince < Self.freshness)
        }
        return index.map { entries.remove(at: $0).stream }
    }

    /// The visitor has gone.
    func close() {
        for entry in entries { entry.stream.leave() }
        entries = []
    }

    private func drop(_ stream: VisitorStream) {
        entries.removeAll { $0.stream === stream }
    }
}

extension StreamPool: VisitorStreamReceiver {
    /// A service that sends bytes without a request does not speak HTTP.
    func stream(_ stream: VisitorStream, received bytes: [ByteBuffer]) {
        drop(stream)
        stream.reset()
    }

    func streamEnded(_ stream: VisitorStream) {
        drop(stream)
        stream.leave()
    }

    func stream(_ stream: VisitorStream, failed failure: StreamFailure) {
        drop(stream)
    }

    func streamHasRoom(_ stream: VisitorStream) {}

    func streamIsReleased(_ stream: VisitorStream) {
        drop(stream)
        stream.leave()
    }
}
