import NIOCore
import Testing

@testable import Mux

/// Which frames count as a keystroke or a request (the page SendingPolicy).
@Suite struct InteractiveTrafficTests {
    private let span = Duration.seconds(1)

    @Test("a short frame directly behind a longer one of its stream is the rest of a chunk, in both directions")
    func rest() throws {
        for long in [SendScheduler.interactiveBytes + 1, MuxLimits.maximumData] {
            var server = try serverWithStream(limits { $0.initialWindow = 1_000_000 }, window: 1_000_000)
            for (step, size, counts) in [(1, long, false), (2, 256, false), (3, 256, true)] {
                try server.receive(frame(.data, 2, bytes(size)), now: .at(.seconds(10 * step)))
                #expect(server.hasInteractive(within: span, now: .at(.seconds(10 * step))) == counts, "\(size) arrive")
            }
            for (step, size, counts) in [(5, long, false), (6, 256, false), (7, 256, true)] {
                server.write(two, bytes(size))
                while server.nextFrame(on: .first, now: .at(.seconds(10 * step))) != nil {}
                #expect(server.hasInteractive(within: span, now: .at(.seconds(10 * step))) == counts, "\(size) leave")
            }
        }
    }
}
