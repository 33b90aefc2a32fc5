import Synchronization

/// What all sessions of a server or a client hold now, for the program that runs it. Read from any thread.
public final class MemoryUse: Sendable {
    private let counted = Atomic(0)

    /// Nothing is in use.
    public init() {}

    /// Bytes in use, as the memory budget counts them.
    public var bytes: Int { counted.load(ordering: .relaxed) }

    /// Counts a change.
    ///
    /// - Returns: bytes in use after it.
    package func add(_ bytes: Int) -> Int { counted.add(bytes, ordering: .relaxed).newValue }
}
