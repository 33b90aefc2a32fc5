import TestSupport
import Testing

@testable import Mux
@testable import TunnelCore

/// The state machine of a socket and its stream: sequences of events and their results.
@Suite("The state of a stream's socket")
struct SocketStateTests {
    private enum Event: String {
        /// Events of the socket.
        case bytes, fin, error, closed, closedWithBytes
        /// Events of the stream.
        case deliver, end, reset, resetWithBytes, abort, streamClosed, blocked, sendable
        /// Events of the pipe.
        case asked, opened, refused, read, rest, rested, drained, idle, overdue
    }

    private struct Row {
        let name: String
        let start: SocketState
        /// Events with their results; `-` is no result.
        let steps: [(Event, String)]
        let ending: SocketState.Ending?

        init(_ name: String, _ start: SocketState, _ steps: [(Event, String)], _ ending: SocketState.Ending? = nil) {
            (self.name, self.start, self.steps, self.ending) = (name, start, steps, ending)
        }
    }

    private static let id = StreamID(2)
    private static let visitor = SocketState.waiting
    private static let service = SocketState.connecting(id)
    private static var open: SocketState {
        var state = SocketState.connecting(id)
        _ = state.opened(id)
        return state
    }

    private static let rows: [Row] = [
        // FIN and END, in both orders.
        Row(
            "FIN ends the stream's direction",
            open,
            [(.fin, "finish"), (.deliver, "write"), (.bytes, "forward")],
            nil
        ),
        Row(
            "END becomes FIN after the last byte",
            open,
            [(.end, "flush"), (.drained, "closeOutput"), (.bytes, "forward")],
            nil
        ),
        Row(
            "both directions end",
            open,
            [(.fin, "finish"), (.end, "flush"), (.drained, "closeOutput"), (.closed, "-")],
            .finished
        ),
        Row(
            "FIN after the written FIN closes the channel",
            open,
            [(.end, "flush"), (.drained, "closeOutput"), (.closed, "finish")],
            .finished
        ),
        Row(
            "a second END has no result",
            open,
            [(.end, "flush"), (.end, "-"), (.drained, "closeOutput"), (.drained, "-")],
            nil
        ),
        // RST and failed writes.
        Row("RST resets the stream", open, [(.error, "-"), (.closed, "reset")], .resetByThisSocket),
        Row(
            "RST after bytes: the bytes are sent first",
            open,
            [(.error, "-"), (.bytes, "forward"), (.closed, "reset")],
            .resetByThisSocket
        ),
        Row("RST after FIN", open, [(.fin, "finish"), (.error, "-"), (.closed, "reset")], .resetByThisSocket),
        Row(
            "RST after both FINs",
            open,
            [(.fin, "finish"), (.end, "flush"), (.drained, "closeOutput"), (.error, "-"), (.closed, "reset")],
            .resetByThisSocket
        ),
        Row(
            "a failed write is a reset",
            open,
            [(.deliver, "write"), (.error, "-"), (.deliver, "drop"), (.closed, "reset")],
            .resetByThisSocket
        ),
        Row("a channel that closes without FIN is a reset", open, [(.closed, "reset")], .resetByThisSocket),
        // RESET.
        Row(
            "RESET waits for the last byte",
            open,
            [
                (.deliver, "write"), (.reset, "afterDelivered"), (.deliver, "drop"), (.bytes, "drop"),
                (.drained, "reset"), (.closed, "-"),
            ],
            .resetByOtherEnd(.busy)
        ),
        Row(
            "RESET, and the socket accepts no byte",
            open,
            [(.reset, "afterDelivered"), (.overdue, "close"), (.closed, "-")],
            .resetByOtherEnd(.busy)
        ),
        Row(
            "RESET, and the socket is reset",
            open,
            [(.reset, "afterDelivered"), (.closed, "reset")],
            .resetByOtherEnd(.busy)
        ),
        Row(
            "RESET after FIN",
            open,
            [(.fin, "finish"), (.reset, "afterDelivered"), (.drained, "reset")],
            .resetByOtherEnd(.busy)
        ),
        Row("a second RESET has no result", open, [(.reset, "afterDelivered"), (.reset, "-")], nil),
        Row(
            "an abort does not wait",
            open,
            [(.abort, "close"), (.closed, "-"), (.abort, "-")],
            .resetByOtherEnd(.busy)
        ),
        // Idle time.
        Row("an idle stream is reset", open, [(.idle, "reset"), (.closed, "-")], .idle),
        Row("a stream with a pending reset is not idle", open, [(.reset, "afterDelivered"), (.idle, "-")], nil),
        // The session's end.
        Row(
            "detached: the last bytes are written",
            open,
            [(.fin, "finish"), (.end, "flush"), (.streamClosed, "detach"), (.drained, "closeOutput"), (.closed, "-")],
            .finished
        ),
        Row(
            "detached: a reset is immediate",
            open,
            [(.streamClosed, "detach"), (.reset, "atOnce")],
            .resetByOtherEnd(.busy)
        ),
        Row(
            "detached: no byte is delivered or forwarded",
            open,
            [(.streamClosed, "detach"), (.deliver, "drop"), (.bytes, "drop")],
            nil
        ),
        // Reading.
        Row(
            "a blocked socket is read again when the stream is sendable",
            open,
            [(.read, "read"), (.bytes, "forward"), (.blocked, "-"), (.read, "-"), (.sendable, "read")],
            nil
        ),
        Row(
            "a pause and then a block end separately",
            open,
            [(.rest, "rest"), (.blocked, "-"), (.rested, "-"), (.sendable, "read")],
            nil
        ),
        Row(
            "a block and then a pause end separately",
            open,
            [(.blocked, "-"), (.rest, "rest"), (.sendable, "-"), (.rested, "read")],
            nil
        ),
        Row("a second pause has no result", open, [(.rest, "rest"), (.rest, "-"), (.rested, "read")], nil),
        Row(
            "after FIN the socket is not read",
            open,
            [(.fin, "finish"), (.read, "-"), (.sendable, "-"), (.blocked, "-"), (.rest, "-")],
            nil
        ),
        // A visitor without a stream.
        Row(
            "a visitor's bytes are kept for its stream",
            visitor,
            [(.bytes, "keep"), (.opened, "flows"), (.bytes, "forward")],
            nil
        ),
        Row(
            "a visitor's FIN follows its stream's bytes",
            visitor,
            [(.bytes, "keep"), (.fin, "-"), (.opened, "flowsAndFinishes")],
            nil
        ),
        Row(
            "a visitor that was reset still gets a stream for its bytes",
            visitor,
            [(.bytes, "keep"), (.closedWithBytes, "awaitsStream"), (.opened, "gone")],
            .resetByThisSocket
        ),
        Row(
            "a visitor that was reset without bytes gets no stream",
            visitor,
            [(.closed, "-"), (.opened, "-")],
            .withoutSocket
        ),
        Row("a refused visitor is reset", visitor, [(.reset, "atOnce"), (.closed, "-")], .resetByOtherEnd(.busy)),
        Row(
            "no byte is delivered to a visitor without a stream",
            visitor,
            [(.deliver, "drop"), (.end, "-"), (.read, "-")],
            nil
        ),
        // A stream without a service.
        Row(
            "bytes are kept for the service",
            service,
            [(.deliver, "keep"), (.end, "-"), (.opened, "flows"), (.drained, "closeOutput")],
            nil
        ),
        Row(
            "RESET with bytes waits for the service",
            service,
            [(.deliver, "keep"), (.resetWithBytes, "afterConnecting"), (.opened, "flowsAndResets")],
            nil
        ),
        Row(
            "RESET with bytes, and a connect that times out",
            service,
            [(.resetWithBytes, "afterConnecting"), (.overdue, "close")],
            .resetByOtherEnd(.busy)
        ),
        Row(
            "RESET without bytes is immediate",
            service,
            [(.reset, "atOnce"), (.opened, "-")],
            .resetByOtherEnd(.busy)
        ),
        Row(
            "a refused connect resets the stream",
            service,
            [(.refused, "refuse"), (.opened, "-"), (.refused, "-")],
            .withoutSocket
        ),
        Row("a service that closes before it is joined", service, [(.closed, "reset")], .withoutSocket),
        // A stream that waits for its ACCEPT.
        Row(
            "bytes and FIN wait for the ACCEPT",
            visitor,
            [
                (.asked, "ask"), (.bytes, "keep"), (.fin, "-"), (.read, "-"), (.opened, "flowsAndFinishes"),
                (.bytes, "forward"),
            ]
        ),
        Row(
            "a stream is asked for once, and nothing is delivered before its ACCEPT",
            visitor,
            [(.asked, "ask"), (.asked, "-"), (.deliver, "drop"), (.end, "-"), (.drained, "-"), (.opened, "flows")]
        ),
        Row(
            "after a refusal the socket is read to its FIN, and its bytes are dropped",
            visitor,
            [
                (.asked, "ask"), (.bytes, "keep"), (.reset, "afterRefusal"), (.read, "read"), (.bytes, "drop"),
                (.fin, "-"),
                (.reset, "-"), (.opened, "-"), (.closed, "-"),
            ],
            .resetByOtherEnd(.busy)
        ),
        Row(
            "a refused socket that stays is closed in the end",
            visitor,
            [(.asked, "ask"), (.resetWithBytes, "afterRefusal"), (.overdue, "close")],
            .resetByOtherEnd(.busy)
        ),
        Row(
            "a socket that closes before the ACCEPT resets the stream",
            visitor,
            [(.asked, "ask"), (.bytes, "keep"), (.closedWithBytes, "reset"), (.opened, "-")],
            .resetByThisSocket
        ),
        Row(
            "a socket that was reset before its stream was asked for gets its bytes through, and resets the stream",
            visitor,
            [(.bytes, "keep"), (.closedWithBytes, "awaitsStream"), (.asked, "ask"), (.opened, "gone")],
            .resetByThisSocket
        ),
        Row(
            "an abort before the ACCEPT closes the socket",
            visitor,
            [(.asked, "ask"), (.abort, "close")],
            .resetByOtherEnd(.busy)
        ),
        Row("a stream that is open is not asked for", open, [(.asked, "-"), (.bytes, "forward")]),
        // After the end.
        Row(
            "after the end no event has a result",
            open,
            [
                (.abort, "close"), (.fin, "-"), (.end, "-"), (.deliver, "drop"), (.bytes, "drop"), (.reset, "-"),
                (.streamClosed, "-"), (.drained, "-"), (.idle, "-"), (.overdue, "-"), (.sendable, "-"),
            ],
            .resetByOtherEnd(.busy)
        ),
    ]

