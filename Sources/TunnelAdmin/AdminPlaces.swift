import Platform
import TunnelCore

/// Where a role serves its operator.
public struct AdminPlaces: Sendable, Hashable {
    /// The addresses that the operator has named. A role does not start if one of them cannot be bound.
    public var addresses: [ListenAddress]
    /// The path of a socket that operators find without its address; nil for none. Its folder is made if it is missing.
    /// If the socket cannot be made, or another process has it, a line of the log says so, and the role runs without it.
    public var standardSocket: String?

    /// Creates places; by default there are none.
    public init(_ addresses: [ListenAddress] = [], standardSocket: String? = nil) {
        self.addresses = addresses
        self.standardSocket = standardSocket
    }

    /// Whether the role listens nowhere for its operator.
    public var isEmpty: Bool { addresses.isEmpty && standardSocket == nil }

    /// The standard socket, unless the operator has named one in its folder, which commands find too.
    package var furtherSocket: String? {
        guard let standardSocket else { return nil }
        let folder = Self.folder(of: standardSocket)
        let isNamed = addresses.contains { address in
            guard case .unix(let path) = address else { return false }
            return Self.folder(of: path) == folder
        }
        return isNamed ? nil : standardSocket
    }

    /// All places, with the standard socket.
    package var all: [ListenAddress] { addresses + (furtherSocket.map { [.unix(path: $0)] } ?? []) }

    /// The first address that has the place of an earlier one.
    public var repetition: ListenAddress? {
        addresses.indices.first { index in addresses[..<index].contains(where: addresses[index].collides) }
            .map { addresses[$0] }
    }

    /// Makes the folder of a socket, for its user alone. Failures show when the socket is bound.
    static func makeFolder(of path: String) {
        mkdir(folder(of: path), 0o700)
    }

    private static func folder(of path: String) -> String {
        path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    }
}
