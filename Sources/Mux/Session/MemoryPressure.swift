/// The process's shortage of memory, as its owner reports it to each session. Each level includes those before it.
public enum MemoryPressure: Int, Sendable, Comparable, CaseIterable {
    /// Memory is available.
    case none
    /// Windows shrink to the initial one, and a socket is paused after one read.
    case shrinksWindows
    /// No stream is opened or accepted.
    case refusesStreams
    /// No session begins. The owner of the sessions enforces this level.
    case refusesSessions

    /// Orders levels by severity.
    public static func < (left: MemoryPressure, right: MemoryPressure) -> Bool {
        left.rawValue < right.rawValue
    }
}
