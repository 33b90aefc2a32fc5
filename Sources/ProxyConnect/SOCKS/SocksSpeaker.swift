/// The protocol of a peer that is not a SOCKS 5 proxy, recognised by its first bytes.
public enum SocksSpeaker: Sendable, Hashable {
    /// HTTP: a status line, or the beginning of a page.
    case http
    /// TLS: an alert.
    case tls
    /// SOCKS version 4, whose replies begin with 0, or with 4 from some proxies.
    case socks4
    /// Any other protocol.
    case unknown

    /// Recognises a protocol; nil while the bytes may still become a status line.
    init?(beginning bytes: [UInt8]) {
        switch bytes.first {
        case UInt8(ascii: "<"): self = .http
        case 0x15: self = .tls
        case 0, 4: self = .socks4
        case _ where bytes.starts(with: "HTTP/".utf8): self = .http
        case _ where "HTTP/".utf8.starts(with: bytes): return nil
        case _: self = .unknown
        }
    }
}
