import Foundation
import Synchronization
import TestSupport

/// A visitor's long stream to an echo service, with bytes by which a loss, a repetition or a change shows.
final class PatternedStream: Sendable {
    /// The end of a stream.
    enum Ending: Sendable, Equatable {
        /// All bytes came back, and then FIN after ours.
        case complete
        /// It ended before: by RST, or in another way that TCP reports.
        case broken(String)
        /// Something that TCP does not allow.
        case wrong(String)
    }

    private struct State {
        /// At least the bytes that were sent.
        var sent = 0
        var received = 0
        var isFinished = false
        var isOver = false
    }

    let socket: TCPSocket
    private let pattern: [UInt8]
    private let state = Mutex(State())

    /// A prime, so that no power of two of lost bytes goes unseen.
    private static let period = 65_521

    init(_ socket: TCPSocket, _ random: inout SplitMix64) {
        self.socket = socket
        var bytes = [UInt8](repeating: 0, count: Self.period)
        for index in bytes.indices { bytes[index] = UInt8(truncatingIfNeeded: random.next() >> 24) }
        pattern = bytes
    }

    /// The bytes that have come back.
    var received: Int { state.withLock { $0.received } }

    /// Reads the name of the service, and sends until a time.
    ///
    /// - Parameter onBegin: called with the first bytes that have come back.
    func run(
        expecting greeting: String,
        for time: Duration,
        seed: UInt64,
        onBegin: @escaping @Sendable () -> Void
    ) async -> Ending {
        async let writing: Void = onThread { self.send(for: time, seed: seed) }
        let ending = await (try? onThread { self.receive(greeting, onBegin) }) ?? .wrong("no thread")
        state.withLock { $0.isOver = true }
        socket.cut()
        _ = try? await writing
        return ending
    }

    private func send(for time: Duration, seed: UInt64) {
        var random = SplitMix64(state: seed)
        let end = ContinuousClock.now + time
        var offset = 0
        do {
            while ContinuousClock.now < end, !state.withLock(\.isOver) {
                // A large piece in a hundred fills what lies between.
                let count = random.next() % 100 == 0 ? 60_000 : Int(random.next() % 2_000) + 1
                let piece = slice(offset, count)
                offset += count
                state.withLock { [offset] in $0.sent = offset }
                try socket.send(piece)
                Thread.sleep(forTimeInterval: 0.02)
            }
            state.withLock { $0.isFinished = true }
            try socket.finishSending()
        } catch {
            // The reader learns the reason.
        }
    }

    private func receive(_ greeting: String, _ onBegin: () -> Void) -> Ending {
        do {
            let name = try socket.receive(exactly: greeting.utf8.count)
            guard name == Array(greeting.utf8) else {
                return .wrong("the service \(String(decoding: name, as: UTF8.self))")
            }
            while true {
                let bytes = try socket.receive()
                let (offset, sent, isFinished) = state.withLock { ($0.received, $0.sent, $0.isFinished) }
                if bytes.isEmpty {
                    // The writer may have got the error of the reset. After FIN both ways the state is the same.
                    if !isFinished, socket.isReset { return .broken("\(SocketError.reset)") }
                    guard isFinished else { return .wrong("FIN before ours, after \(offset) of \(sent) bytes") }
                    return offset == sent ? .complete : .wrong("FIN after \(offset) of \(sent) bytes")
                }
                guard offset + bytes.count <= sent, bytes == slice(offset, bytes.count) else {
                    return .wrong("other bytes than sent after \(offset)")
                }
                if offset == 0 { onBegin() }
                state.withLock { $0.received += bytes.count }
            }
        } catch SocketError.timedOut {
            return .wrong("no progress for a minute after \(received) bytes")
        } catch {
            return .broken("\(error)")
        }
    }

    private func slice(_ offset: Int, _ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        while bytes.count < count {
            let begin = (offset + bytes.count) % pattern.count
            bytes += pattern[begin..<min(pattern.count, begin + count - bytes.count)]
        }
        return bytes
    }
}
