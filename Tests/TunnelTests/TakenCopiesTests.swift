import Mux
import Testing

@testable import Tunnel

@Suite("What a session's peer sends") struct TakenCopiesTests {
    private let one = StreamID(2)
    private let two = StreamID(4)
    private let most = MuxLimits.maximumData

    /// Long frames of `stream`, in a row.
    private func take(_ copies: inout TakenCopies, _ stream: StreamID, _ frames: Int) -> [BusyPolling.Load?] {
        (0..<frames).map { _ in copies.takes(.data, of: stream, most) }
    }

    @Test("is a single copy from its sixteenth long frame on")
    func single() {
        var copies = TakenCopies()
        #expect(copies.load == .bulk)
        #expect(take(&copies, one, 15).allSatisfy { $0 == .bulk } && copies.load == .bulk)
        #expect(take(&copies, one, 100).allSatisfy { $0 == .receipt } && copies.load == .receipt)
    }

    @Test("is none while several streams have turns of a quarter of a MiB, and one again once the others are done")
    func byTurns() {
        var copies = TakenCopies()
        _ = take(&copies, one, 100)
        for _ in 0..<50 {
            #expect(take(&copies, two, 4).allSatisfy { $0 == .bulk } && copies.load == .bulk)
            #expect(take(&copies, one, 4).allSatisfy { $0 == .bulk } && copies.load == .bulk)
        }
        #expect(take(&copies, one, 12).last == .receipt)
    }

    @Test("stays a single copy whatever short frames come between, of its own stream or of others")
    func withLittle() {
        var copies = TakenCopies()
        _ = take(&copies, one, 16)
        for stream in [one, two] {
            #expect(copies.takes(.data, of: stream, 1) == .little)
            #expect(copies.takes(.data, of: stream, 4_096) == .little)
            #expect(copies.load == .receipt)
        }
        #expect(copies.takes(.data, of: one, 4_097) == .receipt)
        #expect(copies.takes(.data, of: two, 4_097) == .bulk)
    }

    @Test("is a little where a stream begins or ends, and what this end sends itself where that is acknowledged")
    func others() {
        var copies = TakenCopies()
        _ = take(&copies, one, 16)
        for type in FrameType.allCases where type != .data {
            let load: BusyPolling.Load? =
                switch type {
                case .open, .accept, .end, .reset: .little
                case .ack, .credit: .bulk
                default: nil
                }
            #expect(copies.takes(type, of: two, 8) == load, "\(type)")
        }
        #expect(copies.load == .receipt)
    }
}
