import NetworkAddress

/// Two forwards of which this machine can bind only one.
public struct ForwardCollision: Sendable, CustomStringConvertible {
    /// The forward that stands first.
    public let first: ForwardSpec
    /// The forward that cannot be bound beside it.
    public let second: ForwardSpec

    /// Finds the first collision of a list; nil if there is none.
    public init?(in forwards: [ForwardSpec]) {
        var ports: [UInt16: [ForwardSpec]] = [:]
        var paths: [String: ForwardSpec] = [:]
        for forward in forwards {
            let other: ForwardSpec?
            switch forward.listen {
            case .path(let path):
                other = paths.updateValue(forward, forKey: path)
            case .port(0, _):
                other = nil
            case .port(let port, _):
                other = ports[port]?.first { $0.overlaps(forward) }
                ports[port, default: []].append(forward)
            }
            if let other {
                (first, second) = (other, forward)
                return
            }
        }
        return nil
    }

    /// What both need, and the first of them.
    public var description: String {
        let place = if case .path = first.listen { "socket" } else { "port" }
        return "the same local \(place) as that of \(first.flag) \(first)"
    }
}

extension ForwardSpec {
    /// The flag that writes the forward.
    public var flag: String { target == .socks ? "-D" : "-L" }

    /// Whether two forwards of one port listen on an address of both.
    fileprivate func overlaps(_ other: ForwardSpec) -> Bool {
        guard transport == other.transport else { return false }
        return addresses.contains { one in
            other.addresses.contains { another in
                let isSameFamily = one.contains(":") == another.contains(":")
                return one == another || isSameFamily && (Self.isAny(one) || Self.isAny(another))
            }
        }
    }

    private static func isAny(_ address: String) -> Bool { address == "0.0.0.0" || address == "::" }
}
