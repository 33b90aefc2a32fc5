import Synchronization

/// Passes values from a thread of a service to the test.
public final class Mailbox<Letter: Sendable>: Sendable {
    private let letters = Mutex<[Letter]>([])

    /// An empty one.
    public init() {}

    /// Adds a value.
    public func put(_ letter: Letter) {
        letters.withLock { $0.append(letter) }
    }

    /// All values that were not taken.
    public var all: [Letter] { letters.withLock { $0 } }

    /// Takes the oldest value, if there is one.
    public func next(_ what: String, within limit: Duration = .seconds(20)) async throws -> Letter {
        try await eventually(what, within: limit) {
            self.letters.withLock { $0.isEmpty ? nil : $0.removeFirst() }
        }
    }
}
