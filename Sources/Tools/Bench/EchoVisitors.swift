import Glibc

/// Many visitors of one thread: each sends some bytes, and has them back before it sends again.
final class EchoVisitors {
    /// How an exchange ended.
    enum Outcome {
        /// All came back, as they were.
        case echoed
        /// Others came back, or more of them.
        case wrong
        /// The connection was refused, reset or ended.
        case broken
    }

    private struct Visitor {
        var connection: Connection?
        /// The order has been sent.
        var isAdmitted = false
        /// Places in the pattern: of the first byte of this exchange, of what is sent and of what has come back.
        var sent = 0
        var received = 0
        var end = 0
        var began = 0.0
        var waitsForRoom = false
    }

    private let port: UInt16
    private let poller = Poller()
    private var visitors: [Visitor]
    private let buffer = UnsafeMutableRawPointer.allocate(byteCount: Pattern.longestPiece, alignment: 64)

    /// Nobody is there yet.
    init(_ count: Int, port: UInt16) {
        self.port = port
        visitors = .init(repeating: Visitor(), count: count)
    }

    deinit { buffer.deallocate() }

    /// Comes, and sends as soon as it can.
    ///
    /// - Returns: false where it could not even begin.
    func open(_ index: Int, bytes: Int) -> Bool {
        guard let connection = Connection(port: port, waits: false) else { return false }
        let start = Pattern.start(of: index)
        visitors[index] = Visitor(
            connection: connection,
            sent: start,
            received: start,
            end: start + bytes,
            began: Clock.seconds,
            waitsForRoom: true
        )
        poller.add(connection, index, .sending)
        return true
    }

    /// Sends again.
    func ask(_ index: Int, bytes: Int) {
        visitors[index].end += bytes
        visitors[index].began = Clock.seconds
        _ = send(index)
    }

    /// Goes.
    func close(_ index: Int) {
        visitors[index].connection?.close()
        visitors[index].connection = nil
    }

    /// Whether somebody is there.
    func isOpen(_ index: Int) -> Bool { visitors[index].connection != nil }

    /// For how many seconds its exchange has lasted.
    func waiting(_ index: Int) -> Double { Clock.seconds - visitors[index].began }

    /// Lets everybody do what can be done, or waits for that for a moment.
    ///
    /// - Parameter finished: hears of each exchange that is over, and how many seconds it took from its beginning.
    ///   Whoever is broken is gone by then.
    func turn(_ finished: (_ index: Int, Outcome, _ seconds: Double) -> Void) {
        poller.wait(milliseconds: 20) { index in
            guard visitors[index].connection != nil, let outcome = advance(index) else { return }
            if outcome != .echoed { close(index) }
            finished(index, outcome, Clock.seconds - visitors[index].began)
        }
    }

    private func advance(_ index: Int) -> Outcome? {
        if visitors[index].waitsForRoom, !send(index) { return .broken }
        return visitors[index].isAdmitted ? receive(index) : nil
    }

    private func send(_ index: Int) -> Bool {
        guard let connection = visitors[index].connection else { return false }
        if !visitors[index].isAdmitted {
            guard connection.sendAll(WorkloadRequest(kind: .echo).bytes) else { return false }
            visitors[index].isAdmitted = true
        }
        while visitors[index].sent < visitors[index].end {
            let (place, rest) = (visitors[index].sent, visitors[index].end - visitors[index].sent)
            guard let count = Pattern.with(from: place, { connection.send($0, min(rest, Pattern.longestPiece)) }) else {
                return false
            }
            if count < 0 {
                guard errno == EAGAIN else { return false }
                waitForRoom(index, true)
                return true
            }
            visitors[index].sent += count
        }
        waitForRoom(index, false)
        return true
    }

    private func waitForRoom(_ index: Int, _ waits: Bool) {
        guard visitors[index].waitsForRoom != waits, let connection = visitors[index].connection else { return }
        visitors[index].waitsForRoom = waits
        poller.change(connection, index, waits ? .both : .receiving)
    }

    private func receive(_ index: Int) -> Outcome? {
        guard let connection = visitors[index].connection else { return .broken }
        let count = connection.receive(buffer, Pattern.longestPiece)
        if count < 0, errno == EAGAIN { return nil }
        guard count > 0 else { return .broken }
        let place = visitors[index].received
        guard place + count <= visitors[index].sent, Pattern.matches(buffer, count, at: place) else { return .wrong }
        visitors[index].received += count
        return visitors[index].received == visitors[index].end ? .echoed : nil
    }
}