    private static func apply(_ event: Event, to state: inout SocketState) -> String {
        switch event {
        case .bytes:
            switch state.received() {
            case .stream(let stream): return stream == id ? "forward" : "forward to \(stream)"
            case .kept: return "keep"
            case .dropped: return "drop"
            }
        case .fin: return state.inputEnded() == nil ? "-" : "finish"
        case .error:
            state.failed()
            return "-"
        case .closed, .closedWithBytes:
            switch state.inactive(isHolding: event == .closedWithBytes) {
            case .nothing: return "-"
            case .finish: return "finish"
            case .reset: return "reset"
            case .awaitsStream: return "awaitsStream"
            }
        case .deliver:
            switch state.delivery {
            case .written: return "write"
            case .kept: return "keep"
            case .dropped: return "drop"
            }
        case .end: return state.outputEnds() ? "flush" : "-"
        case .reset, .resetWithBytes:
            switch state.reset(.busy, isHolding: event == .resetWithBytes) {
            case .afterDelivered: return "afterDelivered"
            case .afterConnecting: return "afterConnecting"
            case .atOnce: return "atOnce"
            case .afterRefusal: return "afterRefusal"
            case .ignored: return "-"
            }
        case .abort: return state.abort(.busy) ? "close" : "-"
        case .streamClosed: return state.detached() ? "detach" : "-"
        case .blocked:
            state.blocked()
            return "-"
        case .sendable:
            state.unblocked()
            return state.asksToRead() ? "read" : "-"
        case .opened:
            switch state.opened(id) {
            case .ignored: return "-"
            case .gone: return "gone"
            case .flows(finish: true, reset: nil): return "flowsAndFinishes"
            case .flows(finish: _, reset: .some): return "flowsAndResets"
            case .flows: return "flows"
            }
        case .asked: return state.asked(id) ? "ask" : "-"
        case .refused: return state.refused() ? "refuse" : "-"
        case .read: return state.asksToRead() ? "read" : "-"
        case .rest: return state.rests() ? "rest" : "-"
        case .rested:
            state.rested()
            return state.asksToRead() ? "read" : "-"
        case .drained:
            switch state.drained() {
            case .nothing: return "-"
            case .closeOutput: return "closeOutput"
            case .reset: return "reset"
            }
        case .idle: return state.idled() == nil ? "-" : "reset"
        case .overdue: return state.resetIsOverdue() ? "close" : "-"
        }
    }

