import Synchronization

/// Where a thread of a service leaves what it has seen, for the test to wait for.
public final class Mailbox<Letter: Sendable>: Sendable {
    private let letters = Mutex<[Letter]>([])

    /// An empty one.
    public init() {}

    /// Leaves a letter.
    public func put(_ letter: Letter) {
        letters.withLock { $0.append(letter) }
    }

    /// All that have come and were not taken.
    public var all: [Letter] { letters.withLock { $0 } }

    /// Takes the oldest, when there is one.
    public func next(_ what: String, within limit: Duration = .seconds(20)) async throws -> Letter {
        try await eventually(what, within: limit) {
            self.letters.withLock { $0.isEmpty ? nil : $0.removeFirst() }
        }
    }
}
