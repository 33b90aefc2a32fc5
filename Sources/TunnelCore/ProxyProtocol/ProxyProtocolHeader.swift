import NIOCore
import NetworkAddress

/// The two forms of the PROXY protocol's header (HAProxy's specification, sections 2.1 and 2.2).
public enum ProxyProtocolVersion: String, Sendable, Hashable {
    /// A line of text.
    case v1
    /// Binary.
    case v2
}

/// An address with its port, as the PROXY protocol carries them.
public struct ProxyProtocolEnd: Sendable, Hashable, CustomStringConvertible {
    /// The address.
    public let address: IPAddress
    /// The port.
    public let port: UInt16

    /// An address with its port.
    public init(address: IPAddress, port: UInt16) {
        self.address = address
        self.port = port
    }

    /// Reads `203.0.113.9:40001` or `[2001:db8::1]:40001`; nil for anything else.
    public init?(_ text: String) {
        guard let colon = text.utf8.lastIndex(of: UInt8(ascii: ":")),
            let address = IPAddress(String(text[..<colon])),
            let port = Port.parse(text[text.utf8.index(after: colon)...])
        else { return nil }
        if case .v6 = address, !text.hasPrefix("[") { return nil }
        self.init(address: address.unmapped, port: port)
    }

    /// The text that is read.
    public var description: String {
        if case .v6 = address { return "[\(address)]:\(port)" }
        return "\(address):\(port)"
    }
}

/// The two ends of a relayed connection, and the host that the visitor asked for. The ends are unknown if the sender does
/// not know them, or speaks for itself.
public struct ProxyProtocolHeader: Sendable, Hashable {
    /// Who connected, and to which address.
    public var ends: Ends?

    /// The host that the visitor asked for, such as the name in its ClientHello.
    ///
    /// Only version 2 has a field for it, PP2_TYPE_AUTHORITY (section 2.2.2), and only beside known ends.
    public let authority: String?

    /// The two ends, both IPv4 or both IPv6.
    public struct Ends: Sendable, Hashable {
        /// Who connected.
        public let source: ProxyProtocolEnd
        /// Which address it connected to.
        public let destination: ProxyProtocolEnd
    }

    /// What v2 begins with.
    package static let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]

    /// The type of the field (TLV) with the host.
    package static let authorityType: UInt8 = 0x02

    /// A header about these ends; about unknown ones if either is missing. An IPv4 end beside an IPv6 one is mapped.
    ///
    /// - Parameter authority: the host that the visitor asked for. What is not a host, of at most 253 bytes, is left out.
    public init(source: ProxyProtocolEnd?, destination: ProxyProtocolEnd?, authority: String? = nil) {
        self.authority = authority.flatMap(HostName.normalized)
        guard let source, let destination else { return }
        switch (source.address, destination.address) {
        case (.v4, .v6), (.v6, .v4): ends = Ends(source: source.mapped, destination: destination.mapped)
        case (.v4, .v4), (.v6, .v6): ends = Ends(source: source, destination: destination)
        }
    }

    /// The header's bytes, which go before anything else.
    public func encoded(_ version: ProxyProtocolVersion) -> ByteBuffer {
        switch version {
        case .v1: ByteBuffer(string: text)
        case .v2: ByteBuffer(bytes: binary)
        }
    }

    private var text: String {
        guard let ends else { return "PROXY UNKNOWN\r\n" }
        let family = if case .v4 = ends.source.address { "TCP4" } else { "TCP6" }
        return "PROXY \(family) \(ends.source.address) \(ends.destination.address) "
            + "\(ends.source.port) \(ends.destination.port)\r\n"
    }

    private var binary: [UInt8] {
        // Version 2; command LOCAL is 0, PROXY is 1. TCP over IPv4 is 0x11, over IPv6 0x21.
        guard let ends else { return Self.signature + [0x20, 0x00, 0x00, 0x00] }
        let addresses = ends.source.address.bytes + ends.destination.address.bytes
        let ports = [ends.source.port, ends.destination.port].flatMap { [UInt8($0 >> 8), UInt8($0 & 0xFF)] }
        let family: UInt8 = addresses.count == 8 ? 0x11 : 0x21
        // The addresses and a host of at most 253 bytes are far below the 64 KiB that the length can express.
        let rest = addresses + ports + authorityField
        return Self.signature + [0x21, family] + Self.twoBytes(rest.count) + rest
    }

    private var authorityField: [UInt8] {
        guard let authority else { return [] }
        return [Self.authorityType] + Self.twoBytes(authority.utf8.count) + authority.utf8
    }

    private static func twoBytes(_ number: Int) -> [UInt8] {
        [UInt8(truncatingIfNeeded: number >> 8), UInt8(truncatingIfNeeded: number)]
    }
}

extension ProxyProtocolEnd {
    /// The same in IPv6 (RFC 4291 section 2.5.5.2).
    fileprivate var mapped: ProxyProtocolEnd {
        guard case .v4(let bits) = address else { return self }
        return ProxyProtocolEnd(address: .v6(0xFFFF_0000_0000 | UInt128(bits)), port: port)
    }
}
