import Platform

/// Which users of the machine may connect to a socket in the file system.
public struct UnixSocketAccess: Sendable, Hashable {
    /// The file's mode, such as 0o660; nil for the process's umask.
    public var mode: UInt16?
    /// The file's group by its number; nil for the process's own.
    public var group: UInt32?

    /// As the umask has it.
    public init() {}

    /// Access for the owner alone.
    public static let ownersOnly: UnixSocketAccess = {
        var access = UnixSocketAccess()
        access.mode = 0o600
        return access
    }()

    /// Reads a mode in octal digits, `0660` or `660`; nil if it is malformed. Only the nine bits of access are one.
    public static func mode(_ text: String) -> UInt16? {
        guard (3...4).contains(text.utf8.count), text.utf8.allSatisfy({ (48...55).contains($0) }),
            let mode = UInt16(text, radix: 8), mode <= 0o777
        else { return nil }
        return mode
    }

    /// The number of a group that is given by name or number; nil if this machine does not have it.
    public static func group(_ text: String) -> UInt32? {
        if let number = UInt32(text), text.utf8.allSatisfy({ (48...57).contains($0) }) { return number }
        var entry = group_()
        var found: UnsafeMutablePointer<group_>?
        var room = [CChar](repeating: 0, count: 65_536)
        guard getgrnam_r(text, &entry, &room, room.count, &found) == 0, found != nil else { return nil }
        return entry.gr_gid
    }
}

/// The system's structure, which the function of that name hides.
#if canImport(Glibc)
private typealias group_ = Glibc.group
#elseif canImport(Musl)
private typealias group_ = Musl.group
#else
private typealias group_ = Darwin.group
#endif
