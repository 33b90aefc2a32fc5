import NIOCore
import TunnelCore

/// Notices that another server has become silent, as one whose machine has vanished.
///
/// The link to it stays open then, and its next PING may be due in 20 s. If the server does not answer a stream soon, it is asked for a sign of life. Without one, the visitors whose streams wait go
/// elsewhere. It lives on the link's event loop.
final class SilenceWatch {
    /// Time for the answer to a stream. 500 ms: the other server answers once its session has begun the stream, which takes one
    /// round trip.
    static let patience = TimeAmount.milliseconds(500)
    /// Time for the sign of life. 750 ms: two round trips between continents.
    static let probeTimeout = TimeAmount.milliseconds(750)
    /// Time for the answer to the PING after which the link's carrier is dead. 4 s: a pause of the network may end until then,
    /// and the link's streams go on.
    static let deadline = Duration.seconds(4)

    private let loop: any EventLoop
    private let onSilence: () -> Void
    /// Streams whose time for an answer is over.
    private var unanswered: [RoutedStream] = []
    private var isAsking = false

    /// - Parameter onSilence: called when the server has given no sign of life.
    init(on loop: any EventLoop, onSilence: @escaping () -> Void) {
        (self.loop, self.onSilence) = (loop, onSilence)
    }

    /// Watches a stream that was opened.
    func expectAnswer(to stream: RoutedStream, in session: SessionLoop) {
        loop.assumeIsolated().scheduleTask(in: Self.patience) { [weak self, weak stream] in
            guard let self, let stream, stream.isUnanswered else { return }
            unanswered.append(stream)
            if !isAsking { ask(session) }
        }
    }

    private func ask(_ session: SessionLoop) {
        isAsking = true
        session.probe(timeout: Self.probeTimeout).assumeIsolated().whenComplete { [weak self] result in
            if case .success(true) = result { self?.askAgain(session) } else { self?.giveUp(session) }
        }
    }

    /// The sign of life may be older than the streams, or they may wait for their client.
    private func askAgain(_ session: SessionLoop) {
        loop.assumeIsolated().scheduleTask(in: Self.patience) { [weak self] in
            guard let self else { return }
            unanswered.removeAll { !$0.isUnanswered }
            if unanswered.isEmpty { isAsking = false } else { ask(session) }
        }
    }

    private func giveUp(_ session: SessionLoop) {
        isAsking = false
        let silent = unanswered
        unanswered = []
        onSilence()
        session.run(.probe(timeout: Self.deadline))
        for stream in silent { stream.giveUp() }
    }
}
