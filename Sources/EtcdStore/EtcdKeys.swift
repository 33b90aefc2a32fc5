import Cluster

/// A range of keys: from the first one to the one behind the last.
struct KeyRange: Sendable, Hashable {
    let start: [UInt8]
    let end: [UInt8]

    init(_ start: [UInt8], _ end: [UInt8]) {
        (self.start, self.end) = (start, end)
    }

    /// All keys that begin with a text and a slash.
    init(below text: String) {
        start = Array(text.utf8) + [UInt8(ascii: "/")]
        // The byte behind the slash.
        end = Array(text.utf8) + [UInt8(ascii: "0")]
    }
}

/// The keys of the store below its prefix.
///
/// | key | entry |
/// |---|---|
/// | `servers/ID` | a server's record |
/// | `ports/PLACE/OWNER/PART/MEMBER` | a claim of a port |
/// | `names/PLACE/OWNER/PART/MEMBER` | a claim of a host name |
/// | `servers0`, `ports0`, `names/PLACE0` | the probe of each range: the first key behind it |
///
/// Ports are apart from names, so that all claims of ports are one range and names stay out of its watch. A probe is
/// outside the range that is read and compared, and the watch's range has it as its last key.
struct EtcdKeys: Sendable {
    /// What a key stands for.
    enum Entry: Hashable {
        case server(ServerID)
        case claim(ClaimKey)
    }

    /// What all keys begin with.
    let prefix: String

    /// The key of a server's record.
    func server(_ id: ServerID) -> [UInt8] { Array("\(prefix)servers/\(id)".utf8) }

    /// The key of a claim.
    func claim(_ key: ClaimKey) -> [UInt8] { Array("\(folder(of: key.place))\(key)".utf8) }

    /// The entries of a scope.
    func range(of scope: StoreScope) -> KeyRange {
        switch scope {
        case .servers: KeyRange(below: "\(prefix)servers")
        case .ports: KeyRange(below: "\(prefix)ports")
        case .place(let place): range(of: place)
        }
    }

    /// The entries of a scope and its probe.
    func watchedRange(of scope: StoreScope) -> KeyRange {
        let range = range(of: scope)
        return KeyRange(range.start, range.end + [0])
    }

    /// The key that is written to see whether a watch of the scope lives.
    func probe(of scope: StoreScope) -> [UInt8] { range(of: scope).end }

    /// The claims of a place.
    func range(of place: ClaimPlace) -> KeyRange { KeyRange(below: "\(folder(of: place))\(place)") }

    /// The claims of a place that have other owners.
    func otherOwners(than key: ClaimKey) -> [KeyRange] {
        let place = range(of: key.place)
        let own = KeyRange(below: "\(folder(of: key.place))\(key.place)/\(key.owner)")
        return [KeyRange(place.start, own.start), KeyRange(own.end, place.end)]
    }

    /// The claims of the same owner and part.
    func part(of key: ClaimKey) -> KeyRange {
        // The part's text has no slash, so the member is what follows the last one.
        var start = claim(key)
        start.removeLast("\(key.member)".utf8.count)
        return KeyRange(start, start.dropLast() + [UInt8(ascii: "0")])
    }

    /// What a key stands for; nil for a key that this release does not write.
    func entry(of key: [UInt8]) -> Entry? {
        guard key.count <= EtcdLimits.key, let text = String(validating: key, as: UTF8.self), text.hasPrefix(prefix)
        else { return nil }
        let rest = text.dropFirst(prefix.count)
        guard let slash = rest.firstIndex(of: "/") else { return nil }
        let name = rest[rest.index(after: slash)...]
        switch rest[..<slash] {
        case "servers":
            return ServerID(name).map { .server($0) }
        case "ports":
            guard let key = ClaimKey(name), key.place.isPort else { return nil }
            return .claim(key)
        case "names":
            guard let key = ClaimKey(name), !key.place.isPort else { return nil }
            return .claim(key)
        default:
            return nil
        }
    }

    private func folder(of place: ClaimPlace) -> String { "\(prefix)\(place.isPort ? "ports" : "names")/" }
}
