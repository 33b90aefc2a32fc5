import Foundation
import Testing

@testable import culvert_bench

@Suite struct PatternStreamTests {
    /// The receiver's verdict on a stream after `altering` has changed its bytes.
    private func verdict(of stream: Int, altering: ([UInt8]) -> [UInt8]) throws -> PatternReceiver.Verdict {
        let (one, other) = try pair()
        _ = PatternSender(connection: one, stream: stream).run(seconds: 0)
        one.close()
        var bytes = [UInt8](repeating: 0, count: Pattern.maximumChunk)
        var count = 0
        while count < bytes.count {
            let more = bytes.withUnsafeMutableBytes { all in
                all.baseAddress.map { other.receive($0 + count, all.count - count) } ?? 0
            }
            guard more > 0 else { break }
            count += more
        }
        other.close()
        let (third, fourth) = try pair()
        #expect(third.sendAll(altering(Array(bytes[..<count]))))
        third.close()
        defer { fourth.close() }
        return PatternReceiver(connection: fourth, stream: stream).run().verdict
    }

    private func pair() throws -> (Connection, Connection) {
        var descriptors: [Int32] = [0, 0]
        try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &descriptors) == 0)
        // The buffers hold a whole short stream without a reader.
        var size: Int32 = 1 << 20
        for descriptor in descriptors {
            setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<Int32>.size))
        }
        return (Connection(descriptor: descriptors[0]), Connection(descriptor: descriptors[1]))
    }

    @Test(arguments: [0, 1, 13, 900])
    func aStreamIsCompleteOnlyIfUnchanged(stream: Int) throws {
        #expect(try verdict(of: stream) { $0 } == .complete)
        #expect(try verdict(of: stream) { $0.dropLast() } == .broken)
        #expect(try verdict(of: stream) { [$0[0]] + $0 } == .wrong)
        #expect(try verdict(of: stream) { $0.dropFirst() + [] } == .wrong)
        #expect(try verdict(of: stream) { $0 + [1] } == .wrong)
        #expect(try verdict(of: stream) { _ in [] } == .broken)
    }

    @Test func aRequestReadsBackAsWritten() {
        let request = WorkloadRequest(kind: .download, stream: 7, milliseconds: 70_000, kilobytesPerSecond: 15_000)
        #expect(WorkloadRequest(request.bytes) == request)
        #expect(WorkloadRequest(Array(request.bytes.dropLast())) == nil)
        #expect(WorkloadRequest([0] + request.bytes.dropFirst()) == nil)
    }

    @Test("a receiver with a time counts what arrived before it, and still finds a wrong byte or a break")
    func deadline() throws {
        let start = Pattern.start(of: 1)
        let bytes = try #require(
            Pattern.with(from: start) { Array(UnsafeRawBufferPointer(start: $0, count: 1_000)) }
        )
        for (sent, verdict) in [(bytes, PatternReceiver.Verdict.broken), (bytes.dropLast() + [0], .wrong)] {
            let (one, other) = try pair()
            #expect(one.sendAll(sent))
            one.close()
            #expect(PatternReceiver(connection: other, stream: 1).run(until: Clock.seconds + 60).verdict == verdict)
            other.close()
        }
        let (one, other) = try pair()
        #expect(PatternReceiver(connection: other, stream: 1).run(until: Clock.seconds) == (0, .complete))
        one.close()
        other.close()
    }
}
