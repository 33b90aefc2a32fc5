import Logging
import Mux
import NIOCore
import NetworkAddress
import TunnelCore

/// The streams of a session's SOCKS tunnels whose destination is connected, or is being connected to. Those that narrowed
/// rules do not allow any more are reset.
final class SocksDestinations {
    private struct Entry {
        let pipe: StreamPipe
        let target: HostPort
        /// Where the socket leads; nil before it is connected.
        var address: IPAddress?
    }

    private var entries: [StreamID: Entry] = [:]

    var count: Int { entries.count }

    /// A stream has named its destination, which the rules have not refused.
    func begin(_ stream: StreamID, _ pipe: StreamPipe, _ target: HostPort) {
        entries[stream] = Entry(pipe: pipe, target: target)
    }

    /// The stream's socket is connected, and counts until it is closed.
    func connected(_ stream: StreamID, _ channel: any Channel) {
        entries[stream]?.address = channel.remoteAddress?.ip
        channel.closeFuture.assumeIsolated().whenComplete { _ in self.forget(stream) }
    }

    func forget(_ stream: StreamID) {
        entries[stream] = nil
    }

    /// Resets the streams that the rules do not allow.
    func update(_ policy: DestinationPolicy, _ sessionLoop: SessionLoop, _ logger: Logger) {
        for (stream, entry) in entries where !policy.allows(.host(entry.target), .tcp, at: entry.address) {
            logger.notice(
                "stream reset: --allow-open does not list its destination any more",
                metadata: [
                    "destination": "\(entry.target)", "visitor": "\(entry.pipe.identity.visitor)",
                    "stream": .number(stream.rawValue),
                ]
            )
            forget(stream)
            sessionLoop.run(.reset(stream, .notAllowed))
            entry.pipe.abort(.notAllowed)
        }
    }
}
