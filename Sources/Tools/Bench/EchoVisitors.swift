import Glibc

/// Runs many visitors on one thread. Each sends some bytes, and waits for their echo before it sends again.
final class EchoVisitors {
    /// The end of an exchange.
    enum Outcome {
        /// The echo was right.
        case echoed
        /// The echo was wrong or too long.
        case wrong
        /// The connection was refused, reset or ended.
        case broken
    }

    private struct Visitor {
        var connection: Connection?
        /// Whether the request has been sent.
        var hasSentRequest = false
        /// Positions in the pattern: the next byte to send, the next byte to receive, and the end of this exchange.
        var sent = 0
        var received = 0
        var end = 0
        var began = 0.0
        var isSendBlocked = false
    }

    private let port: UInt16
    private let poller = Poller()
    private var visitors: [Visitor]
    private let buffer = UnsafeMutableRawPointer.allocate(byteCount: Pattern.maximumChunk, alignment: 64)

    /// - Parameter count: the number of visitors, none of which is connected yet.
    init(_ count: Int, port: UInt16) {
        self.port = port
        visitors = .init(repeating: Visitor(), count: count)
    }

    deinit { buffer.deallocate() }

    /// Connects a visitor, which sends as soon as possible.
    ///
    /// - Returns: false if the connection could not be started.
    func open(_ index: Int, bytes: Int) -> Bool {
        guard let connection = Connection(port: port, waits: false) else { return false }
        let start = Pattern.start(of: index)
        visitors[index] = Visitor(
            connection: connection,
            sent: start,
            received: start,
            end: start + bytes,
            began: Clock.seconds,
            isSendBlocked: true
        )
        poller.add(connection, index, .sending)
        return true
    }

    /// Starts the next exchange of a visitor.
    func startExchange(_ index: Int, bytes: Int) {
        visitors[index].end += bytes
        visitors[index].began = Clock.seconds
        _ = send(index)
    }

    /// Closes a visitor's connection.
    func close(_ index: Int) {
        visitors[index].connection?.close()
        visitors[index].connection = nil
    }

    /// Whether a visitor is connected.
    func isOpen(_ index: Int) -> Bool { visitors[index].connection != nil }

    /// The seconds of a visitor's exchange so far.
    func exchangeTime(_ index: Int) -> Double { Clock.seconds - visitors[index].began }

    /// Waits up to 20 ms for events, and reads and writes for all visitors that are ready.
    ///
    /// - Parameter finished: called for each finished exchange with its seconds. A broken visitor is closed before.
    func poll(_ finished: (_ index: Int, Outcome, _ seconds: Double) -> Void) {
        poller.wait(milliseconds: 20) { index in
            guard visitors[index].connection != nil, let outcome = advance(index) else { return }
            if outcome != .echoed { close(index) }
            finished(index, outcome, Clock.seconds - visitors[index].began)
        }
    }

    private func advance(_ index: Int) -> Outcome? {
        if visitors[index].isSendBlocked, !send(index) { return .broken }
        return visitors[index].hasSentRequest ? receive(index) : nil
    }

    private func send(_ index: Int) -> Bool {
        guard let connection = visitors[index].connection else { return false }
        if !visitors[index].hasSentRequest {
            guard connection.sendAll(WorkloadRequest(kind: .echo).bytes) else { return false }
            visitors[index].hasSentRequest = true
        }
        while visitors[index].sent < visitors[index].end {
            let (place, rest) = (visitors[index].sent, visitors[index].end - visitors[index].sent)
            guard let count = Pattern.with(from: place, { connection.send($0, min(rest, Pattern.maximumChunk)) }) else {
                return false
            }
            if count < 0 {
                guard errno == EAGAIN else { return false }
                setSendBlocked(index, true)
                return true
            }
            visitors[index].sent += count
        }
        setSendBlocked(index, false)
        return true
    }

    private func setSendBlocked(_ index: Int, _ isBlocked: Bool) {
        guard visitors[index].isSendBlocked != isBlocked, let connection = visitors[index].connection else { return }
        visitors[index].isSendBlocked = isBlocked
        poller.change(connection, index, isBlocked ? .both : .receiving)
    }

    private func receive(_ index: Int) -> Outcome? {
        guard let connection = visitors[index].connection else { return .broken }
        let count = connection.receive(buffer, Pattern.maximumChunk)
        if count < 0, errno == EAGAIN { return nil }
        guard count > 0 else { return .broken }
        let place = visitors[index].received
        guard place + count <= visitors[index].sent, Pattern.matches(buffer, count, at: place) else { return .wrong }
        visitors[index].received += count
        return visitors[index].received == visitors[index].end ? .echoed : nil
    }
}
