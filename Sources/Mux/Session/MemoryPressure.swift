/// How short of memory the process is in which a session lives. The caller knows, since it has many sessions; each step
/// includes those before it.
public enum MemoryPressure: Int, Sendable, Comparable, CaseIterable {
    /// There is room.
    case none
    /// Windows shrink to the initial one, and one read of each socket may wait for the carrier.
    case shrinksWindows
    /// No stream is opened or taken.
    case refusesStreams
    /// No session begins: the caller's own business.
    case refusesSessions

    /// Orders by how short memory is.
    public static func < (left: MemoryPressure, right: MemoryPressure) -> Bool {
        left.rawValue < right.rawValue
    }
}
