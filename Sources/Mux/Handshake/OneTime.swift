import Synchronization

/// A value that cannot be copied, on its way to the one place that takes it.
///
/// The steps of a handshake and the keys that it leaves cross event loops in frames, closures and enumerations, which are
/// copied. The value itself is not.
public final class OneTime<Value: ~Copyable & Sendable>: Sendable {
    private let value: Mutex<Value?>

    /// Holds a value.
    public init(_ value: consuming Value) {
        self.value = Mutex(value)
    }

    /// Returns the value; nil if it has been taken.
    public func take() -> Value? {
        value.withLock { $0.take() }
    }
}
