import Synchronization

/// Passes values from a thread of a service to the test.
public final class Mailbox<Value: Sendable>: Sendable {
    private let values = Mutex<[Value]>([])

    /// Creates an empty mailbox.
    public init() {}

    /// Adds a value.
    public func put(_ value: Value) {
        values.withLock { $0.append(value) }
    }

    /// The values that ``next(_:within:)`` has not taken.
    public var all: [Value] { values.withLock { $0 } }

    /// Waits for a value, and takes the oldest.
    public func next(_ what: String, within limit: Duration = .seconds(20)) async throws -> Value {
        try await eventually(what, within: limit) {
            self.values.withLock { $0.isEmpty ? nil : $0.removeFirst() }
        }
    }
}
