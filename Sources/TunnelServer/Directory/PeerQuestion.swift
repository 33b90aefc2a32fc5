import Mux
import NIOCore
import TunnelCore

/// The end of a stream that only asks or reports something.
///
/// ACCEPT means yes, and RESET means no. A server that was reached and has no room for the stream, or none in time, has not
/// answered.
final class PeerQuestion: StreamEnd {
    private let session: SessionLoop
    private var then: ((Bool?) -> Void)?
    private var id: StreamID?

    /// - Parameter then: called once; nil means that there is no answer.
    init(_ session: SessionLoop, _ then: @escaping (Bool?) -> Void) {
        (self.session, self.then) = (session, then)
    }

    var isPending: Bool { id == nil && then != nil }
    var isConnecting: Bool { false }

    func begin(_ id: StreamID) {
        self.id = id
        session.run(.finished(id))
    }

    private func answer(_ answer: Bool?) {
        let then = then
        self.then = nil
        then?(answer)
    }

    func accepted() { answer(true) }

    func deliver(_ bytes: ByteBuffer) -> Bool {
        if let id { session.run(.taken(id, bytes.readableBytes)) }
        return false
    }

    func endOutput() -> Bool { false }
    func flush() {}
    func pauseReading() {}
    func resumeReading() {}
    func detach() { answer(false) }
    func reset(_ code: ResetCode) { answer(code == .busy || code == .timeout ? nil : false) }
    func abort(_ code: ResetCode) { reset(code) }
}