    @Test("Each row has the expected results", arguments: rows.indices)
    func table(_ index: Int) {
        let row = Self.rows[index]
        var state = row.start
        for (number, (event, expected)) in row.steps.enumerated() {
            let result = Self.apply(event, to: &state)
            #expect(result == expected, "\(row.name): step \(number + 1), \(event.rawValue)")
        }
        #expect(state.ending == row.ending, "\(row.name)")
    }

    @Test("In random sequences a stream is reset and its output closed at most once, and no result follows the end")
    func random() {
        let events: [Event] = [
            .bytes, .fin, .error, .closed, .closedWithBytes, .deliver, .end, .reset, .resetWithBytes, .abort,
            .streamClosed,
            .blocked, .sendable, .asked, .opened, .refused, .read, .rest, .rested, .drained, .idle, .overdue,
        ]
        var generator = SplitMix64(state: 21)
        for start in [Self.visitor, Self.service, Self.open] {
            for _ in 0..<2_000 {
                var state = start
                var (resets, outputs) = (0, 0)
                for _ in 0..<30 {
                    guard let event = events.randomElement(using: &generator) else { return }
                    let wasClosed = state.isClosed
                    let result = Self.apply(event, to: &state)
                    if result == "reset" { resets += 1 }
                    if result == "closeOutput" { outputs += 1 }
                    #expect(
                        !wasClosed || state.isClosed && ["-", "drop"].contains(result),
                        "\(event) after the end: \(result)"
                    )
                }
                #expect(resets <= 1 && outputs <= 1)
            }
        }
    }
}
