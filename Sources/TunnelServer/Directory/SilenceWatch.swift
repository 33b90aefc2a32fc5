import NIOCore
import TunnelCore

/// Notices that another server has become silent, as one whose machine has vanished.
///
/// The link to it stays open then, and its next PING may be due in 20 s. If the server does not answer a stream soon, it is
/// asked for a sign of life. Without one, the visitors whose streams wait go elsewhere. It lives on the link's event loop.
final class SilenceWatch {
    /// Time for the answer to the PING after which the link's carrier is dead. 4 s: a pause of the network may end until then,
    /// and the link's streams go on.
    static let deadline = Duration.seconds(4)

    private let times: PeerLinkTimes
    private let loop: any EventLoop
    private let onSilence: () -> Void
    /// Streams whose time for an answer is over.
    private var unanswered: [RoutedStream] = []
    private var isAsking = false

    /// - Parameter onSilence: called when the server has given no sign of life.
    init(_ times: PeerLinkTimes, on loop: any EventLoop, onSilence: @escaping () -> Void) {
        (self.times, self.loop, self.onSilence) = (times, loop, onSilence)
    }

    /// Watches a stream that was opened.
    func expectAnswer(to stream: RoutedStream, in session: SessionLoop) {
        loop.assumeIsolated().scheduleTask(in: times.answer) { [weak self, weak stream] in
            guard let self, let stream, stream.isUnanswered else { return }
            unanswered.append(stream)
            if !isAsking { ask(session) }
        }
    }

    private func ask(_ session: SessionLoop) {
        isAsking = true
        session.probe(timeout: times.signOfLife).assumeIsolated().whenComplete { [weak self] result in
            if case .success(true) = result { self?.askAgain(session) } else { self?.giveUp(session) }
        }
    }

    /// The sign of life may be older than the streams, or they may wait for their client.
    private func askAgain(_ session: SessionLoop) {
        loop.assumeIsolated().scheduleTask(in: times.answer) { [weak self] in
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
