import Mux
import NIOCore
import TunnelCore

/// Why another server has not given what it was asked for: a clause.
struct PeerFailure: Error, Sendable, Hashable, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// The end of a stream on which another server sends a document, up to a limit of bytes and of time.
///
/// It lives on the event loop of the servers' session.
final class PeerDocument: StreamEnd {
    private let limit: Int
    private var session: SessionLoop?
    private var then: ((Result<[UInt8], PeerFailure>) -> Void)?
    private var id: StreamID?
    private var bytes: [UInt8] = []
    private var timer: Scheduled<Void>?

    /// - Parameters:
    ///   - limit: the greatest number of bytes.
    ///   - then: called once.
    init(limit: Int, _ then: @escaping (Result<[UInt8], PeerFailure>) -> Void) {
        (self.limit, self.then) = (limit, then)
    }

    /// Ends the wait after a time.
    func wait(_ time: TimeAmount, on loop: any EventLoop) {
        timer = loop.assumeIsolated().scheduleTask(in: time) {
            self.refuse("it has not answered within \(time.nanoseconds / 1_000_000_000) s")
        }
    }

    /// Whether nothing waits for the document any more.
    var isOver: Bool { then == nil }

    /// Opens the stream, unless the time is over.
    func open(in opener: any StreamOpener, _ request: OpenRequest) {
        guard !isOver else { return }
        session = opener.sessionLoop
        opener.open(self, request)
    }

    /// Ends the wait without the document.
    func refuse(_ reason: String) {
        guard !isOver else { return }
        end(.failure(PeerFailure(reason)))
        if let id { session?.run(.reset(id, .connectionReset)) }
    }

    private func end(_ result: Result<[UInt8], PeerFailure>) {
        timer?.cancel()
        let then = then
        (self.then, bytes) = (nil, [])
        then?(result)
    }

    // MARK: The stream

    var isPending: Bool { id == nil && !isOver }
    var isConnecting: Bool { false }

    func begin(_ id: StreamID) {
        self.id = id
        session?.run(.finished(id))
    }

    func accepted() {}

    func deliver(_ chunk: ByteBuffer) -> Bool {
        if let id { session?.run(.taken(id, chunk.readableBytes)) }
        guard !isOver else { return false }
        guard bytes.count + chunk.readableBytes <= limit else {
            refuse("its answer is longer than \(limit) bytes")
            return false
        }
        bytes += chunk.readableBytesView
        return false
    }

    func endOutput() -> Bool {
        if !isOver { end(.success(bytes)) }
        return false
    }

    func flush() {}
    func pauseReading() {}
    func resumeReading() {}
    func detach() { refuse("its answer is missing") }
    func reset(_ code: ResetCode) { close(code) }
    func abort(_ code: ResetCode) { close(code) }

    private func close(_ code: ResetCode) {
        id = nil
        refuse(code == .notAllowed ? "its release does not know the question" : "its answer was cut off")
    }
}
