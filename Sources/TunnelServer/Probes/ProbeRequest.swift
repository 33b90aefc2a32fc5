import NetworkAddress

/// The request of a probe: field 3 of its OPEN (protocol page, section 10).
enum ProbeRequest: Equatable {
    /// Facts about the server, the client and the carrier, and about these places.
    case facts([PublicPlace])
    /// What arrives is sent back.
    case echo
    /// What arrives is counted and discarded.
    case sink
    /// Bytes for the client.
    case source
    /// No PING for so many seconds.
    case quiet(seconds: Int)

    /// Ports of one `facts`.
    static let maximumPorts = 32
    /// Seconds of `quiet`: an hour, and two minutes in which the client ends the silence.
    static let maximumQuiet = 3_720

    /// Reads a request.
    ///
    /// - Returns: nil if the text is none.
    init?(_ text: String) {
        let parts = text.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
        let argument = parts.count > 1 ? parts[1] : nil
        switch (parts[0], argument) {
        case ("facts", nil): self = .facts([])
        case ("facts", let ports?):
            guard let places = Self.places(ports) else { return nil }
            self = .facts(places)
        case ("echo", nil): self = .echo
        case ("sink", nil): self = .sink
        case ("source", nil): self = .source
        case ("quiet", let seconds?):
            guard let seconds = Int(seconds), (1...Self.maximumQuiet).contains(seconds) else { return nil }
            self = .quiet(seconds: seconds)
        default: return nil
        }
    }

    /// Whether the probe moves as many bytes as the path takes.
    var isBulk: Bool { self == .sink || self == .source }

    private static func places(_ text: Substring) -> [PublicPlace]? {
        let items = text.split(separator: ",", omittingEmptySubsequences: false)
        guard items.count <= maximumPorts else { return nil }
        var places: [PublicPlace] = []
        for item in items {
            let isUDP = item.hasSuffix("/udp")
            guard let port = Port.parse(isUDP ? item.dropLast(4) : item), port > 0 else { return nil }
            places.append(isUDP ? .udp(port) : .port(port))
        }
        return places
    }
}
