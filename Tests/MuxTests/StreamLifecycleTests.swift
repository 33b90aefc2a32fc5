import Testing

@testable import Mux

/// Every reachable state of a stream, and the effect of each event on it (protocol page, section 3).
@Suite("The life of a stream")
struct StreamLifecycleTests {
    private enum Event: CaseIterable {
        case accept, finish, reset, endSent, endReceived, abandon

        func apply(to lifecycle: inout StreamLifecycle) {
            switch self {
            case .accept: lifecycle.accept()
            case .finish: lifecycle.finish()
            case .reset: lifecycle.reset(.busy)
            case .endSent: lifecycle.endSent()
            case .endReceived: lifecycle.endReceived()
            case .abandon: lifecycle.abandon()
            }
        }
    }

    /// A state, and the states after each event in the order of ``Event``; `=` is the state itself.
    private static let table: [(String, [String])] = [
        (
            "opening open open",
            ["open open open", "opening fin open", "opening rst open", "=", "opening open end", "ended"]
        ),
        (
            "opening fin open",
            ["open fin open", "=", "opening rst open", "opening end open", "opening fin end", "ended"]
        ),
        ("opening rst open", ["open rst open", "=", "=", "=", "opening rst end", "ended"]),
        ("opening end open", ["open end open", "=", "opening rst open", "=", "opening end end", "ended"]),
        ("opening open end", ["open open end", "opening fin end", "opening rst end", "=", "=", "ended"]),
        ("opening fin end", ["open fin end", "=", "opening rst end", "opening end end", "=", "ended"]),
        ("opening rst end", ["open rst end", "=", "=", "=", "=", "ended"]),
        ("opening end end", ["ended", "=", "opening rst end", "=", "=", "ended"]),
        ("open open open", ["=", "open fin open", "open rst open", "=", "open open end", "ended"]),
        ("open fin open", ["=", "=", "open rst open", "open end open", "open fin end", "ended"]),
        ("open rst open", ["=", "=", "=", "=", "open rst end", "ended"]),
        ("open end open", ["=", "=", "open rst open", "=", "ended", "ended"]),
        ("open open end", ["=", "open fin end", "open rst end", "=", "=", "ended"]),
        ("open fin end", ["=", "=", "open rst end", "ended", "=", "ended"]),
        ("open rst end", ["=", "=", "=", "=", "=", "ended"]),
        ("ended", ["=", "=", "=", "=", "=", "="]),
    ]

    /// The state in the table's short form.
    private static func short(_ lifecycle: StreamLifecycle) -> String {
        guard !lifecycle.isEnded else { return "ended" }
        let sending =
            if lifecycle.takesBytes {
                "open"
            } else if lifecycle.pendingReset != nil {
                "rst"
            } else {
                lifecycle.next(queued: 0, credit: 0) == .end ? "fin" : "end"
            }
        return "\(lifecycle.isOpening ? "opening" : "open") \(sending) \(lifecycle.inputEnded ? "end" : "open")"
    }

    /// All states that events lead to, by their short forms.
    private static func reachable() -> [String: StreamLifecycle] {
        var found = [short(StreamLifecycle()): StreamLifecycle()]
        var frontier = Array(found.values)
        while let from = frontier.popLast() {
            for event in Event.allCases {
                var to = from
                event.apply(to: &to)
                if found.updateValue(to, forKey: short(to)) == nil { frontier.append(to) }
            }
        }
        return found
    }

    @Test("every reachable state is a row, and every row can be reached")
    func states() {
        #expect(Set(Self.reachable().keys) == Set(Self.table.map(\.0)))
    }

    @Test("each event leads to the state of its row")
    func transitions() throws {
        let states = Self.reachable()
        for (name, row) in Self.table {
            for (event, expected) in zip(Event.allCases, row) {
                var lifecycle = try #require(states[name])
                event.apply(to: &lifecycle)
                #expect(Self.short(lifecycle) == (expected == "=" ? name : expected), "\(event) in \(name)")
            }
        }
    }

    @Test("bytes leave first and need credit; END and RESET follow and need none")
    func order() throws {
        let states = Self.reachable()
        for (name, lifecycle) in states {
            let mayHaveBytes = lifecycle.takesBytes || name.contains("fin") || name.contains("rst")
            #expect((lifecycle.next(queued: 1, credit: 1) == .data) == mayHaveBytes, "\(name) with bytes and credit")
            #expect(lifecycle.next(queued: 1, credit: 0) == nil, "\(name) with bytes and no credit")
            let last: StreamLifecycle.Next? =
                name.contains("fin") ? .end : name.contains("rst") ? .reset(.busy) : nil
            #expect(lifecycle.next(queued: 0, credit: 0) == last, "\(name) without bytes")
        }
    }
}
